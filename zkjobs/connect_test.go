package zkjobs_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

func TestParseHosts(t *testing.T) {
	for _, tc := range []struct {
		in     []string
		hosts  []string
		chroot string
		err    error
	}{
		{[]string{"zk"}, []string{"zk:2181"}, "", nil},
		{[]string{"a:1,b", "c:3 d"}, []string{"a:1", "b:2181", "c:3", "d:2181"}, "", nil},
		{[]string{"a,b/nuvla/x/"}, []string{"a:2181", "b:2181"}, "/nuvla/x", nil},
		{[]string{"a/x", "b/y"}, nil, "", nuvlaops.ErrInvalid},
		{[]string{"a:1/x,b:2/x"}, []string{"a:1", "b:2"}, "/x", nil}, // a Java client would go to /x,b:2/x
		{[]string{"a/x,b/y"}, nil, "", nuvlaops.ErrInvalid},
		{[]string{"::1"}, nil, "", nuvlaops.ErrInvalid},
		{[]string{"[::1],[fe80::1]:1/x"}, []string{"[::1]:2181", "[fe80::1]:1"}, "/x", nil},
		{[]string{"zk:"}, nil, "", nuvlaops.ErrInvalid},
		{[]string{"zk:2l81"}, nil, "", nuvlaops.ErrInvalid},
		{[]string{"zk:65536"}, nil, "", nuvlaops.ErrInvalid},
		{[]string{"http://zk:2181"}, nil, "", nuvlaops.ErrInvalid},
		{[]string{" , "}, nil, "", nuvlaops.ErrInvalid},
		{nil, nil, "", nuvlaops.ErrInvalid},
	} {
		hosts, chroot, err := zkjobs.ParseHosts(tc.in...)
		if diff := cmp.Diff(tc.hosts, hosts); diff != "" || chroot != tc.chroot || !errors.Is(err, tc.err) {
			t.Errorf("%q: got %q, %q, %v", tc.in, hosts, chroot, err)
		}
	}
}

// silent accepts connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l := must[net.Listener](t)(net.Listen("tcp4", "127.0.0.1:0"))
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}

func TestConnectEndsWithItsContextAndItsLimit(t *testing.T) {
	before := runtime.NumGoroutine()
	for name, addr := range map[string]string{"refused": "127.0.0.1:1", "never answers": silent(t), "unknown name": "no-such-host.invalid"} {
		t.Run(name, func(t *testing.T) {
			if _, err := zkjobs.Connect(within(t, 200*time.Millisecond), []string{addr}, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("context: got %v", err)
			}
			_, err := zkjobs.Connect(t.Context(), []string{addr}, &zkjobs.ConnectOptions{ConnectTimeout: 200 * time.Millisecond})
			if !errors.Is(err, nuvlaops.ErrUnavailable) || !strings.Contains(err.Error(), "no session") {
				t.Errorf("limit: got %v", err)
			}
		})
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+1; { // the one that accepts
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestOneLivingHostOfManyIsEnough(t *testing.T) {
	q := newQueue(t, testenv.SharedZooKeeper(t, "").Addr())
	jobs, want := manyJobs(10)
	apply(t, q.rebuilder(zkjobstest.Jobs(jobs), "127.0.0.1:1,"+q.addr+" 127.0.0.1:2"), zkjobs.ApplyOptions{})
	if diff := cmp.Diff(want, q.ids()); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
}

func TestAChrootIsPutBeforeEveryPath(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		jobs, want := manyJobs(10)
		root := "/chroot" + q.path
		r := q.rebuilder(zkjobstest.Jobs(jobs), q.addr+root)
		apply(t, r, zkjobs.ApplyOptions{})
		q.path = root + q.path
		if diff := cmp.Diff(want, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

// TestACancelledContextEndsEveryCall hangs one request of each kind.
func TestACancelledContextEndsEveryCall(t *testing.T) {
	q := newQueue(t, testenv.SharedZooKeeper(t, "").Addr())
	jobs, _ := manyJobs(10)
	for _, method := range []string{"sync", "getData", "getChildren2", "create", "multi"} {
		t.Run(method, func(t *testing.T) {
			p := proxyTo(t, q.addr)
			conn := must[*zkjobs.Conn](t)(zkjobs.Connect(t.Context(), []string{p.Addr()}, nil))
			r := must[*zkjobs.Rebuilder](t)(zkjobs.New(zkjobstest.Jobs(jobs), conn, &zkjobs.Options{Path: q.path + method}))
			before := runtime.NumGoroutine()
			p.Inject(testenv.Fault{Match: func(r testenv.Request) bool { return r.Method == method }, Do: testenv.Hang})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			plan, err := r.Plan(ctx, zkjobs.PlanOptions{})
			if err == nil {
				_, err = r.Apply(ctx, plan, zkjobs.ApplyOptions{})
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			conn.Close()
			for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; {
				if time.Now().After(deadline) {
					t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

// TestConnectAuthenticatesAcrossALostConnection, and ends with its limit where no server answers.
func TestConnectAuthenticatesAcrossALostConnection(t *testing.T) {
	addr := newQueueOf(t, testenv.ZooKeeper34).addr
	auth := func(r testenv.Request) bool { return r.Method == "auth" }
	opts := &zkjobs.ConnectOptions{User: "nuvla", Password: "secret-word"}
	for name, do := range cuts() {
		p := proxyTo(t, addr)
		p.Inject(testenv.Fault{Match: auth, Do: do})
		conn, err := zkjobs.Connect(within(t, 30*time.Second), []string{p.Addr()}, opts)
		if err != nil {
			t.Errorf("cut %s: %v", name, err)
			continue
		}
		conn.Close()
	}
	p := proxyTo(t, addr)
	p.Inject(testenv.Fault{Match: auth, Times: -1, Do: testenv.Hang})
	opts.ConnectTimeout = 200 * time.Millisecond
	_, err := zkjobs.Connect(within(t, 5*time.Second), []string{p.Addr()}, opts)
	if !errors.Is(err, nuvlaops.ErrUnavailable) || !strings.Contains(err.Error(), "not authenticated within 200ms") {
		t.Errorf("no answer: %v", err)
	}
}

// TestCloseEndsWhatWaits: a closed connection does not come back.
func TestCloseEndsWhatWaits(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	conn := q.connect()
	o := must[*zkjobs.Queue](t)(zkjobs.NewQueue(conn, &zkjobs.Options{Path: q.path}))
	ended := make(chan error, 1)
	go func() {
		_, err := o.Get(t.Context())
		ended <- err
	}()
	time.Sleep(100 * time.Millisecond)
	conn.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, nuvlaops.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Get goes on after Close")
	}
}
