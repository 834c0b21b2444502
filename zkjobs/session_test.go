package zkjobs_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

// TestAnExpiredSessionIsSurvived cuts a rebuild off, in the middle, until the server has ended its session.
func TestAnExpiredSessionIsSurvived(t *testing.T) {
	for _, v := range versions()[:scaled(1, 2)] {
		t.Run(v, func(t *testing.T) {
			q := newQueueOf(t, v)
			jobs, want := manyJobs(60)
			p := proxyTo(t, q.addr)
			conn := must[*zkjobs.Conn](t)(zkjobs.Connect(t.Context(), []string{p.Addr()}, &zkjobs.ConnectOptions{SessionTimeout: time.Second}))
			defer conn.Close()
			// A lock of the same session shows when the session has ended.
			other := must[*zkjobs.Queue](t)(zkjobs.NewQueue(conn, &zkjobs.Options{Path: q.path + "-lock"}))
			if err := other.Put(t.Context(), 1, "job/x"); err != nil {
				t.Fatal(err)
			}
			must[zkjobs.Entry](t)(other.Get(t.Context()))
			r := must[*zkjobs.Rebuilder](t)(zkjobs.New(zkjobstest.Jobs(jobs), conn, &zkjobs.Options{Path: q.path}))
			p.Inject(testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == "multi" }, Nth: 3, Do: testenv.CutAfter},
				testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == "connect" }, Times: -1, Do: testenv.CutBefore})
			var expired sync.WaitGroup
			expired.Go(func() {
				for ctx := within(t, time.Minute); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
					if locks, _, err := q.raw.Children(q.path + "-lock/taken"); err == nil && len(locks) == 0 {
						break
					}
				}
				p.Reset()
			})
			res := apply(t, r, zkjobs.ApplyOptions{Batch: 11})
			expired.Wait()
			if res.Written != 60 || res.Resolved != 1 {
				t.Errorf("result: %+v", res)
			}
			if diff := cmp.Diff(want, q.ids()); diff != "" {
				t.Errorf("queue (-want +got):\n%s", diff)
			}
			if held, err := other.Consume(t.Context()); held || err != nil {
				t.Errorf("an entry whose lock ended with the session was consumed: %t, %v", held, err)
			}
		})
	}
}

func TestACallEndsWithItsLimitWhileNoServerAnswers(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	p := proxyTo(t, q.addr)
	conn := must[*zkjobs.Conn](t)(zkjobs.Connect(t.Context(), []string{p.Addr()},
		&zkjobs.ConnectOptions{CallTimeout: 100 * time.Millisecond, Retry: nuvlaops.RetryPolicy{MaxAttempts: 2, Initial: time.Millisecond}}))
	defer conn.Close()
	p.Inject(testenv.Fault{Times: -1, Do: testenv.Hang})
	r := must[*zkjobs.Rebuilder](t)(zkjobs.New(zkjobstest.Jobs{}, conn, nil))
	if _, err := r.Plan(t.Context(), zkjobs.PlanOptions{}); !errors.Is(err, nuvlaops.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

// TestPathsThatAreThereNeedNoRightToCreateThem: an administrator may have made them where we may not create.
func TestPathsThatAreThereNeedNoRightToCreateThem(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		root := append(zk.WorldACL(zk.PermRead), zk.DigestACL(zk.PermAll, "admin", "secret-word")...)
		if _, err := q.raw.SetACL(q.path, root, -1); err != nil {
			t.Fatal(err)
		}
		jobs, want := manyJobs(10)
		apply(t, q.rebuilder(zkjobstest.Jobs(jobs)), zkjobs.ApplyOptions{})
		if diff := cmp.Diff(want, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

// Which of two would be meant, nobody can say, and the queue under the wrong one is empty.
func TestAChrootThatIsNotTheOneOfTheHostsIsInvalid(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it comes after the options
	for chroot, want := range map[string]error{"/other": nuvlaops.ErrInvalid, "/nuvla": context.Canceled, "": context.Canceled} {
		if _, err := zkjobs.Connect(ctx, []string{"zk:2181/nuvla"}, &zkjobs.ConnectOptions{Chroot: chroot}); !errors.Is(err, want) {
			t.Errorf("%q beside /nuvla: got %v, want %v", chroot, err, want)
		}
	}
}

func TestNonsenseIsInvalidBeforeAnythingIsConnected(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it comes after the options
	for name, opts := range map[string]zkjobs.ConnectOptions{
		"session": {SessionTimeout: -1}, "connect": {ConnectTimeout: -1}, "call": {CallTimeout: -1}, "chroot": {Chroot: "nuvla"},
		"chroot end": {Chroot: "/nuvla/"}, "user": {User: "a:b", Password: "x"}, "no password": {User: "a"}, "no user": {Password: "x"},
	} {
		if _, err := zkjobs.Connect(ctx, []string{"zk"}, &opts); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	conn := newQueueOf(t, testenv.ZooKeeper34).connect()
	_, noSource := zkjobs.New(nil, conn, nil)
	_, nilSource := zkjobs.New((*zkjobs.Documents)(nil), conn, nil)
	_, noConn := zkjobs.New(zkjobstest.Jobs{}, nil, nil)
	_, noSlash := zkjobs.New(zkjobstest.Jobs{}, conn, &zkjobs.Options{Path: "job"})
	_, noQueue := zkjobs.NewQueue(nil, nil)
	_, noClient := zkjobs.NewDocuments(nil, nil)
	_, page := zkjobs.NewDocuments(new(es.Transport), &zkjobs.DocumentsOptions{PageSize: 10001})
	_, notOne := must[*zkjobs.Rebuilder](t)(zkjobs.New(zkjobstest.Jobs{}, conn, &zkjobs.Options{Path: "/job//x"})).Plan(t.Context(), zkjobs.PlanOptions{})
	r := must[*zkjobs.Rebuilder](t)(zkjobs.New(zkjobstest.Jobs{}, conn, nil))
	_, otherPath := r.Apply(t.Context(), zkjobs.NewPlan("/other", clock(), nil, nil, zkjobs.PlanOptions{}), zkjobs.ApplyOptions{})
	edited := zkjobs.NewPlan("/job", clock(), []zkjobs.Job{job("a", 50, 1), job("b", 50, 2)}, nil, zkjobs.PlanOptions{})
	edited.Jobs[0].ID = ""
	_, badID := r.Verify(t.Context(), edited)
	edited.Jobs[0].ID, edited.Jobs[0].Priority = "job/a", 51
	_, badOrder := r.Apply(t.Context(), edited, zkjobs.ApplyOptions{})
	edited = zkjobs.NewPlan("/job", clock(), []zkjobs.Job{job("a", 50, 1), job("b", 50, 2)}, nil, zkjobs.PlanOptions{})
	edited.Jobs = append(edited.Jobs, zkjobs.Planned{Job: job("a", 60, 1), Do: zkjobs.DecisionAdd})
	_, twice := r.Apply(t.Context(), edited, zkjobs.ApplyOptions{DryRun: true})
	for name, err := range map[string]error{"no source": noSource, "a source that is nil": nilSource, "no connection": noConn, "path": noSlash, "no path of ZooKeeper": notOne, "no connection to a queue": noQueue,
		"no client": noClient, "page": page, "a plan of another queue": otherPath, "an edited id": badID, "an edited order": badOrder, "a job twice": twice} {
		if !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestARebuildEndsWhereEachTransactionCutsTheConnection, as a server does that takes only smaller ones: what is read is fine.
func TestARebuildEndsWhereEachTransactionCutsTheConnection(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	p := proxyTo(t, q.addr)
	conn := must[*zkjobs.Conn](t)(zkjobs.Connect(t.Context(), []string{p.Addr()}, &zkjobs.ConnectOptions{Retry: nuvlaops.RetryPolicy{MaxElapsed: 300 * time.Millisecond}}))
	defer conn.Close()
	r := must[*zkjobs.Rebuilder](t)(zkjobs.New(zkjobstest.Jobs{job("a", 50, 1)}, conn, &zkjobs.Options{Path: q.path}))
	plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
	p.Inject(testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == "multi" }, Times: -1, Do: testenv.CutBefore})
	ctx := within(t, 20*time.Second)
	if res, err := r.Apply(ctx, plan, zkjobs.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrUnavailable) || ctx.Err() != nil || res.Transactions < 2 {
		t.Errorf("got %+v, %v, want ErrUnavailable after some tries", res, err)
	}
	p.Reset()
	if res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{})); res.Written != 1 {
		t.Errorf("then: %+v", res)
	}
}
