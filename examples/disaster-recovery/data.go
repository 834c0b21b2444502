package main

import (
	"context"
	"fmt"

	"github.com/nuvla/nuvlaops/restore"
)

// restore brings the indices back and proves it. The plan is kept in the journal: a run that was ended in the middle goes
// on with the same plan, and finds done what is done.
func (r *recovery) restore(ctx context.Context) (string, error) {
	if err := r.coreIsGone(ctx); err != nil {
		return "", err
	}
	plan, err := r.restorePlan(ctx)
	if err != nil {
		return "", err
	}
	rep, err := r.restorer.Apply(ctx, plan, restore.ApplyOptions{Progress: r.screen.Progress})
	if rep == nil {
		return "", err
	}
	newest, nerr := r.newestDocument(ctx)
	if rerr := r.remember(func(st *state) {
		st.Restored, st.Newest = rep, newest
		if nerr != nil && err == nil {
			st.warn("when the newest document was written is not known: %v", nerr)
		}
	}); err == nil {
		err = rerr
	}
	if err == nil && rep.AlreadyThere == len(rep.Indices) {
		return fmt.Sprintf("nothing to do: %d documents in %d indices are there, %d of %d primaries proven", rep.Documents, len(rep.Indices), rep.Proven, rep.Shards), nil
	}
	return fmt.Sprintf("%d documents in %d indices; %d of %d primaries proven to come from the snapshot",
		rep.Documents, len(rep.Indices), rep.Proven, rep.Shards), err
}

func (r *recovery) restorePlan(ctx context.Context) (*restore.Plan, error) {
	if kept := r.remembered().Plan; kept != nil {
		return kept, nil
	}
	if r.chosen() == nil { // its step was left out
		if err := r.choose(ctx, r.restorer); err != nil {
			return nil, err
		}
	}
	plan, err := r.restorer.Plan(ctx, restore.Request{Snapshot: r.chosen().Name, Indices: r.cfg.indices, Replicas: r.cfg.replicas})
	if err != nil {
		return nil, err
	}
	for _, f := range plan.Findings {
		r.screen.Printf("%-11s %s", "restore", f)
	}
	return plan, r.remember(func(st *state) {
		st.Plan = plan
		for _, f := range plan.Findings {
			st.warn("%s", f)
		}
	})
}
