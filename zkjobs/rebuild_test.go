package zkjobs_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

func TestAnEmptyQueueGetsEachJobOnceInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		jobs, want := manyJobs(1200) // more than two transactions
		r := q.rebuilder(zkjobstest.Jobs(jobs))
		res := apply(t, r, zkjobs.ApplyOptions{})
		if diff := cmp.Diff(want, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
		if res.Written != 1200 || !res.Report.OK() || res.Report.Found != 1200 {
			t.Errorf("result: %+v, report %v", res, res.Report)
		}
		before := q.names()
		again := apply(t, r, zkjobs.ApplyOptions{})
		if again.Written != 0 || again.Transactions != 0 || again.Present != 1200 {
			t.Errorf("second call wrote: %+v", again)
		}
		if diff := cmp.Diff(before, q.names()); diff != "" {
			t.Errorf("second call changed the queue (-before +after):\n%s", diff)
		}
	})
}

func TestOnlyWhatIsMissingIsWritten(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		q.put(50, "job/there")
		q.put(100, "job/elsewhere")
		q.put(100, "job/unknown")
		jobs := zkjobstest.Jobs{job("there", 50, 1), job("elsewhere", 50, 2), job("missing", 50, 3), job("first", 1, 4)}
		r := q.rebuilder(jobs)
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		decisions := map[string]zkjobs.Decision{}
		for _, j := range plan.Jobs {
			decisions[j.ID] = j.Do
		}
		want := map[string]zkjobs.Decision{"job/there": zkjobs.There, "job/elsewhere": zkjobs.Elsewhere,
			"job/missing": zkjobs.Add, "job/first": zkjobs.Add}
		if diff := cmp.Diff(want, decisions); diff != "" {
			t.Errorf("decisions (-want +got):\n%s", diff)
		}
		if len(plan.Extra) != 1 || plan.Extra[0].ID != "job/unknown" {
			t.Errorf("extra: %v", plan.Extra)
		}
		must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{}))
		if diff := cmp.Diff([]string{"001 job/first", "050 job/there", "050 job/missing", "100 job/elsewhere", "100 job/unknown"}, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
		report, err := r.Verify(t.Context(), plan)
		if !errors.Is(err, nuvlaops.ErrVerification) || report.WrongPriority.Count != 1 || report.Extra.Count != 1 || report.Found != 4 {
			t.Errorf("verify: %v, %+v", err, report)
		}
	})
}

func TestALockedEntryIsBusyAndNeverQueuedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		q.lock(q.put(50, "job/held"))
		r := q.rebuilder(zkjobstest.Jobs{job("held", 50, 1), job("other", 50, 2)})
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		if len(plan.Busy) == 0 || plan.Summary.ByDecision[zkjobs.Taken] != 1 {
			t.Errorf("plan does not see the consumer: %v", plan)
		}
		if _, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
		if got := len(q.names()); got != 1 {
			t.Errorf("refused, and wrote: %d entries", got)
		}
		must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Force: true}))
		if diff := cmp.Diff([]string{"050 job/held", "050 job/other"}, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

func TestAQueueThatGrewSinceThePlanIsBusy(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1), job("b", 50, 2)})
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		q.put(50, "job/a") // an earlier Apply may have done this
		q.put(60, "job/new")
		if _, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
		must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Force: true}))
		if diff := cmp.Diff([]string{"050 job/a", "050 job/b", "060 job/new"}, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

func TestADryRunWritesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1)})
		if res := apply(t, r, zkjobs.ApplyOptions{DryRun: true}); res.ToWrite != 1 || res.Written != 0 {
			t.Errorf("result: %+v", res)
		}
		if exists, _, _ := q.raw.Exists(q.path); exists {
			t.Error("a dry run made the queue")
		}
	})
}

func TestVerifyFindsEveryDifference(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		q.put(50, "job/b") // before a
		q.put(50, "job/a")
		q.put(50, "job/b")
		q.put(60, "job/c") // 50 wanted
		q.put(60, "job/x")
		r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1), job("b", 50, 2), job("c", 50, 3), job("d", 50, 4)})
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		report, err := r.Verify(t.Context(), plan)
		if !errors.Is(err, nuvlaops.ErrVerification) {
			t.Errorf("got %v, want ErrVerification", err)
		}
		got := map[string]int{"missing": report.Missing.Count, "doubled": report.Doubled.Count, "priority": report.WrongPriority.Count,
			"order": report.WrongOrder.Count, "extra": report.Extra.Count}
		if diff := cmp.Diff(map[string]int{"missing": 1, "doubled": 1, "priority": 1, "order": 1, "extra": 1}, got); diff != "" {
			t.Errorf("differences (-want +got):\n%s\n%v", diff, report)
		}
	})
}
