package restore

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/fold"
	"github.com/nuvla/nuvlaops/internal/units"
)

// Report says what a restore brought back, and what was and was not verified. It is plain data.
type Report struct {
	Repository   string    `json:"repository"`
	Snapshot     string    `json:"snapshot"`
	SnapshotUUID string    `json:"snapshot_uuid"`
	SnapshotTime time.Time `json:"snapshot_time,omitzero"` // when it began; zero in the report of Abandon
	Cluster      string    `json:"cluster"`
	Started      time.Time `json:"started"`
	// Took is the time of the call.
	Took time.Duration `json:"-"` // took_seconds in JSON
	// Shards is the number of primaries, Proven how many are started and came from the snapshot.
	Shards int   `json:"shards"`
	Proven int   `json:"proven"`
	Bytes  int64 `json:"bytes"`
	// AlreadyThere is the number of indices that an earlier call had restored.
	AlreadyThere int `json:"already_there,omitempty"`
	// Documents is the number of documents in the restored indices.
	Documents int64         `json:"documents"`
	Indices   []IndexReport `json:"indices"`
	Failures  []Failure     `json:"failures,omitempty"`
	// Verified and NotVerified are sentences.
	Verified    []string `json:"verified,omitempty"`
	NotVerified []string `json:"not_verified,omitempty"`
}

// inJSON is the report with Took in seconds.
func (r *Report) inJSON() any {
	type plain Report
	return &struct {
		*plain
		Took *units.Seconds `json:"took_seconds"`
	}{(*plain)(r), (*units.Seconds)(&r.Took)}
}

// MarshalJSON encodes Took in seconds.
func (r Report) MarshalJSON() ([]byte, error) { return json.Marshal(r.inJSON()) }

// UnmarshalJSON decodes what MarshalJSON has encoded.
func (r *Report) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, r.inJSON()) }

// States of an index in a report.
const (
	IndexProven  = "proven"  // each primary is started and came from the snapshot
	IndexFailed  = "failed"  // a primary has finally failed
	IndexRunning = "running" // primaries are being restored
	IndexMissing = "missing" // it is not there
	IndexBeside  = "beside"  // each primary came from the snapshot, and it is not yet in the place of what it replaces
	IndexUnknown = "unknown" // it is there, and nothing says that it came from the snapshot
	IndexRemoved = "removed" // of a data stream: it was proven by an earlier call, and has been deleted since, as ILM does by age
)

// IndexReport is what is known of one index.
type IndexReport struct {
	Name   string `json:"name"` // in the snapshot
	Target string `json:"target"`
	// Stream is the data stream that it backs in the snapshot.
	Stream string `json:"data_stream,omitempty"`
	State  string `json:"state"`
	Shards int    `json:"shards"`
	Proven int    `json:"proven"`
	// Documents and Expected are nil where they were not counted, or are not in the manifest. ExpectedMax is set where the
	// manifest has a range: documents before and after the snapshot.
	Documents   *int64 `json:"documents,omitempty"`
	Expected    *int64 `json:"expected,omitempty"`
	ExpectedMax *int64 `json:"expected_max,omitempty"`
}

// expected is what the manifest has, and false when it has nothing.
func (i IndexReport) expected() (DocumentRange, bool) {
	switch {
	case i.Expected == nil:
		return DocumentRange{}, false
	case i.ExpectedMax == nil:
		return DocumentRange{*i.Expected, *i.Expected}, true
	}
	return DocumentRange{*i.Expected, *i.ExpectedMax}, true
}

// Failure is a shard, or an index as a whole (Shard is -1), that did not come back as it was.
type Failure struct {
	Index  string `json:"index"`
	Shard  int    `json:"shard"`
	Reason string `json:"reason"`
}

// String names the shard and the reason.
func (f Failure) String() string {
	if f.Shard < 0 {
		return f.Index + ": " + f.Reason
	}
	return fmt.Sprintf("%s[%d]: %s", f.Index, f.Shard, f.Reason)
}

// OK reports whether everything that could be verified was found right. A report of nothing, as beside an error that came
// first, is not OK.
func (r *Report) OK() bool { return len(r.Failures) == 0 && r.Shards > 0 && r.Proven == r.Shards }

func (p *Plan) report(started time.Time) *Report {
	return &Report{Repository: p.Repository, Snapshot: p.Snapshot.Name, SnapshotUUID: p.Snapshot.UUID, SnapshotTime: p.Snapshot.Start,
		Cluster: p.Cluster.Name, Started: started.UTC(), Bytes: p.Bytes}
}

var stateNames = map[standing]string{absent: IndexMissing, foreign: IndexUnknown, underway: IndexRunning, broken: IndexFailed, beside: IndexBeside, complete: IndexProven, removed: IndexRemoved}

// fill takes over what was seen.
func (r *Report) fill(w world) {
	r.Shards, r.Proven = w.proven()
	r.Indices, r.Failures = r.Indices[:0], w.failures()
	whole := len(r.Failures) == 0
	for _, x := range w {
		r.Indices = append(r.Indices, IndexReport{Name: x.planned.Name, Target: x.planned.Target, Stream: x.planned.Stream, State: stateNames[x.standing],
			Shards: x.shards, Proven: x.proven, Expected: x.planned.Documents})
		switch x.standing {
		case absent:
			r.Failures = append(r.Failures, Failure{Index: x.planned.Target, Shard: -1, Reason: "the index is not there"})
		case beside:
			if whole {
				r.Failures = append(r.Failures, Failure{Index: x.planned.Target, Shard: -1, Reason: "its replacement is restored, and not yet in its place"})
			}
		case foreign:
			r.Failures = append(r.Failures, Failure{Index: x.planned.Target, Shard: -1, Reason: "nothing says that the index came from the snapshot"})
		}
	}
}

// err is nil when nothing has failed.
func (r *Report) err() error {
	if r.OK() {
		return nil
	}
	if len(r.Indices) == 0 {
		return &nuvlaops.Error{Reason: "the plan has no index, so there is nothing to verify", Hint: "plan again, with patterns that select something", Err: nuvlaops.ErrVerification}
	}
	reason := fmt.Sprintf("%d of %s are not proven", r.Shards-r.Proven, plural(r.Shards, "primary shard"))
	resource := ""
	if len(r.Failures) > 0 {
		f := r.Failures[0]
		reason = f.Reason
		if f.Shard >= 0 {
			resource = fmt.Sprintf("%s[%d]", f.Index, f.Shard)
		} else {
			resource = f.Index
		}
		if n := len(r.Failures) - 1; n > 0 {
			reason += fmt.Sprintf(" (and %s)", plural(n, "more failure"))
		}
	}
	return &nuvlaops.Error{Resource: resource, Reason: reason, Err: nuvlaops.ErrVerification,
		Hint: "look at the report; apply the plan again to restore what has failed once more, or restore another snapshot"}
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	of := ""
	if !r.SnapshotTime.IsZero() {
		of = " of " + r.SnapshotTime.UTC().Format(time.RFC3339)
	}
	fmt.Fprintf(&b, "%s/%s%s into cluster %s\n", r.Repository, nuvlaops.OneLine(r.Snapshot), of, nuvlaops.OneLine(r.Cluster))
	fmt.Fprintf(&b, "%d of %s proven, %d documents, %s, %s\n", r.Proven, plural(r.Shards, "primary shard"), r.Documents, units.Bytes(r.Bytes), r.Took.Round(time.Millisecond))
	for _, i := range fold.Groups(r.Indices, provenOf, together) {
		fmt.Fprintf(&b, "  %-40s %-8s %d/%d shards%s\n", nuvlaops.OneLine(i.Target), i.State, i.Proven, i.Shards, i.documentsText())
	}
	for _, list := range []struct {
		title string
		lines []string
	}{{"verified", r.Verified}, {"not verified", r.NotVerified}} {
		for _, line := range list.lines {
			fmt.Fprintf(&b, "%s: %s\n", list.title, nuvlaops.OneLine(line))
		}
	}
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "failed: %s\n", nuvlaops.OneLine(f.String()))
	}
	return b.String()
}

// provenOf is the data stream of an index that is proven, "" of others: each of those has a line.
func provenOf(i IndexReport) string {
	if i.State != IndexProven {
		return ""
	}
	return i.Stream
}

// together says of proven indices of one data stream what is known of each of them.
func together(stream string, all []IndexReport) IndexReport {
	sum := IndexReport{Target: fmt.Sprintf("%s (%d indices)", stream, len(all)), State: IndexProven}
	var documents, least, most int64
	counted, known := true, true
	for _, i := range all {
		sum.Shards, sum.Proven = sum.Shards+i.Shards, sum.Proven+i.Proven
		if counted = counted && i.Documents != nil; counted {
			documents += *i.Documents
		}
		want, is := i.expected()
		known = known && is
		least, most = least+want.Min, most+want.Max
	}
	if counted {
		sum.Documents = &documents
	}
	if known {
		sum.Expected, sum.ExpectedMax = &least, &most
	}
	return sum
}

func (i IndexReport) documentsText() string {
	want, known := i.expected()
	switch {
	case i.Documents == nil:
		return ""
	case !known:
		return fmt.Sprintf(", %d documents", *i.Documents)
	}
	return fmt.Sprintf(", %d documents of %s", *i.Documents, want)
}
