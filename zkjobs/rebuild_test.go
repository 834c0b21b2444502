package zkjobs_test

import (
	"context"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

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
