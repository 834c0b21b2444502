package zkjobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

// remove deletes the queue's entries node and all in it, which nobody should.
func (q *queue) remove() {
	q.t.Helper()
	for _, name := range q.names() {
		q.consume(name)
	}
	if err := q.raw.Delete(q.path+"/entries", -1); err != nil {
		q.t.Error(err)
	}
}

// beforeMulti makes the proxy do something, once, when the nth transaction arrives.
func beforeMulti(p *testenv.Proxy, nth int, do func()) {
	var once sync.Once
	n := 0
	p.Inject(testenv.Fault{Nth: 1 << 30, Match: func(r testenv.Request) bool {
		if r.Method == "multi" {
			if n++; n == nth {
				once.Do(do)
			}
		}
		return false
	}})
}

func TestAQueueThatIsDeletedOnTheWayIsAConflict(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		root := q.path
		for name, anew := range map[string]bool{"gone": false, "made anew": true} {
			q.path = root + strings.ReplaceAll(name, " ", "-")
			jobs, want := manyJobs(30)
			p := proxyTo(t, q.addr)
			r := q.rebuilder(zkjobstest.Jobs(jobs), p.Addr())
			plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
			beforeMulti(p, 2, func() {
				q.remove()
				if anew {
					q.make()
				}
			})
			res, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Batch: 11})
			if !errors.Is(err, nuvlaops.ErrConflict) || res.Written != 10 {
				t.Errorf("%s: got %+v, %v, want a conflict", name, res, err)
			}
			apply(t, r, zkjobs.ApplyOptions{})
			if diff := cmp.Diff(want, q.ids()); diff != "" {
				t.Errorf("%s, then called again: queue (-want +got):\n%s", name, diff)
			}
		}
	})
}

// TestAQueueThatIsDeletedBeforeItsVerificationIsAConflict: its entries were not consumed.
func TestAQueueThatIsDeletedBeforeItsVerificationIsAConflict(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	root := q.path
	for name, anew := range map[string]bool{"gone": false, "made anew": true} {
		q.path = root + strings.ReplaceAll(name, " ", "-")
		q.make()
		q.consume(q.put(50, "job/old")) // deletions are counted
		jobs, _ := manyJobs(30)
		r := q.rebuilder(zkjobstest.Jobs(jobs))
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		res, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Progress: func(p nuvlaops.Progress) {
			if p.Phase == "writing jobs" {
				q.remove()
				if anew {
					q.make()
				}
			}
		}})
		if !errors.Is(err, nuvlaops.ErrConflict) || res.Written != 30 {
			t.Errorf("%s: got %+v, %v, want a conflict", name, res, err)
		}
	}
}

// TestAQueueDeletedSinceThePlanWantsAnotherPlan: what was there is not any more, and the plan cannot know.
func TestAQueueDeletedSinceThePlanWantsAnotherPlan(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	jobs, want := manyJobs(6)
	q.make()
	q.put(10, strings.TrimPrefix(want[0], "010 "))
	r := q.rebuilder(zkjobstest.Jobs(jobs))
	plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
	q.remove()
	q.make()
	if _, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrBusy) || !strings.Contains(err.Error(), "deleted") {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if _, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Force: true}); !errors.Is(err, nuvlaops.ErrVerification) {
		t.Errorf("force: got %v, want ErrVerification", err)
	}
}

// TestAQueueDeletedWhileThePlanIsMadeWasNotConsumed: its jobs are written again.
func TestAQueueDeletedWhileThePlanIsMadeWasNotConsumed(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	root := q.path
	for name, anew := range map[string]bool{"gone": false, "made anew": true} {
		q.path = root + strings.ReplaceAll(name, " ", "-")
		q.make()
		q.put(50, "job/a")
		want := []string{"050 job/a", "050 job/b"}
		var once sync.Once
		r := q.rebuilder(sourceFunc(func() []zkjobs.Job {
			once.Do(func() {
				q.remove()
				if anew {
					q.make()
					q.put(50, "job/new") // under the name that job/a had
					want = slices.Insert(want, 0, "050 job/new")
				}
			})
			return []zkjobs.Job{job("a", 50, 1), job("b", 50, 2)}
		}))
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		if _, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrBusy) {
			t.Errorf("%s: got %v, want ErrBusy", name, err)
		}
		res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Force: true, Prune: true}))
		if diff := cmp.Diff(want, q.ids()); diff != "" || res.Written != 2 {
			t.Errorf("%s: result %+v, queue (-want +got):\n%s", name, res, diff)
		}
	}
}

// TestAPlanFromAFileIsNotBelievedWhatWasOnTheQueue: what is gone since was consumed, or lost with the queue.
func TestAPlanFromAFileIsNotBelievedWhatWasOnTheQueue(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	q.make()
	for _, id := range []string{"job/a", "job/b", "job/c", "job/ended"} {
		q.put(50, id)
	}
	s := &settable{jobs: zkjobstest.Jobs{job("a", 50, 1), job("b", 50, 2), job("c", 50, 3), job("ended", 50, 4)}}
	r := q.rebuilder(s)
	raw := must[[]byte](t)(json.Marshal(must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))))
	var plan zkjobs.Plan
	if err := json.Unmarshal(raw, &plan); err != nil {
		t.Fatal(err)
	}
	q.remove()
	q.make()
	q.consume(q.put(50, "job/old"))
	q.put(50, "job/b")
	s.jobs = s.jobs[:3]
	res, err := r.Apply(t.Context(), &plan, zkjobs.ApplyOptions{})
	if err != nil || res.Written != 2 || res.Present != 1 || res.Dropped != 1 {
		t.Errorf("got %+v, %v", res, err)
	}
	if diff := cmp.Diff([]string{"050 job/b", "050 job/a", "050 job/c"}, q.ids()); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
}

// TestALockWithoutAnEntryThatWouldHideANewOneIsRefused: its consumer would delete the new entry unseen.
func TestALockWithoutAnEntryThatWouldHideANewOneIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		q.put(50, "job/x")
		q.consume(q.names()[0])
		q.lock("entry-050-0000000000") // of the entry that is gone: harmless
		q.lock("entry-050-0000000003") // of a queue that was deleted
		r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1), job("b", 50, 2), job("c", 50, 3)})
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		_, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Force: true})
		if !errors.Is(err, nuvlaops.ErrRefused) || !strings.Contains(err.Error(), "entry-050-0000000003") {
			t.Errorf("got %v, want ErrRefused", err)
		}
		if left := q.names(); len(left) != 0 {
			t.Errorf("refused, and wrote %v", left)
		}
		if err := q.raw.Delete(q.path+"/taken/entry-050-0000000003", -1); err != nil {
			t.Fatal(err)
		}
		if res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Force: true})); res.Written != 3 {
			t.Errorf("result: %+v", res)
		}
	})
}

// TestAProducerThatAppearsOnTheWayStopsARebuildWithoutForce, and the next call finishes it.
func TestAProducerThatAppearsOnTheWayStopsARebuildWithoutForce(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		jobs, want := manyJobs(30)
		r := q.rebuilder(zkjobstest.Jobs(jobs))
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		var once sync.Once
		res, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Batch: 11, Progress: func(nuvlaops.Progress) {
			once.Do(func() { q.put(5, "job/new") })
		}})
		if !errors.Is(err, nuvlaops.ErrBusy) || res.Written != 10 {
			t.Errorf("got %+v, %v, want ErrBusy", res, err)
		}
		if res := apply(t, r, zkjobs.ApplyOptions{}); res.Written != 20 || res.Present != 10 {
			t.Errorf("second call: %+v", res)
		}
		if diff := cmp.Diff(append([]string{"005 job/new"}, want...), q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

// TestPruneLeavesWhatAConsumerTakesAtThatMoment: the lock is part of the transaction that removes.
func TestPruneLeavesWhatAConsumerTakesAtThatMoment(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		for _, id := range []string{"job/1", "job/2", "job/3", "", "job/4"} { // "": executors loop on it for ever
			q.put(50, id)
		}
		names := q.names()
		before, _, err := q.raw.Get(q.path + "/entries")
		if err != nil || len(before) != 0 {
			t.Fatalf("got %q, %v", before, err)
		}
		p := proxyTo(t, q.addr)
		r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1)}, p.Addr())
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		beforeMulti(p, 1, func() {
			q.lock(names[1])
			q.consume(names[2])
		})
		res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Prune: true, Force: true}))
		if res.Pruned != 3 || res.Written != 1 {
			t.Errorf("result: %+v", res)
		}
		if diff := cmp.Diff([]string{"050 job/2", "050 job/a"}, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

// sourceFunc is a source that does something while it is read.
type sourceFunc func() []zkjobs.Job

func (f sourceFunc) Jobs(ctx context.Context) iter.Seq2[zkjobs.Job, error] {
	return func(yield func(zkjobs.Job, error) bool) { zkjobstest.Jobs(f()).Jobs(ctx)(yield) }
}

func TestAQueueThatChangesWhileThePlanIsMadeIsAFinding(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		first := q.put(50, "job/a")
		var once sync.Once
		r := q.rebuilder(sourceFunc(func() []zkjobs.Job {
			once.Do(func() {
				q.consume(first)
				q.put(50, "job/new")
			})
			return []zkjobs.Job{job("a", 50, 1), job("b", 50, 2)}
		}))
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		wantBusy := []string{"the queue grew by 1 entries while it was read", "1 entries were consumed while it was read"}
		if diff := cmp.Diff(wantBusy, plan.Busy); diff != "" {
			t.Errorf("busy (-want +got):\n%s", diff)
		}
		if len(plan.Extra) != 0 || plan.Jobs[0].Do != zkjobs.DecisionConsumed {
			t.Errorf("extra %v, jobs %v: a new entry's job was not read, and one that was consumed was run", plan.Extra, plan.Jobs)
		}
		if _, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
		if res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Force: true})); res.Written != 1 || res.Consumed != 1 {
			t.Errorf("force: %+v", res)
		}
	})
}

// TestOnlyTheDataOfOthersIsReadAfterApply: what a transaction returned is known; Verify trusts nothing.
func TestOnlyTheDataOfOthersIsReadAfterApply(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	jobs, want := manyJobs(30)
	q.make()
	for _, first := range want[:4] {
		q.put(10, strings.TrimPrefix(first, "010 "))
	}
	p := proxyTo(t, q.addr)
	r := q.rebuilder(zkjobstest.Jobs(jobs), p.Addr())
	reads := func() (n int) {
		for _, request := range p.Requests() {
			if request.Method == "getData" && strings.Contains(request.Path, "/entries/") {
				n++
			}
		}
		return n
	}
	plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
	res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{}))
	applied := reads()
	must[*zkjobs.Report](t)(r.Verify(t.Context(), plan))
	if diff := cmp.Diff([3]int{26, 4, 30}, [3]int{res.Written, applied, reads() - applied}); diff != "" {
		t.Errorf("written, read by plan and apply, read by verify (-want +got):\n%s", diff)
	}
}

// TestAPlanFromWhichTheCallerTookJobsIsAppliedAsItIs: what the plan remembers of the queue's entries is by place.
func TestAPlanFromWhichTheCallerTookJobsIsAppliedAsItIs(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	q.make()
	q.put(50, "job/a")
	q.put(50, "job/d")
	r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1), job("b", 50, 2), job("c", 50, 3), job("d", 50, 4)})
	plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
	plan.Jobs = slices.DeleteFunc(plan.Jobs, func(j zkjobs.Planned) bool { return j.ID != "job/b" })
	res, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{})
	if err != nil || res.Written != 1 || res.Report.Found != 1 || res.Report.Extra.Count != 2 {
		t.Errorf("got %+v, %v", res, err)
	}
	if diff := cmp.Diff([]string{"050 job/a", "050 job/d", "050 job/b"}, q.ids()); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
}
