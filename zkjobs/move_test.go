package zkjobs_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

// TestMovedEntriesComeInOrderWithTheAddedOnes also when every reply is lost, before or after it was carried out.
func TestMovedEntriesComeInOrderWithTheAddedOnes(t *testing.T) {
	for name, do := range map[string]testenv.Action{"": 0, "before": testenv.CutBefore, "after": testenv.CutAfter} {
		onEach(t, func(t *testing.T, q *queue) {
			q.make()
			jobs, want := manyJobs(60)
			for i, j := range jobs {
				if i%2 == 0 {
					q.put((j.Priority+5)%1000, j.ID)
				}
			}
			p := proxyTo(t, q.addr)
			r := q.rebuilder(zkjobstest.Jobs(jobs), p.Addr())
			plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
			if name != "" {
				p.Inject(testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == "multi" }, Times: 5, Do: do})
			}
			res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Move: true, Batch: 21}))
			if res.Moved != 30 || res.Written != 30 || res.Present != 0 || !res.Report.OK() || res.Report.Missing.Count+res.Report.Consumed.Count != 0 {
				t.Errorf("cut %s: %+v\n%v", name, res, res.Report)
			}
			if diff := cmp.Diff(want, q.ids()); diff != "" {
				t.Errorf("cut %s: queue (-want +got):\n%s", name, diff)
			}
		})
	}
}

// TestAMoveLeavesWhatAConsumerTakesAtThatMoment, and does not bring back what it finished with.
func TestAMoveLeavesWhatAConsumerTakesAtThatMoment(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		jobs := zkjobstest.Jobs{job("1", 50, 1), job("2", 50, 2), job("3", 50, 3), job("4", 50, 4)}
		for _, j := range jobs {
			q.put(100, j.ID)
		}
		names := q.names()
		p := proxyTo(t, q.addr)
		r := q.rebuilder(jobs, p.Addr())
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		beforeMulti(p, 1, func() { q.lock(names[1]) })
		beforeMulti(p, 2, func() { q.consume(names[2]) })
		res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Move: true, Force: true}))
		if res.Moved != 2 || res.Written != 0 || res.Report.Consumed.Count != 1 || res.Report.Earlier != 1 {
			t.Errorf("result: %+v\n%v", res, res.Report)
		}
		if diff := cmp.Diff([]string{"050 job/1", "050 job/4", "100 job/2"}, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
		if _, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Move: true, Batch: 4}); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("a batch with no room for a move: got %v, want ErrInvalid", err)
		}
	})
}

// TestConsumersLoseNothingAndRunNothingTwiceWhileEntriesAreMoved has executors that drain the queue meanwhile.
func TestConsumersLoseNothingAndRunNothingTwiceWhileEntriesAreMoved(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		s := &system{jobs: map[string]*zkjobs.Job{}, runs: map[string]int{}}
		const n = 400
		for i := range n {
			j := job(fmt.Sprintf("%05d", i), 10, i)
			s.add(j)
			if i%4 > 0 { // the others are missing
				q.put(5+10*(i%2), j.ID)
			}
		}
		ctx, stop := context.WithCancel(within(t, 2*time.Minute))
		r := q.rebuilder(s)
		plan := must[*zkjobs.Plan](t)(r.Plan(ctx, zkjobs.PlanOptions{}))
		var hands sync.WaitGroup
		for range 4 {
			o := q.other()
			hands.Go(func() {
				for {
					e, err := o.Get(ctx)
					if err != nil {
						return
					}
					s.run(e.ID)
					_, _ = o.Consume(ctx)
				}
			})
		}
		res, err := r.Apply(ctx, plan, zkjobs.ApplyOptions{Move: true, Force: true, Batch: 9})
		if err != nil || res.Moved == 0 {
			t.Errorf("apply: %v\n%+v", err, res)
		}
		s.drained(ctx, t, n)
		stop()
		hands.Wait()
		got := map[int]int{}
		for _, n := range s.runs {
			got[n]++
		}
		if diff := cmp.Diff(map[int]int{1: n}, got); diff != "" {
			t.Errorf("jobs by number of runs (-want +got):\n%s", diff)
		}
		t.Logf("%d moved, %d written, %d transactions", res.Moved, res.Written, res.Transactions)
	})
}
