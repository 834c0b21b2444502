package zkjobs_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

func TestPruneRemovesWhatNoJobStandsBehindAndNothingLocked(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		for _, id := range []string{"job/gone-1", "job/a", "job/gone-2", "job/a", "job/held"} {
			name := q.put(50, id)
			if id == "job/held" {
				q.lock(name)
			}
		}
		r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1), job("b", 50, 2)})
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		late := q.put(50, "job/gone-3") // not in the plan: nobody decided on it
		if res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Prune: true, DryRun: true, Force: true})); res.ToPrune != 3 {
			t.Errorf("dry run: %+v", res)
		}
		for _, e := range plan.Extra {
			if e.ID == "job/gone-2" {
				q.lock(e.Name) // since the plan
			}
		}
		res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Prune: true, Force: true}))
		if res.Pruned != 2 || res.Written != 1 {
			t.Errorf("result: %+v", res)
		}
		want := []string{"050 job/a", "050 job/gone-2", "050 job/held", "050 job/gone-3", "050 job/b"}
		if diff := cmp.Diff(want, q.ids()); diff != "" {
			t.Errorf("queue without %s (-want +got):\n%s", late, diff)
		}
	})
}

// TestPruneKeepsTheEntryThatAConsumerHasOrThatIsAtItsPriority: the script that this package replaces put jobs that were there
// on the queue once more, at 100.
func TestPruneKeepsTheEntryThatAConsumerHasOrThatIsAtItsPriority(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		for _, id := range []string{"job/running", "job/a", "job/b"} {
			q.put(100, id)
			name := q.put(999, id)
			if id == "job/running" {
				q.lock(name)
			}
		}
		r := q.rebuilder(zkjobstest.Jobs{job("running", 100, 1), job("a", 999, 2), job("b", 500, 3)})
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Prune: true, Force: true}))
		if diff := cmp.Diff([]string{"100 job/b", "999 job/running", "999 job/a"}, q.ids()); diff != "" || res.Pruned != 3 {
			t.Errorf("result %+v, queue (-want +got):\n%s", res, diff)
		}
	})
}

// TestPruneLeavesADoubledEntryWhoseOtherOneIsGone: another rebuild may have kept this one, and removed that.
func TestPruneLeavesADoubledEntryWhoseOtherOneIsGone(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		var first []string
		for _, id := range []string{"job/a", "job/b"} {
			first = append(first, q.put(50, id))
			q.put(50, id)
		}
		p := proxyTo(t, q.addr)
		r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1), job("b", 50, 2)}, p.Addr())
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		beforeMulti(p, 1, func() { q.consume(first[0]) })
		res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Prune: true, Force: true}))
		if diff := cmp.Diff([]string{"050 job/a", "050 job/b"}, q.ids()); diff != "" || res.Pruned != 1 {
			t.Errorf("result %+v, queue (-want +got):\n%s", res, diff)
		}
	})
}

// TestAPlanIsAppliedAgainAfterItsEntriesWerePrunedAndMoved: what an earlier call of it has removed was not consumed.
func TestAPlanIsAppliedAgainAfterItsEntriesWerePrunedAndMoved(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		for _, id := range []string{"job/gone", "job/a", "job/a", "job/b"} {
			q.put(50, id)
		}
		r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1), job("b", 60, 2), job("c", 70, 3)})
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		opts := zkjobs.ApplyOptions{Prune: true, Move: true}
		must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, opts))
		res, err := r.Apply(t.Context(), plan, opts)
		if err != nil || res.Written+res.Moved+res.Pruned != 0 || res.Present != 3 {
			t.Errorf("again: %+v, %v", res, err)
		}
		if diff := cmp.Diff([]string{"050 job/a", "060 job/b", "070 job/c"}, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

// TestPruneLeavesAnEntryThatHasTheNameOfOneInAnOldPlan: in a queue that was made anew the numbers begin again.
func TestPruneLeavesAnEntryThatHasTheNameOfOneInAnOldPlan(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	q.make()
	q.put(50, "job/a")
	doubled := q.put(50, "job/a")
	r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1), job("b", 50, 2)})
	old := fromFile(t, must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{})))
	for _, name := range q.names() {
		q.consume(name)
	}
	for _, node := range []string{"/entries", "/taken"} {
		if err := q.raw.Delete(q.path+node, -1); err != nil {
			t.Fatal(err)
		}
	}
	q.make()
	q.put(50, "job/a")
	if name := q.put(50, "job/b"); name != doubled {
		t.Fatalf("the new entry is %s, want %s", name, doubled)
	}
	res, err := r.Apply(t.Context(), old, zkjobs.ApplyOptions{Prune: true, Force: true})
	if diff := cmp.Diff([]string{"050 job/a", "050 job/b"}, q.ids()); err != nil || diff != "" || res.Pruned != 0 {
		t.Errorf("%v, result %+v, queue (-want +got):\n%s", err, res, diff)
	}
}

// TestAPruneThatIsNotCarriedOutIsAnError: what is too many is nothing that the verification would miss.
func TestAPruneThatIsNotCarriedOutIsAnError(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	q.make()
	q.put(50, "job/gone")
	p := proxyTo(t, q.addr)
	conn := must[*zkjobs.Conn](t)(zkjobs.Connect(t.Context(), []string{p.Addr()}, &zkjobs.ConnectOptions{Retry: nuvlaops.RetryPolicy{MaxElapsed: 300 * time.Millisecond}}))
	defer conn.Close()
	r := must[*zkjobs.Rebuilder](t)(zkjobs.New(zkjobstest.Jobs{}, conn, &zkjobs.Options{Path: q.path}))
	plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{Settle: -1}))
	p.Inject(testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == "multi" }, Times: -1, Do: testenv.CutBefore})
	if res, err := r.Apply(within(t, 20*time.Second), plan, zkjobs.ApplyOptions{Prune: true}); !errors.Is(err, nuvlaops.ErrUnavailable) || res.Pruned != 0 {
		t.Errorf("got %+v, %v, want ErrUnavailable", res, err)
	}
}

// TestWhatConsumersTookBeforeAPlanIsAppliedShowsThem: whatever it would have removed itself.
func TestWhatConsumersTookBeforeAPlanIsAppliedShowsThem(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		names := []string{q.put(50, "job/gone"), q.put(50, "job/a"), q.put(50, "job/a")}
		r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1), job("b", 60, 2)})
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		q.consume(names[0])
		q.consume(names[2])
		if res, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Prune: true}); !errors.Is(err, nuvlaops.ErrBusy) {
			t.Errorf("beside consumers: %+v, %v", res, err)
		}
	})
}

// TestPruneKeepsTheEntryWhoseDocumentIsOnTheWay: a living api-server makes a job's entry first, and writes its document after that.
func TestPruneKeepsTheEntryWhoseDocumentIsOnTheWay(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		q.put(50, "job/gone")
		q.put(50, "job/late")
		s := &settable{jobs: zkjobstest.Jobs{job("a", 50, 1)}}
		r := q.rebuilder(s)
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{Settle: 300 * time.Millisecond}))
		s.jobs = zkjobstest.Jobs{job("a", 50, 1), job("late", 50, 2)}
		res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Prune: true, Force: true}))
		if diff := cmp.Diff([]string{"050 job/late", "050 job/a"}, q.ids()); diff != "" || res.Pruned != 1 {
			t.Errorf("result %+v, queue (-want +got):\n%s", res, diff)
		}
	})
}
