package restore

import (
	"context"
	"fmt"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// Verify proves what came back.
func (r *Repo) Verify(ctx context.Context, p *Plan) (*Report, error) {
	if err := p.validate(r.name); err != nil {
		return nil, nuvlaops.Wrap("restore.Verify", r.name, err)
	}
	report := p.report(r.now())
	err := r.verify(ctx, p, report)
	report.Took = r.now().Sub(report.Started)
	return report, nuvlaops.Wrap("restore.Verify", r.resource(p.Snapshot.Name), err)
}

func (r *Repo) verify(ctx context.Context, p *Plan, report *Report) error {
	j, err := r.readJournal(ctx)
	if err != nil {
		return err
	}
	w, err := r.inspect(ctx, p, j)
	if err != nil {
		return err
	}
	return r.conclude(ctx, p, w, report)
}

// conclude fills the report from what was seen and counts the documents of the proven indices.
func (r *Repo) conclude(ctx context.Context, p *Plan, w world, report *Report) error {
	report.fill(w)
	report.describeProof(w)
	if err := r.countDocuments(ctx, p, w, report); err != nil {
		return err
	}
	report.NotVerified = append(report.NotVerified, "replicas are not waited for", "the content of documents is not compared: "+
		"Elasticsearch checks each file of a shard against its checksum while it copies it")
	return report.err()
}

func (r *Report) describeProof(w world) {
	var source, disk int
	for _, x := range w {
		if x.disk {
			disk++
		} else if x.standing == complete {
			source++
		}
	}
	if source > 0 {
		r.Verified = append(r.Verified, fmt.Sprintf("the primaries of %s are started and were recovered from %s/%s", plural(source, "index"), r.Repository, r.Snapshot))
	}
	if disk > 0 {
		r.Verified = append(r.Verified, fmt.Sprintf("the primaries of %s are started from the server's own disk after a restart; their UUIDs are those that the restore gave them", plural(disk, "index")))
	}
}

func (r *Repo) countDocuments(ctx context.Context, p *Plan, w world, report *Report) error {
	names := w.names(complete)
	counts := map[string]es.IndexDocuments{}
	for chunk := range es.NameChunks(names) {
		part, err := r.conn.CountDocuments(ctx, chunk...)
		if err != nil {
			return err
		}
		for k, v := range part {
			counts[k] = v
		}
	}
	exact, near, unknown := 0, 0, 0
	for i := range report.Indices {
		x := &report.Indices[i]
		c, counted := counts[x.Target]
		if !counted {
			continue
		}
		x.Documents = &c.Documents
		report.Documents += c.Documents
		switch {
		case x.Expected == nil:
			unknown++
		case *x.Expected == c.Documents:
			exact++
		case tolerable(*x.Expected, c.Documents, p.Request.DocumentTolerance):
			near++
		default:
			report.Failures = append(report.Failures, Failure{Index: x.Target, Shard: -1,
				Reason: fmt.Sprintf("%d documents where the snapshot's manifest has %d", c.Documents, *x.Expected)})
		}
	}
	report.describeCounts(exact, near, unknown)
	return nil
}

func (r *Report) describeCounts(exact, near, unknown int) {
	if exact > 0 {
		r.Verified = append(r.Verified, fmt.Sprintf("the documents of %s are exactly as many as in the snapshot's manifest", plural(exact, "index")))
	}
	if near > 0 {
		r.Verified = append(r.Verified, fmt.Sprintf("the documents of %s are nearly as many as in the snapshot's manifest; they may have been written to meanwhile", plural(near, "index")))
	}
	if unknown > 0 {
		r.NotVerified = append(r.NotVerified, fmt.Sprintf("the documents of %s: the snapshot's manifest does not have them", plural(unknown, "index")))
	}
}

// tolerable: an index that was written to while its snapshot was taken may differ a little, but not lose everything.
func tolerable(expected, got int64, share float64) bool {
	if got == 0 {
		return expected == 0
	}
	return max(expected-got, got-expected) <= int64(float64(expected)*share)
}
