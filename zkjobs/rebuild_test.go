package zkjobs_test

import (
	"context"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

// settable is a source whose jobs change.
type settable struct{ jobs zkjobstest.Jobs }

func (s *settable) Jobs(ctx context.Context) iter.Seq2[zkjobs.Job, error] { return s.jobs.Jobs(ctx) }

func TestTheRebuilderConforms(t *testing.T) {
	for _, v := range versions() {
		t.Run(v, func(t *testing.T) {
			zkjobstest.Conformance(t, func(t *testing.T) *zkjobstest.Rig {
				q := newQueueOf(t, v)
				q.make()
				s := &settable{}
				return &zkjobstest.Rig{Rebuilder: q.rebuilder(s), Put: q.put, Lock: q.lock, Consume: q.consume, Entries: q.entries,
					SetJobs: func(jobs ...zkjobs.Job) { s.jobs = jobs }}
			})
		})
	}
}

func TestThreeTransactionsKeepTheOrderOnAQueueThatIsNotThere(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		jobs, want := manyJobs(1200)
		res := apply(t, q.rebuilder(zkjobstest.Jobs(jobs)), zkjobs.ApplyOptions{})
		if diff := cmp.Diff(want, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
		if res.Written != 1200 || res.Transactions != 3 || res.Report.Found != 1200 {
			t.Errorf("result: %+v, report %v", res, res.Report)
		}
	})
}

// TestAQueueIsNotCalledInOrderForWhatWasThereBefore: Apply leaves it, and says so.
func TestAQueueIsNotCalledInOrderForWhatWasThereBefore(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	root := q.path
	for there, want := range map[string]int{"abc": 0, "bac": 1, "c": 2, "a": 0, "cb": 2} {
		q.path = root + there
		q.make()
		for _, id := range there {
			q.put(50, "job/"+string(id))
		}
		r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1), job("b", 50, 2), job("c", 50, 3)})
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{}))
		report, _ := r.Verify(t.Context(), plan)
		if res.Report.Earlier != want || report.WrongOrder.Count != want || strings.Contains(res.Report.String(), "all but") != (want > 0) {
			t.Errorf("%s: want %d in the wrong order, got %d\n%v", there, want, report.WrongOrder.Count, res.Report)
		}
	}
}
