package zkjobs_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
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
		if n := plan.Summary.ByDecision[zkjobs.Settle]; n != 4 {
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
