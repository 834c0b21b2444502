package zkjobs_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

// TestYoungJobsAreLookedAtAgainOnce: one whose own entry comes meanwhile is not doubled, one that ends is dropped, and one
// that a clock ahead of ours dates into the future does not hold the rebuild up.
func TestYoungJobsAreLookedAtAgainOnce(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		created := func(id string, in time.Duration) zkjobs.Job {
			j := job(id, 50, 0)
			j.Created = time.Now().Add(in)
			return j
		}
		lost, slow, ended, ahead := created("lost", 0), created("slow", 0), created("ended", 0), created("ahead", 24*time.Hour)
		s := &settable{jobs: zkjobstest.Jobs{job("old", 50, 0), lost, slow, ended, ahead}}
		ctx := within(t, 30*time.Second)
		r := q.rebuilder(s)
		plan := must[*zkjobs.Plan](t)(r.Plan(ctx, zkjobs.PlanOptions{Settle: 2 * time.Second}))
		if n := plan.Summary.ByDecision[zkjobs.DecisionSettle]; n != 4 {
			t.Fatalf("%d young jobs, want 4", n)
		}
		res, err := r.Apply(ctx, plan, zkjobs.ApplyOptions{Force: true, Progress: func(p nuvlaops.Progress) {
			if p.Phase == "waiting for young jobs" {
				q.put(50, "job/slow")
				s.jobs = zkjobstest.Jobs{job("old", 50, 0), lost, slow, ahead}
			}
		}})
		if err != nil || res.Written != 3 || res.Present != 1 || res.Dropped != 1 {
			t.Errorf("got %+v, %v", res, err)
		}
		if diff := cmp.Diff([]string{"050 job/old", "050 job/slow", "050 job/lost", "050 job/ahead"}, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

// TestAYoungJobThatConsumersRunAtOnceIsNotMissing: its own entry came while it was waited for, and went before the verification.
func TestAYoungJobThatConsumersRunAtOnceIsNotMissing(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		lost, slow := job("lost", 50, 0), job("slow", 50, 1)
		lost.Created, slow.Created = time.Now().Add(time.Hour), time.Now().Add(time.Hour) // young, however long the rest takes
		r := q.rebuilder(zkjobstest.Jobs{lost, slow})
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{Settle: 300 * time.Millisecond}))
		own := ""
		res, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Force: true, Progress: func(p nuvlaops.Progress) {
			switch p.Phase {
			case "waiting for young jobs":
				own = q.put(50, "job/slow")
			case "writing jobs":
				q.consume(own)
			}
		}})
		if err != nil || res.Written != 1 || res.Present != 1 || res.Report.Consumed.Count != 1 {
			t.Errorf("got %+v, %v", res, err)
		}
	})
}

// TestAYoungJobThatConsumersRunWhileItIsLookedAtAgainIsNotMissing: its entry is seen once, and no reading of ours holds it.
func TestAYoungJobThatConsumersRunWhileItIsLookedAtAgainIsNotMissing(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	slow := job("slow", 50, 1)
	slow.Created = time.Now().Add(time.Hour) // young, however long the rest takes
	own, reads := "", 0
	r := q.rebuilder(sourceFunc(func() []zkjobs.Job {
		if reads++; reads == 2 {
			q.consume(own)
		}
		return []zkjobs.Job{slow}
	}))
	plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{Settle: 300 * time.Millisecond}))
	res, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Force: true, Progress: func(p nuvlaops.Progress) {
		if p.Phase == "waiting for young jobs" {
			own = q.put(50, "job/slow")
		}
	}})
	if err != nil || reads != 2 || res.Dropped != 1 || res.Present != 0 || res.Report.Consumed.Count != 1 || len(q.ids()) > 0 {
		t.Errorf("got %+v, %v after %d readings, on the queue %v", res, err, reads, q.ids())
	}
}

// fromFile is the plan as it comes back from a file.
func fromFile(t *testing.T, plan *zkjobs.Plan) *zkjobs.Plan {
	t.Helper()
	var back zkjobs.Plan
	if err := json.Unmarshal(must[[]byte](t)(json.Marshal(plan)), &back); err != nil {
		t.Fatal(err)
	}
	return &back
}

// TestAYoungJobOfAPlanFromAFileIsWaitedForToo: nobody knows when its documents were read.
func TestAYoungJobOfAPlanFromAFileIsWaitedForToo(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	q.make()
	slow := job("slow", 50, 1)
	slow.Created = time.Now().Add(time.Hour) // young, however long the rest takes
	r := q.rebuilder(zkjobstest.Jobs{slow})
	plan := fromFile(t, must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{Settle: 300 * time.Millisecond})))
	res, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Force: true, Progress: func(p nuvlaops.Progress) {
		if p.Phase == "waiting for young jobs" {
			q.put(50, "job/slow")
		}
	}})
	if diff := cmp.Diff([]string{"050 job/slow"}, q.ids()); err != nil || diff != "" || res.Written != 0 || res.Present != 1 {
		t.Errorf("got %+v, %v, queue (-want +got):\n%s", res, err, diff)
	}
}

// TestJobsThatAreLookedAtAgainKeepThePlansOrder, by which they are verified, whatever their documents say by then.
func TestJobsThatAreLookedAtAgainKeepThePlansOrder(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	source := &settable{zkjobstest.Jobs{job("a", 50, 1), job("b", 50, 2)}}
	r := q.rebuilder(source)
	plan := fromFile(t, must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{})))
	source.jobs = zkjobstest.Jobs{job("a", 60, 3), job("b", 50, 2)}
	res, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{})
	if diff := cmp.Diff([]string{"050 job/a", "050 job/b"}, q.ids()); err != nil || diff != "" || res.Written != 2 {
		t.Errorf("got %+v, %v, queue (-want +got):\n%s", res, err, diff)
	}
}

// TestProgressDoesNotGoBackwards also where entries are moved before young jobs are waited for.
func TestProgressDoesNotGoBackwards(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	q.make()
	q.put(60, "job/moved")
	young := job("young", 50, 0)
	young.Created = time.Now().Add(time.Hour) // young, however long the rest takes
	p := proxyTo(t, q.addr)
	r := q.rebuilder(zkjobstest.Jobs{job("moved", 50, 0), young}, p.Addr())
	p.Inject(testenv.Fault{Nth: 1 << 30, Match: func(r testenv.Request) bool {
		if r.Method == "sync" {
			time.Sleep(50 * time.Millisecond)
		}
		return false
	}})
	var last nuvlaops.Progress
	progress := func(p nuvlaops.Progress) {
		if p.Op == last.Op && (p.Done < last.Done || p.Elapsed < last.Elapsed) {
			t.Errorf("%+v after %+v", p, last)
		}
		if last = p; p.Elapsed < 50*time.Millisecond {
			t.Errorf("%+v: the queue was listed since the call began", p)
		}
	}
	plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{Settle: 500 * time.Millisecond, Progress: progress}))
	res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Move: true, Progress: progress}))
	if res.Moved != 1 || res.Written != 1 || last.Done != 2 {
		t.Errorf("got %+v, the last report %+v", res, last)
	}
}
