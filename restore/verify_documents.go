package restore

import (
	"context"
	"fmt"
	"math"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// DocumentRange is how many documents an index may hold: as many as it held before its snapshot, as after it, or in
// between.
type DocumentRange struct {
	Min int64 `json:"min"`
	Max int64 `json:"max"`
}

// String is "5", or "5 to 7".
func (d DocumentRange) String() string {
	if d.Min == d.Max {
		return fmt.Sprint(d.Min)
	}
	return fmt.Sprintf("%d to %d", d.Min, d.Max)
}

// miss is by how much n is outside.
func (d DocumentRange) miss(n int64) int64 { return max(0, d.Min-n, n-d.Max) }

// tolerates: an index that was written to while its snapshot was taken may differ by a little, one document of a small one, but
// not lose everything.
func (d DocumentRange) tolerates(n int64, share float64) bool {
	if n == 0 {
		return d.Min == 0
	}
	return d.miss(n) <= int64(max(float64(d.Max)*share, math.Ceil(share)))
}

// documentTally is of how many indices the documents were found how.
type documentTally struct{ exact, within, near, grown, unknown int }

// countDocuments compares the proven indices with the manifest: the plan's, or the caller's where it says more.
func (r *Repo) countDocuments(ctx context.Context, p *Plan, w world, report *Report, what verification) error {
	count := r.conn.CountDocuments
	if what.restored {
		count = r.conn.VisibleDocuments
	}
	counts := map[string]es.IndexDocuments{}
	for chunk := range es.NameChunks(w.names(complete)) {
		part, err := count(ctx, chunk...)
		if err != nil {
			return err
		}
		for k, v := range part {
			counts[k] = v
		}
	}
	var t documentTally
	var missed []string
	for i := range report.Indices {
		x := &report.Indices[i]
		want, given := what.Documents[x.Name]
		if given {
			x.Expected, x.ExpectedMax = &want.Min, nil
			if want.Max > want.Min {
				x.ExpectedMax = &want.Max
			}
		}
		c, counted := counts[x.Target]
		if !counted {
			if x.State == IndexProven { // of which a moment ago each primary was started
				missed = append(missed, x.Target)
				report.Failures = append(report.Failures, Failure{Index: x.Target, Shard: -1, Reason: "its documents could not be counted"})
			}
			continue
		}
		x.Documents = &c.Documents
		report.Documents += c.Documents
		switch want, known := x.expected(); {
		case !known:
			t.unknown++
		case want.miss(c.Documents) == 0 && want.Min == want.Max:
			t.exact++
		case want.miss(c.Documents) == 0:
			t.within++
		case want.tolerates(c.Documents, p.Request.tolerance()):
			t.near++
		case !given && c.Documents > want.Max && p.Request.tolerance() > 0: // no restore makes documents: they were added meanwhile
			t.grown++
		default:
			missed = append(missed, x.Target)
			report.Failures = append(report.Failures, Failure{Index: x.Target, Shard: -1,
				Reason: fmt.Sprintf("%d documents where the snapshot's manifest has %s", c.Documents, want)})
		}
	}
	report.describeCounts(t)
	return r.lostMeanwhile(ctx, missed)
}

// lostMeanwhile says why documents are missing when a node was lost right before they were counted: what it held is not counted,
// and nothing is wrong with the snapshot.
func (r *Repo) lostMeanwhile(ctx context.Context, names []string) error {
	for chunk := range es.NameChunks(names) {
		red, err := r.conn.MissingPrimaries(ctx, chunk...)
		if err != nil {
			return err
		}
		if len(red) > 0 {
			return &nuvlaops.Error{Resource: red[0], Reason: "it was restored and proven, and has lost a primary before its documents were counted", Err: nuvlaops.ErrVerification,
				Hint: "bring back the node or the disk of the primary, and apply the same plan again"}
		}
	}
	return nil
}

func (r *Report) describeCounts(t documentTally) {
	for _, line := range []struct {
		n        int
		verified bool
		text     string
	}{
		{t.exact, true, "the documents of %s are exactly as many as in the snapshot's manifest"},
		{t.within, true, "the documents of %s are as many as before the snapshot, as after it, or in between"},
		{t.near, true, "the documents of %s are nearly as many as in the snapshot's manifest; they may have been written to meanwhile"},
		{t.grown, true, "the documents of %s are more than in the snapshot's manifest, which was counted before it; they were added meanwhile"},
		{t.unknown, false, "the documents of %s: the snapshot's manifest does not have them"},
	} {
		switch text := fmt.Sprintf(line.text, plural(line.n, "index")); {
		case line.n == 0:
		case line.verified:
			r.Verified = append(r.Verified, text)
		default:
			r.NotVerified = append(r.NotVerified, text)
		}
	}
}
