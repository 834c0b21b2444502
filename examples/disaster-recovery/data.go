package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// restore brings the indices back and proves it. The plan is kept in the journal: a run that was ended in the middle goes
// on with the same plan, and finds done what is done.
func (r *recovery) restore(ctx context.Context) (string, error) {
	plan, err := r.restorePlan(ctx)
	if err != nil {
		return "", err
	}
	rep, err := r.restorer.Apply(ctx, plan, restore.ApplyOptions{Progress: r.screen.Progress})
	if rep == nil {
		return "", err
	}
	if rerr := r.remember(func(st *state) { st.Restored = rep }); err == nil {
		err = rerr
	}
	return fmt.Sprintf("%d documents in %d indices; %d of %d primaries proven to come from the snapshot",
		rep.Documents, len(rep.Indices), rep.Proven, rep.Shards), err
}

func (r *recovery) restorePlan(ctx context.Context) (*restore.Plan, error) {
	r.mu.Lock()
	kept := r.state.Plan
	r.mu.Unlock()
	if kept != nil {
		return kept, nil
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
			st.Warnings = append(st.Warnings, f.String())
		}
	})
}

// queue rebuilds the job queue from the restored documents and proves it. The core is stopped, so nobody else writes.
func (r *recovery) queue(ctx context.Context) (string, error) {
	source, err := zkjobs.NewDocuments(r.client, &zkjobs.DocumentsOptions{AllowNone: true})
	if err != nil {
		return "", err
	}
	conn, err := zkjobs.Connect(ctx, r.cfg.zkHosts(), nil)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	rebuilder, err := zkjobs.New(source, conn, nil)
	if err != nil {
		return "", err
	}
	plan, err := rebuilder.Plan(ctx, zkjobs.PlanOptions{Settle: -1, Progress: r.screen.Progress})
	if err != nil {
		return "", err
	}
	result, err := rebuilder.Apply(ctx, plan, zkjobs.ApplyOptions{Progress: r.screen.Progress})
	if err != nil {
		return "", err
	}
	jobs := jobsReport(plan, result)
	err = r.remember(func(st *state) {
		st.Jobs = jobs
		if old := result.Report.OldestRunning; old != nil {
			st.Warnings = append(st.Warnings, fmt.Sprintf("%d jobs were running and run again from the start, the oldest created %s (%s %s)",
				jobs.RunAgain, old.Created.UTC().Format(time.RFC3339), old.Action, old.ID))
		}
		if n := plan.Left[zkjobs.LeftInvalid]; n > 0 {
			st.Warnings = append(st.Warnings, fmt.Sprintf("%d job documents cannot be used and are not on the queue", n))
		}
	})
	return fmt.Sprintf("%d jobs on the queue, %d written, each once and in its order", jobs.Total, jobs.Written), err
}

func jobsReport(plan *zkjobs.Plan, result *zkjobs.Result) *report.Jobs {
	j := &report.Jobs{
		Total: result.Report.Found, Written: result.Written, ByPriority: result.Report.ByPriority, ByState: result.Report.ByState,
		LeftOut: map[string]int{}, RunAgain: result.Report.RunAgain, Missing: result.Report.Missing.Count, Doubled: result.Report.Doubled.Count,
	}
	for reason, n := range plan.Left {
		j.LeftOut[string(reason)] = n
	}
	return j
}

// indices puts the report of the restore into the report of the recovery.
func indices(rep *restore.Report) []report.Index {
	var out []report.Index
	for _, i := range rep.Indices {
		index := report.Index{Index: i.Target, Expected: i.Expected, Primaries: i.Proven}
		if i.Documents != nil {
			index.Documents = *i.Documents
		}
		out = append(out, index)
	}
	return out
}
