package zkjobs_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

// system is a Nuvla that lives: job documents, an api-server that writes a document and then its entry, and executors.
type system struct {
	mu   sync.Mutex
	jobs map[string]*zkjobs.Job
	runs map[string]int
}

func (s *system) add(j zkjobs.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[j.ID] = &j
}

// Jobs yields the open jobs of one moment.
func (s *system) Jobs(context.Context) iter.Seq2[zkjobs.Job, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []zkjobs.Job
	for _, j := range s.jobs {
		if j.State != "SUCCESS" {
			open = append(open, *j)
		}
	}
	return func(yield func(zkjobs.Job, error) bool) {
		for _, j := range open {
			if !yield(j, nil) {
				return
			}
		}
	}
}

// run does what an executor does with a job: one in a final state is not run.
func (s *system) run(id string) {
	set := func(state string) (ran bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		j := s.jobs[id]
		ran = j != nil && j.State != "SUCCESS"
		if ran {
			j.State = state
		}
		return ran
	}
	if set("RUNNING") {
		time.Sleep(time.Millisecond)
		s.mu.Lock()
		s.runs[id]++
		s.mu.Unlock()
		set("SUCCESS")
	}
}

func TestALivingSystemLosesNothingAndRunsNothingTwice(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		s := &system{jobs: map[string]*zkjobs.Job{}, runs: map[string]int{}}
		const lost, produced = 600, 150
		for i := range lost { // documents without entries
			s.add(job(fmt.Sprintf("lost-%05d", i), 10+i%3, i))
		}
		ctx, stop := context.WithCancel(within(t, 2*time.Minute))
		var hands sync.WaitGroup
		for range 4 { // executors
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
		api := q.other()
		hands.Go(func() { // the document first, the entry a moment later
			for i := range produced {
				j := job(fmt.Sprintf("new-%05d", i), 11, 0)
				j.Created = time.Now()
				s.add(j)
				time.Sleep(time.Duration(i%5) * time.Millisecond)
				if err := api.Put(ctx, 11, j.ID); err != nil {
					t.Errorf("put: %v", err)
					return
				}
			}
		})
		r := q.rebuilder(s)
		time.Sleep(50 * time.Millisecond)
		for range 2 { // twice, while everything goes on
			plan := must[*zkjobs.Plan](t)(r.Plan(ctx, zkjobs.PlanOptions{Settle: 500 * time.Millisecond}))
			if res, err := r.Apply(ctx, plan, zkjobs.ApplyOptions{Force: true, Batch: 50}); err != nil {
				t.Errorf("apply: %v\n%+v", err, res)
			}
		}
		s.drained(ctx, t, lost+produced)
		stop()
		hands.Wait()
		want := map[int]int{1: lost + produced}
		got := map[int]int{}
		for _, n := range s.runs {
			got[n]++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("jobs by number of runs (-want +got):\n%s", diff)
		}
	})
}

// drained waits until so many jobs ended.
func (s *system) drained(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	for {
		s.mu.Lock()
		ended := len(s.runs)
		s.mu.Unlock()
		if ended == n {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d of %d jobs ran", ended, n)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestALostReplyIsResolvedThoughConsumersTookTheEntries: the transaction's token says that it was carried out, when the
// entries cannot say so any more.
func TestALostReplyIsResolvedThoughConsumersTookTheEntries(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		s := &system{jobs: map[string]*zkjobs.Job{}, runs: map[string]int{}}
		for i := range 60 {
			s.add(job(fmt.Sprintf("%05d", i), 10, i))
		}
		p := proxyTo(t, q.addr)
		r := q.rebuilder(s, p.Addr())
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		p.Inject(testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == "multi" }, Times: 3, Do: testenv.CutAfter},
			testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == "connect" && q.drainNow() }, Nth: 1000})
		res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Force: true, Batch: 21}))
		if res.Written != 60 || res.Resolved != 3 || !res.Report.OK() || res.Report.Missing.Count != 0 {
			t.Errorf("result: %+v\n%v", res, res.Report)
		}
		if left := q.names(); len(left) != 0 {
			t.Errorf("written again: %d entries", len(left))
		}
	})
}

// drainNow consumes all that there is; it is called before the rebuild connects again.
func (q *queue) drainNow() bool {
	for _, name := range q.names() {
		q.consume(name)
	}
	return true
}

// TestWhatAnotherRebuildWroteAndConsumersRanIsNotWrittenAgain: its entries came and went between two of our transactions.
func TestWhatAnotherRebuildWroteAndConsumersRanIsNotWrittenAgain(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		s := &system{jobs: map[string]*zkjobs.Job{}, runs: map[string]int{}}
		for i := range 30 {
			j := job(fmt.Sprintf("%05d", i), 10, i)
			s.add(j)
			if i < 5 { // to be moved
				q.put(20, j.ID)
			}
		}
		r, other := q.rebuilder(s), q.rebuilder(s)
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		var once sync.Once
		res, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Force: true, Move: true, Batch: 25, Progress: func(nuvlaops.Progress) {
			once.Do(func() {
				apply(t, other, zkjobs.ApplyOptions{Force: true})
				for _, e := range q.entries()[:20] {
					s.run(e.ID)
					q.consume(e.Name)
				}
			})
		}})
		if err != nil || res.Moved != 5 || res.Written != 4 || res.Dropped != 11 || res.Present != 10 {
			t.Errorf("got %+v, %v", res, err)
		}
		if n := len(q.names()); n != 10 {
			t.Errorf("%d entries, want the 10 that were not consumed: %v", n, q.ids())
		}
	})
}

// TestAPlanReadsAgainWhatAnotherRebuildWroteAndConsumersRan: its entries came after the first listing and went before the second.
func TestAPlanReadsAgainWhatAnotherRebuildWroteAndConsumersRan(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		open := []zkjobs.Job{job("a", 50, 1), job("b", 50, 2)}
		other := q.rebuilder(zkjobstest.Jobs(open))
		r := q.rebuilder(sourceFunc(func() []zkjobs.Job {
			read := open
			if open != nil {
				apply(t, other, zkjobs.ApplyOptions{})
				for _, name := range q.names() {
					q.consume(name)
				}
				open = nil
			}
			return read
		}))
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		if len(plan.Jobs) != 0 {
			t.Errorf("to add: %v", plan.Jobs)
		}
		wantBusy := []string{"the queue grew by 2 entries while it was read", "2 entries were consumed while it was read"}
		if diff := cmp.Diff(wantBusy, plan.Busy); diff != "" {
			t.Errorf("busy (-want +got):\n%s", diff)
		}
	})
}

// TestAProducerThatNeverRestsHoldsNoRebuildUp: the queue has grown each time that the rebuild looks.
func TestAProducerThatNeverRestsHoldsNoRebuildUp(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		jobs, want := manyJobs(30)
		p := proxyTo(t, q.addr)
		r := q.rebuilder(zkjobstest.Jobs(jobs), p.Addr())
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		p.Inject(testenv.Fault{Nth: 1 << 30, Match: func(r testenv.Request) bool {
			if r.Method == "getData" && r.Path == q.path+"/entries" {
				q.put(999, "job/new")
			}
			return false
		}})
		res, err := r.Apply(within(t, time.Minute), plan, zkjobs.ApplyOptions{Force: true, Batch: 11})
		if err != nil || res.Written != 30 || res.Transactions != 3 {
			t.Errorf("got %+v, %v", res, err)
		}
		ours := slices.DeleteFunc(q.ids(), func(id string) bool { return id == "999 job/new" })
		if diff := cmp.Diff(want, ours); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

// TestWhatConsumersFinishBetweenAPlanAndItsVerificationIsNotMissing: it was on the queue.
func TestWhatConsumersFinishBetweenAPlanAndItsVerificationIsNotMissing(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		first := q.put(50, "job/a")
		q.put(50, "job/b")
		r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1), job("b", 50, 2), job("never", 50, 3)})
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		q.consume(first)
		report, err := r.Verify(t.Context(), plan)
		if !errors.Is(err, nuvlaops.ErrVerification) || report.Consumed.Count != 1 || report.Missing.Count != 1 {
			t.Errorf("got %v, %v", report, err)
		}
	})
}

// TestAnOldPlanIsSaidToBeOne: what was written after it and is finished cannot be told from what is missing.
func TestAnOldPlanIsSaidToBeOne(t *testing.T) {
	var e *nuvlaops.Error
	_, err := zkjobs.NewPlan("/job", clock(), []zkjobs.Job{job("a", 50, 1)}, nil, zkjobs.PlanOptions{}).Compare(nil)
	if !errors.As(err, &e) || !strings.Contains(e.Hint, "plan again") || !strings.Contains(e.Hint, "consumers have finished") {
		t.Errorf("got %v", err)
	}
}
