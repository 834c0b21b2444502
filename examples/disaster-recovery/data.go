package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nuvla/nuvlaops/restore"
)

// restore brings the indices back and proves it. The plan is kept in the journal: a run that was ended in the middle goes
// on with the same plan, and finds done what is done.
func (r *recovery) restore(ctx context.Context) (string, error) {
	if err := r.remember(func(st *state) { st.Restored = nil }); err != nil { // what a call before has proven is proven again
		return "", err
	}
	if err := r.coreIsGone(ctx); err != nil {
		return "", err
	}
	plan, err := r.restorePlan(ctx)
	if err != nil {
		return "", err
	}
	var rep *restore.Report
	err = r.patiently(ctx, "restore", func(ctx context.Context) (err error) {
		rep, err = r.restorer.Apply(ctx, plan, restore.ApplyOptions{Progress: r.screen.Progress})
		return err
	})
	if rep == nil {
		return "", err
	}
	if rerr := r.remember(func(st *state) { st.Restored = rep }); err == nil {
		err = rerr
	}
	n := len(there(rep))
	if err == nil && rep.AlreadyThere == n {
		return fmt.Sprintf("nothing to do: %d documents in %d indices are there, %d of %d primaries proven", rep.Documents, n, rep.Proven, rep.Shards), nil
	}
	return fmt.Sprintf("%d documents in %d indices; %d of %d primaries proven to come from the snapshot",
		rep.Documents, n, rep.Proven, rep.Shards), err
}

// there are the indices of a restore without those that ILM has deleted since they were proven: NotVerified names these.
func there(rep *restore.Report) (out []restore.IndexReport) {
	for _, i := range rep.Indices {
		if i.State != restore.IndexRemoved {
			out = append(out, i)
		}
	}
	return out
}

// restorePlan is the plan that was made when the snapshot was found, or by a call before. One that is refused is not kept:
// what stands in its way may be gone when this program is called again.
func (r *recovery) restorePlan(ctx context.Context) (*restore.Plan, error) {
	if kept := r.remembered().Plan; kept != nil {
		return kept, nil
	}
	if r.chosen() == nil { // its step was left out
		s, err := r.find(ctx, r.restorer)
		if err == nil {
			err = r.choose(s)
		}
		if err != nil {
			return nil, err
		}
	}
	plan, err := r.planned(ctx, r.chosen().Name)
	if err != nil {
		return nil, err
	}
	return plan, r.keepPlan(plan)
}

// planned plans the restore. The cluster whose volumes were removed held that many shards: what its operators had said of its limit
// went with them, and is said again. Replicas that come over the limit are restored all the same, and then no index can be made.
func (r *recovery) planned(ctx context.Context, snapshot string) (*restore.Plan, error) {
	plan, err := r.restorer.Plan(ctx, r.cfg.request(snapshot))
	over := func(f restore.Finding) bool { return f.Code == restore.CodeShardLimit }
	if err != nil || !r.done("wipe") || !slices.ContainsFunc(plan.Findings, over) {
		return plan, err
	}
	copies := 3 // as the api-server makes its indices
	if r.cfg.replicas != nil {
		copies = 1 + *r.cfg.replicas
	}
	const setting, step = "cluster.max_shards_per_node", 1000
	limit := (plan.Shards*copies/max(1, plan.Cluster.DataNodes)/step + 2) * step
	if err := r.conn.PutClusterSettings(ctx, map[string]any{setting: limit}, nil); err != nil {
		return nil, fmt.Errorf("raise %s: %w", setting, err)
	}
	if err := r.remember(func(st *state) {
		st.warn("%s was raised to %d, since the new Elasticsearch lets in fewer shards than the old one held", setting, limit)
	}); err != nil {
		return nil, err
	}
	return r.restorer.Plan(ctx, r.cfg.request(snapshot))
}

// request is what is restored of a snapshot.
func (c *config) request(snapshot string) restore.Request {
	return restore.Request{Snapshot: snapshot, Indices: c.indices, Replicas: c.replicas}
}

func (r *recovery) keepPlan(plan *restore.Plan) error {
	refused := slices.ContainsFunc(plan.Findings, func(f restore.Finding) bool { return f.Severity == restore.SeverityError })
	remarks := plan.Remarks()
	for _, line := range remarks {
		r.screen.Printf("%-11s %s", "restore", line)
	}
	return r.remember(func(st *state) {
		if !refused {
			st.Plan = plan
		}
		for _, line := range remarks {
			st.warn("%s", line)
		}
		if left := notRestored(plan); left != "" {
			st.warn("%s", left)
		}
	})
}

// newest finds when the newest document that came back was written: what the recovery has lost is counted from then.
func (r *recovery) newest(ctx context.Context) (string, error) {
	var at time.Time
	err := r.patiently(ctx, "newest", func(ctx context.Context) (err error) {
		at, err = r.newestDocument(ctx)
		return err
	})
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "it is not known", r.remember(func(st *state) { st.warn("when the newest document was written is not known: %v", err) })
	}
	said := "no document says when it was written"
	if !at.IsZero() {
		said = at.UTC().Format(time.RFC3339)
	}
	return said, r.remember(func(st *state) { st.Newest = at })
}
