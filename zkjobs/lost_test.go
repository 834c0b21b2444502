package zkjobs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

// cuts names what happens to a connection.
func cuts() map[string]testenv.Action {
	return map[string]testenv.Action{"before": testenv.CutBefore, "after": testenv.CutAfter, "midway": testenv.CutMidway}
}

func proxyTo(t testing.TB, addr string) *testenv.Proxy {
	t.Helper()
	p := must[*testenv.Proxy](t)(testenv.NewZooKeeperProxy(addr))
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func notPing(r testenv.Request) bool { return r.Method != "ping" && r.Method != "close" }

// TestAConnectionCutAtAnyRequestDoublesAndLosesNothing cuts the connection at the first request of a rebuild, then at the
// second, and so on, before it is done, after, and in the middle of its reply.
func TestAConnectionCutAtAnyRequestDoublesAndLosesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		jobs, want := manyJobs(12)
		root := q.path
		rebuild := func(name string, nth int, do testenv.Action) (requests int) {
			t.Helper()
			q.path = root + name
			q.make()
			q.put(10, strings.TrimPrefix(want[0], "010 ")) // one is there: its data is read
			p := proxyTo(t, q.addr)
			if nth > 0 {
				p.Inject(testenv.Fault{Match: notPing, Nth: nth, Do: do})
			}
			conn := must[*zkjobs.Conn](t)(zkjobs.Connect(t.Context(), []string{p.Addr()},
				&zkjobs.ConnectOptions{Retry: nuvlaops.RetryPolicy{Initial: 5 * time.Millisecond}}))
			defer conn.Close()
			r := must[*zkjobs.Rebuilder](t)(zkjobs.New(zkjobstest.Jobs(jobs), conn, &zkjobs.Options{Path: q.path}))
			res := apply(t, r, zkjobs.ApplyOptions{Batch: 5})
			if res.Written != 11 || res.Present != 1 || !res.Report.OK() {
				t.Errorf("request %d cut %s: %+v\n%v", nth, name, res, res.Report)
			}
			if diff := cmp.Diff(want, q.ids()); diff != "" {
				t.Errorf("request %d cut %s: queue (-want +got):\n%s", nth, name, diff)
			}
			for _, r := range p.Requests() {
				if notPing(r) {
					requests++
				}
			}
			return requests
		}
		total := rebuild("-none", 0, 0)
		if total < 10 {
			t.Fatalf("only %d requests: the proxy sees nothing", total)
		}
		for name, do := range cuts() {
			for nth := 1; nth <= total; nth++ {
				rebuild(fmt.Sprintf("-%s-%d", name, nth), nth, do)
			}
		}
	})
}

// TestManyCutsInARowAreSurvived cuts at every third transaction.
func TestManyCutsInARowAreSurvived(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		jobs, want := manyJobs(300)
		p := proxyTo(t, q.addr)
		multi := func(r testenv.Request) bool { return r.Method == "multi" }
		for n := range 12 {
			p.Inject(testenv.Fault{Match: multi, Nth: 1 + 3*n, Do: testenv.Action(n % 3)})
		}
		res := apply(t, q.rebuilder(zkjobstest.Jobs(jobs), p.Addr()), zkjobs.ApplyOptions{Batch: 11})
		if res.Written != 300 || res.Resolved < 10 {
			t.Errorf("result: %+v", res)
		}
		if diff := cmp.Diff(want, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

// TestTwoRebuildsAtOnceDoubleNothing: the version of /job/entries lets one of them write at a time.
func TestTwoRebuildsAtOnceDoubleNothing(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		jobs, want := manyJobs(600)
		var rebuilds []func() error
		for range 3 {
			r := q.rebuilder(zkjobstest.Jobs(jobs))
			plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
			rebuilds = append(rebuilds, func() error {
				_, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Batch: 7})
				return err
			})
		}
		errs := make(chan error, len(rebuilds))
		for _, rebuild := range rebuilds {
			go func() { errs <- rebuild() }()
		}
		for range 3 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff(want, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

// TestWhatALostReplyHidIsCountedAlsoWhenTheRebuildStops: a consumer came before it could look.
func TestWhatALostReplyHidIsCountedAlsoWhenTheRebuildStops(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		jobs, _ := manyJobs(30)
		p := proxyTo(t, q.addr)
		r := q.rebuilder(zkjobstest.Jobs(jobs), p.Addr())
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		p.Inject(testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == "multi" }, Do: testenv.CutAfter},
			testenv.Fault{Nth: 1 << 30, Match: func(r testenv.Request) bool {
				if r.Method == "connect" {
					q.lock(q.names()[0])
				}
				return false
			}})
		res, err := r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Batch: 11})
		if !errors.Is(err, nuvlaops.ErrBusy) || res.Written != 10 || len(q.names()) != 10 {
			t.Errorf("got %+v, %v, want 10 written and ErrBusy", res, err)
		}
	})
}
