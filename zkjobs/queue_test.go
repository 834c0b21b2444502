package zkjobs_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
)

func (q *queue) other() *zkjobs.Queue {
	q.t.Helper()
	return must[*zkjobs.Queue](q.t)(zkjobs.NewQueue(q.connect(), &zkjobs.Options{Path: q.path}))
}

func TestAQueueIsConsumedInOrderByOneAtATime(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		ctx := within(t, time.Minute)
		a, b := q.other(), q.other()
		for _, put := range []struct {
			priority int
			ids      []string
		}{{50, []string{"job/second", "job/third"}}, {1, []string{"job/first"}}} {
			if err := a.Put(ctx, put.priority, put.ids...); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]string{"001 job/first", "050 job/second", "050 job/third"}, q.ids()); diff != "" {
			t.Fatalf("queue (-want +got):\n%s", diff)
		}
		first := must[zkjobs.Entry](t)(a.Get(ctx))
		second := must[zkjobs.Entry](t)(b.Get(ctx))
		if first.ID != "job/first" || second.ID != "job/second" {
			t.Errorf("got %v, %v", first, second)
		}
		if again := must[zkjobs.Entry](t)(a.Get(ctx)); again != first {
			t.Errorf("a held entry is not returned again: %v", again)
		}
		if !must[bool](t)(a.Consume(ctx)) || !must[bool](t)(b.Release(ctx)) {
			t.Error("consume and release say no")
		}
		if again := must[zkjobs.Entry](t)(a.Get(ctx)); again.ID != "job/second" {
			t.Errorf("a released entry is not the next: %v", again)
		}
		if must[bool](t)(b.Consume(ctx)) {
			t.Error("consumed without an entry")
		}
		if diff := cmp.Diff([]string{"050 job/second", "050 job/third"}, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

func TestEntriesAreCountedByPriority(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		ctx := within(t, time.Minute)
		a := q.other()
		if none := must[map[int]int](t)(a.Count(ctx)); len(none) > 0 {
			t.Errorf("a queue that is not there has %v", none)
		}
		for priority, ids := range map[int][]string{1: {"job/a"}, 50: {"job/b", "job/c"}, 999: {"job/d"}} {
			if err := a.Put(ctx, priority, ids...); err != nil {
				t.Fatal(err)
			}
		}
		must[zkjobs.Entry](t)(a.Get(ctx)) // one that is taken is there
		if diff := cmp.Diff(map[int]int{1: 1, 50: 2, 999: 1}, must[map[int]int](t)(a.Count(ctx))); diff != "" {
			t.Errorf("counted (-want +got):\n%s", diff)
		}
		over, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := a.Count(over); !errors.Is(err, context.Canceled) {
			t.Errorf("on a context that has ended: %v", err)
		}
	})
}

func TestGetWaitsForAnEntryAndForALockToGo(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		ctx := within(t, time.Minute)
		a, b := q.other(), q.other()
		got := make(chan zkjobs.Entry, 1)
		get := func() {
			e, _ := b.Get(ctx)
			got <- e
		}
		go get()
		time.Sleep(50 * time.Millisecond)
		if err := a.Put(ctx, 5, "job/late"); err != nil {
			t.Fatal(err)
		}
		if e := <-got; e.ID != "job/late" {
			t.Errorf("got %v", e)
		}
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if _, err := a.Get(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a locked entry: got %v", err)
		}
		must[bool](t)(b.Release(ctx))
		if e := must[zkjobs.Entry](t)(a.Get(ctx)); e.ID != "job/late" {
			t.Errorf("got %v", e)
		}
	})
}

func TestPutRefusesWhatWouldHarmAnExecutor(t *testing.T) {
	q := newQueue(t, testenv.SharedZooKeeper(t, "").Addr())
	o := q.other()
	for _, tc := range []struct {
		priority int
		id       string
	}{{50, ""}, {50, "job/"}, {50, "user/x"}, {-1, "job/x"}, {1000, "job/x"}, {5, "job/a b"}} {
		if err := o.Put(t.Context(), tc.priority, tc.id); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%v: got %v", tc, err)
		}
	}
	if err := o.Put(t.Context(), 1000); err != nil {
		t.Errorf("no job at all: got %v", err)
	}
	if n := q.names(); len(n) != 0 {
		t.Errorf("refused, and wrote %v", n)
	}
}

// TestALostReplyToConsumeIsResolved: consumed is consumed, once.
func TestALostReplyToConsumeIsResolved(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		root := q.path
		for name, do := range cuts() {
			q.path = root + name
			p := proxyTo(t, q.addr)
			o := must[*zkjobs.Queue](t)(zkjobs.NewQueue(q.connect(p.Addr()), &zkjobs.Options{Path: q.path}))
			if err := o.Put(t.Context(), 5, "job/a", "job/b"); err != nil {
				t.Fatal(err)
			}
			must[zkjobs.Entry](t)(o.Get(t.Context()))
			p.Inject(testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == "multi" }, Do: do})
			if done, err := o.Consume(t.Context()); !done || err != nil {
				t.Errorf("cut %s: %t, %v", name, done, err)
			}
			if diff := cmp.Diff([]string{"005 job/b"}, q.ids()); diff != "" {
				t.Errorf("cut %s: queue (-want +got):\n%s", name, diff)
			}
		}
	})
}

// TestALockThatEndsWithItsSessionIsNotTakenForAnEntryConsumed: the transaction never arrived, and the job must run again.
func TestALockThatEndsWithItsSessionIsNotTakenForAnEntryConsumed(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	p := proxyTo(t, q.addr)
	o := must[*zkjobs.Queue](t)(zkjobs.NewQueue(q.connect(p.Addr()), &zkjobs.Options{Path: q.path}))
	if err := o.Put(t.Context(), 5, "job/a"); err != nil {
		t.Fatal(err)
	}
	e := must[zkjobs.Entry](t)(o.Get(t.Context()))
	p.Inject(testenv.Fault{Match: func(r testenv.Request) bool {
		// As the end of the session does, which a server does not make earlier than after 4 s.
		return r.Method == "multi" && q.raw.Delete(q.path+"/taken/"+e.Name, -1) == nil
	}, Do: testenv.CutBefore})
	if done, err := o.Consume(t.Context()); done || err != nil || len(q.names()) != 1 {
		t.Errorf("got %t, %v, though the queue has %v", done, err, q.ids())
	}
}

// TestSeveralGoroutinesHoldOneEntryBetweenThem: an entry more would be locked as long as the session lasts, and run by nobody.
func TestSeveralGoroutinesHoldOneEntryBetweenThem(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		ctx := within(t, time.Minute)
		o := q.other()
		for i := range 100 {
			if err := o.Put(ctx, 5, fmt.Sprintf("job/%03d", i)); err != nil {
				t.Fatal(err)
			}
		}
		var hands sync.WaitGroup
		for range 4 {
			hands.Go(func() {
				for range 20 {
					_, get := o.Get(ctx)
					_, consume := o.Consume(ctx)
					if get != nil || consume != nil {
						t.Errorf("get: %v, consume: %v", get, consume)
					}
				}
			})
		}
		hands.Wait()
		if locks, _, err := q.raw.Children(q.path + "/taken"); err != nil || len(locks) != 0 {
			t.Errorf("it holds nothing, and has the locks %v, %v", locks, err)
		}
	})
}

// TestAGetThatIsEndedWhileItLocksLeavesNoLock: the request is on its way, and nobody would ever give the entry back.
func TestAGetThatIsEndedWhileItLocksLeavesNoLock(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		p := proxyTo(t, q.addr)
		o := must[*zkjobs.Queue](t)(zkjobs.NewQueue(q.connect(p.Addr()), &zkjobs.Options{Path: q.path}))
		if err := o.Put(t.Context(), 5, "job/a"); err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		p.Inject(testenv.Fault{Nth: 1 << 30, Match: func(r testenv.Request) bool {
			if r.Method == "create" && strings.Contains(r.Path, "/taken/entry-") {
				leave()
				time.Sleep(20 * time.Millisecond) // the caller is gone when the lock is made
			}
			return false
		}})
		if _, err := o.Get(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the end of the context", err)
		}
		if locks, _, err := q.raw.Children(q.path + "/taken"); err != nil || len(locks) != 0 {
			t.Errorf("locks %v, %v", locks, err)
		}
		if e, err := o.Get(within(t, 5*time.Second)); err != nil || e.ID != "job/a" {
			t.Errorf("then: %v, %v", e, err)
		}
	})
}

func TestACallDoesNotWaitForAnotherOneLongerThanItsContextLasts(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	p := proxyTo(t, q.addr)
	o := must[*zkjobs.Queue](t)(zkjobs.NewQueue(q.connect(p.Addr()), &zkjobs.Options{Path: q.path}))
	p.Inject(testenv.Fault{Match: notPing, Times: -1, Do: testenv.Hang})
	long, leave := context.WithCancel(t.Context())
	var other sync.WaitGroup
	other.Go(func() { _ = o.Put(long, 5, "job/a") })
	time.Sleep(50 * time.Millisecond)
	ended := make(chan error, 1)
	go func() {
		_, err := o.Get(within(t, 50*time.Millisecond))
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits for the other call")
	}
	leave()
	other.Wait()
}

// TestAskingAnIdleQueueAgainAndAgainTakesNoMemory: a watch lasts until it fires, which nothing does here.
func TestAskingAnIdleQueueAgainAndAgainTakesNoMemory(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	o := q.other()
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	ask := func(times int) {
		for range times {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Millisecond)
			if _, err := o.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			cancel()
		}
	}
	if err := o.Put(t.Context(), 5); err != nil { // it makes the queue
		t.Fatal(err)
	}
	ask(100)
	before := heap()
	ask(1000)
	if grown := heap() - before; grown > 100<<10 {
		t.Errorf("1,000 calls took %d bytes for good", grown)
	}
	if err := o.Put(t.Context(), 5, "job/a"); err != nil {
		t.Fatal(err)
	}
	if e, err := o.Get(within(t, time.Minute)); err != nil || e.ID != "job/a" {
		t.Errorf("then: %v, %v", e, err)
	}
}

// TestConsumeEndsWhereEachTransactionCutsTheConnection: what is read between them is fine.
func TestConsumeEndsWhereEachTransactionCutsTheConnection(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	p := proxyTo(t, q.addr)
	opts := &zkjobs.ConnectOptions{Retry: nuvlaops.RetryPolicy{MaxElapsed: 300 * time.Millisecond}}
	conn := must[*zkjobs.Conn](t)(zkjobs.Connect(t.Context(), []string{p.Addr()}, opts))
	defer conn.Close()
	o := must[*zkjobs.Queue](t)(zkjobs.NewQueue(conn, &zkjobs.Options{Path: q.path}))
	if err := o.Put(t.Context(), 5, "job/a"); err != nil {
		t.Fatal(err)
	}
	must[zkjobs.Entry](t)(o.Get(t.Context()))
	p.Inject(testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == "multi" }, Times: -1, Do: testenv.CutBefore})
	ctx := within(t, 10*time.Second)
	if done, err := o.Consume(ctx); done || !errors.Is(err, nuvlaops.ErrUnavailable) || ctx.Err() != nil {
		t.Errorf("got %t, %v, want ErrUnavailable", done, err)
	}
	p.Reset()
	if done, err := o.Consume(t.Context()); !done || err != nil {
		t.Errorf("then: %t, %v", done, err)
	}
}

// TestALockThatCouldNotBeGivenBackIsNotTakenFromTheNextConsumer: its session ended, and the next one has the entry.
func TestALockThatCouldNotBeGivenBackIsNotTakenFromTheNextConsumer(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	p := proxyTo(t, q.addr)
	conn := must[*zkjobs.Conn](t)(zkjobs.Connect(t.Context(), []string{p.Addr()}, &zkjobs.ConnectOptions{SessionTimeout: time.Second}))
	defer conn.Close()
	o := must[*zkjobs.Queue](t)(zkjobs.NewQueue(conn, &zkjobs.Options{Path: q.path}))
	if err := o.Put(t.Context(), 5, "job/a"); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	p.Inject(testenv.Fault{Nth: 1 << 30, Match: func(r testenv.Request) bool {
		if r.Method == "create" && strings.Contains(r.Path, "/taken/entry-") {
			leave()
			time.Sleep(20 * time.Millisecond) // the caller is gone when the lock is made
		}
		return false
	}}, testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == "delete" }, Do: testenv.CutBefore},
		testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == "connect" }, Times: -1, Do: testenv.CutBefore})
	if _, err := o.Get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
	name := q.names()[0]
	locks := func() []string {
		names, _, err := q.raw.Children(q.path + "/taken")
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	for ends := within(t, time.Minute); len(locks()) > 0; time.Sleep(20 * time.Millisecond) {
		if ends.Err() != nil {
			t.Fatal("the session does not end")
		}
	}
	q.lock(name)
	p.Reset()
	must[map[int]int](t)(o.Count(t.Context())) // after what waited for the connection
	if got := locks(); len(got) != 1 {
		t.Errorf("locks %v, want that of %s", got, name)
	}
}
