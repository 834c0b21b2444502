package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// jobIndex has the documents that the queue is rebuilt from.
const jobIndex = "nuvla-job"

// queue rebuilds the job queue from the restored documents and proves it. The core is stopped, so nobody else writes.
func (r *recovery) queue(ctx context.Context) (string, error) {
	if err := r.remember(func(st *state) { st.Jobs = nil }); err != nil { // what a call before has proven is proven again
		return "", err
	}
	if err := r.coreIsGone(ctx); err != nil {
		return "", err
	}
	source, err := zkjobs.NewDocuments(r.client, &zkjobs.DocumentsOptions{AllowNone: true})
	if err != nil {
		return "", err
	}
	conn, err := r.zk.connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	rebuilder, err := zkjobs.New(source, conn, nil)
	if err != nil {
		return "", err
	}
	var plan *zkjobs.Plan
	err = r.patiently(ctx, "queue", func(ctx context.Context) (err error) {
		plan, err = r.planQueue(ctx, rebuilder)
		return err
	})
	if err != nil {
		return "", err
	}
	result, err := rebuilder.Apply(ctx, plan, zkjobs.ApplyOptions{Progress: r.screen.Progress})
	if err != nil {
		return "", err
	}
	jobs := jobsReport(plan, result)
	said, err := r.order(ctx, rebuilder, plan, jobs)
	if err != nil {
		return "", err
	}
	if err := r.remember(func(st *state) { st.noteJobs(jobs, plan, result) }); err != nil {
		return "", err
	}
	if jobs.Written == 0 {
		return fmt.Sprintf("nothing to do: %d jobs are on the queue, %s", jobs.Total, said), nil
	}
	return fmt.Sprintf("%d jobs on the queue, %d written, %s", jobs.Total, jobs.Written, said), nil
}

// order says how the queue stands. Where some jobs were there already, in a queue that was not wiped or by a call that was
// killed, those that were written come after them: whether that is their order is seen by reading all of it once more.
func (r *recovery) order(ctx context.Context, rebuilder *zkjobs.Rebuilder, plan *zkjobs.Plan, jobs *report.Jobs) (string, error) {
	if jobs.Written == jobs.Total {
		return "each once and in its order", nil
	}
	rep, err := rebuilder.Verify(ctx, plan)
	if rep == nil || rep.Missing.Count+rep.Doubled.Count > 0 {
		return "", err
	}
	if jobs.Misplaced = rep.WrongPriority.Count + rep.WrongOrder.Count; jobs.Misplaced > 0 {
		return fmt.Sprintf("each once; %d stand at another place than theirs, among jobs that were there before", jobs.Misplaced), nil
	}
	return "each once and in its order", nil
}

// locksWithin is how long the locks of executors that died may outlast them: as long as their sessions, for which they ask
// 30 s, and the time that the servers take to see it.
const locksWithin = time.Minute

// planQueue waits for the locks of executors that are gone: a queue that was not wiped still has them.
func (r *recovery) planQueue(ctx context.Context, rebuilder *zkjobs.Rebuilder) (plan *zkjobs.Plan, err error) {
	deadline := r.now().Add(locksWithin)
	for {
		plan, err = rebuilder.Plan(ctx, zkjobs.PlanOptions{Settle: -1, Progress: r.screen.Progress})
		if err != nil || len(plan.Busy) == 0 || r.now().After(deadline) {
			return plan, err // Apply refuses one that is busy
		}
		r.screen.Printf("%-11s waiting: %s", "queue", strings.Join(plan.Busy, ", "))
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(2 * time.Second):
		}
	}
}

func (st *state) noteJobs(jobs *report.Jobs, plan *zkjobs.Plan, result *zkjobs.Result) {
	st.Jobs = jobs
	if old := result.Report.OldestRunning; old != nil {
		st.warn("%d jobs were running and run again from the start, the oldest created %s (%s %s)",
			jobs.RunAgain, old.Created.UTC().Format(time.RFC3339), old.Action, old.ID)
	}
	if n := plan.Left[zkjobs.LeftInvalid]; n > 0 {
		st.warn("%d job documents cannot be used and are not on the queue", n)
	}
	if n := len(plan.Extra); n > 0 {
		st.warn("%d entries of the queue have no open job behind them; executors consume them without running anything", n)
	}
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
