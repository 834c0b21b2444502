package restore

import (
	"context"
	"fmt"

	"github.com/nuvla/nuvlaops"
)

// VerifyOptions says what to verify beside the primaries. The zero value compares the documents with what the snapshot's
// metadata hold.
type VerifyOptions struct {
	// Documents by index, by its name in the snapshot, as a whole manifest has them. They count instead of the plan's, which
	// come from the snapshot's metadata and may leave the smallest indices out.
	Documents map[string]DocumentRange
	// Queries must find what the caller knows to be in the snapshot.
	Queries []Query
}

// verification is what to verify, and when.
type verification struct {
	VerifyOptions
	restored bool // the indices came back right now: all their documents are visible, and nobody has to wait for a refresh
}

// Verify proves what came back.
func (r *Repo) Verify(ctx context.Context, p *Plan, opts VerifyOptions) (*Report, error) {
	if err := p.validate(r.name); err != nil {
		return nil, nuvlaops.Wrap("restore.Verify", r.name, err)
	}
	if err := opts.Validate(p); err != nil {
		return nil, nuvlaops.Wrap("restore.Verify", r.resource(p.Snapshot.Name), err)
	}
	report := p.report(r.now())
	err := r.verify(ctx, p, report, opts)
	report.Took = r.now().Sub(report.Started)
	return report, nuvlaops.Wrap("restore.Verify", r.resource(p.Snapshot.Name), err)
}

// Validate is what each Restorer checks first: ranges and queries that make sense, on indices of the plan.
func (o VerifyOptions) Validate(p *Plan) error {
	if p == nil {
		return invalid("no plan", "call Plan first")
	}
	for name, d := range o.Documents {
		if d.Min < 0 || d.Max < d.Min {
			return invalid(fmt.Sprintf("documents of %s between %d and %d", name, d.Min, d.Max), "0 or more, and the smaller number first")
		}
	}
	for _, q := range o.Queries {
		if err := q.validate(p); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repo) verify(ctx context.Context, p *Plan, report *Report, opts VerifyOptions) error {
	j, err := r.readJournal(ctx)
	if err != nil {
		return err
	}
	w, err := r.inspect(ctx, p, j)
	if err != nil {
		return err
	}
	return r.conclude(ctx, p, w, report, verification{VerifyOptions: opts})
}

// conclude fills the report from what was seen, counts the documents of the proven indices and asks the queries.
func (r *Repo) conclude(ctx context.Context, p *Plan, w world, report *Report, what verification) error {
	report.fill(w)
	report.describeProof(w)
	if gone := w.names(removed); len(gone) > 0 {
		report.NotVerified = append(report.NotVerified, fmt.Sprintf("%s of data streams were proven by an earlier call, and have been deleted since, as ILM does by age: %s",
			plural(len(gone), "index"), some(gone)))
	}
	if err := r.countDocuments(ctx, p, w, report, what); err != nil {
		return err
	}
	if err := r.describeChecks(ctx, p, w, report); err != nil {
		return err
	}
	if err := r.ask(ctx, p, w, report, what.Queries); err != nil {
		return err
	}
	report.NotVerified = append(report.NotVerified, "replicas are not waited for")
	return report.err()
}

func (r *Report) describeProof(w world) {
	var source, later, cloned int
	for _, x := range w {
		switch {
		case x.standing != complete:
		case x.cloned:
			cloned++
		case x.later:
			later++
		default:
			source++
		}
	}
	if source > 0 {
		r.Verified = append(r.Verified, fmt.Sprintf("the primaries of %s are started and were recovered from %s/%s", plural(source, "index"), r.Repository, r.Snapshot))
	}
	if cloned > 0 {
		r.Verified = append(r.Verified, fmt.Sprintf("%s cloned from what was recovered from %s/%s beside what is replaced; all primaries are started", plural(cloned, "index"), r.Repository, r.Snapshot))
	}
	if later > 0 {
		r.Verified = append(r.Verified, fmt.Sprintf("the primaries of %s are started, from a disk or from another copy since a node was restarted or lost, or a shard was moved; their UUIDs are those that the restore gave them", plural(later, "index")))
	}
}

// describeChecks says whose files were compared with their checksums when their shards were opened: a shard whose files
// do not hold is not started, so the setting and the proof of the primaries are enough.
func (r *Repo) describeChecks(ctx context.Context, p *Plan, w world, report *Report) error {
	names := w.names(complete)
	if !p.Request.checks() || len(names) == 0 {
		report.NotVerified = append(report.NotVerified, "the files of the shards were not read again: Elasticsearch compared each with its checksum while it copied it")
		return nil
	}
	settings, err := r.conn.IndexSettings(ctx, names, checkSetting)
	if err != nil {
		return err
	}
	checked := 0
	for _, s := range settings {
		if v := s[checkSetting]; v == "checksum" || v == "true" {
			checked++
		}
	}
	if checked > 0 {
		report.Verified = append(report.Verified, fmt.Sprintf("the files of %s were compared with their Lucene checksums when the shards were opened", plural(checked, "index")))
	}
	if left := len(names) - checked; left > 0 {
		report.NotVerified = append(report.NotVerified, fmt.Sprintf("the Lucene checksums of %s: %s is not set there", plural(left, "index"), checkSetting))
	}
	return nil
}
