package zkjobs_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
)

func TestMain(m *testing.M) {
	if where := strings.Fields(os.Getenv(childVariable)); len(where) == 2 {
		if err := child(where[0], where[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	testenv.Main(m)
}

// versions of ZooKeeper that the tests run on: Nuvla's and a current one.
func versions() []string { return []string{testenv.ZooKeeper34, testenv.ZooKeeper39} }

// onEach runs a test on each version.
func onEach(t *testing.T, test func(t *testing.T, q *queue)) {
	t.Helper()
	for _, v := range versions() {
		t.Run(v, func(t *testing.T) { test(t, newQueueOf(t, v)) })
	}
}

var queues atomic.Int64

// queue is a job queue of its own on a real server, looked at with the bare client.
type queue struct {
	t    testing.TB
	addr string
	path string
	raw  *zk.Conn
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func newQueue(t testing.TB, addr string) *queue {
	t.Helper()
	raw, _, err := zk.Connect(strings.Split(addr, ","), 10*time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(raw.Close)
	return &queue{t: t, addr: addr, path: fmt.Sprintf("/job-%d", queues.Add(1)), raw: raw}
}

func newQueueOf(t testing.TB, version string) *queue {
	t.Helper()
	return newQueue(t, testenv.SharedZooKeeper(t, version).Addr())
}

// must is for what cannot fail unless the test is wrong.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (q *queue) connect(addrs ...string) *zkjobs.Conn {
	q.t.Helper()
	if len(addrs) == 0 {
		addrs = []string{q.addr}
	}
	conn := must[*zkjobs.Conn](q.t)(zkjobs.Connect(q.t.Context(), addrs, nil))
	q.t.Cleanup(conn.Close)
	return conn
}

func (q *queue) rebuilder(source zkjobs.Source, addrs ...string) *zkjobs.Rebuilder {
	q.t.Helper()
	return must[*zkjobs.Rebuilder](q.t)(zkjobs.New(source, q.connect(addrs...), &zkjobs.Options{Path: q.path}))
}

// make creates the queue's two nodes.
func (q *queue) make() {
	q.t.Helper()
	for _, p := range []string{q.path, q.path + "/entries", q.path + "/taken"} {
		if _, err := q.raw.Create(p, nil, 0, zk.WorldACL(zk.PermAll)); err != nil && err != zk.ErrNodeExists {
			q.t.Fatal(err)
		}
	}
}

// put creates an entry as kazoo does.
func (q *queue) put(priority int, id string) string {
	q.t.Helper()
	path := fmt.Sprintf("%s/entries/entry-%03d-", q.path, priority)
	made := must[string](q.t)(q.raw.Create(path, []byte(id), zk.FlagSequence, zk.WorldACL(zk.PermAll)))
	return made[strings.LastIndexByte(made, '/')+1:]
}

// lock takes an entry as kazoo does.
func (q *queue) lock(name string) {
	q.t.Helper()
	must[string](q.t)(q.raw.Create(q.path+"/taken/"+name, []byte("somebody"), zk.FlagEphemeral, zk.WorldACL(zk.PermAll)))
}

// consume removes an entry as kazoo does.
func (q *queue) consume(name string) {
	q.t.Helper()
	if err := q.raw.Delete(q.path+"/entries/"+name, -1); err != nil {
		q.t.Fatal(err)
	}
}

// entries reads the queue, in its order.
func (q *queue) entries() []zkjobs.Entry {
	q.t.Helper()
	taken, _, err := q.raw.Children(q.path + "/taken")
	if err != nil && err != zk.ErrNoNode {
		q.t.Fatal(err)
	}
	names := q.names()
	list := make([]zkjobs.Entry, len(names))
	var all sync.WaitGroup
	limit := make(chan struct{}, 64)
	for i, name := range names {
		limit <- struct{}{}
		all.Go(func() {
			defer func() { <-limit }()
			data, _, err := q.raw.Get(q.path + "/entries/" + name)
			if err != nil {
				q.t.Errorf("read %s: %v", name, err)
			}
			list[i] = zkjobs.Entry{Name: name, ID: string(data), Taken: slices.Contains(taken, name)}
		})
	}
	all.Wait()
	return list
}

// names lists the entries in the queue's order.
func (q *queue) names() []string {
	q.t.Helper()
	names, _, err := q.raw.Children(q.path + "/entries")
	if err == zk.ErrNoNode {
		return nil
	}
	if err != nil {
		q.t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// ids lists what consumers would get, as "050 job/x".
func (q *queue) ids() []string {
	q.t.Helper()
	var ids []string
	for _, e := range q.entries() {
		ids = append(ids, e.Name[6:9]+" "+e.ID)
	}
	return ids
}

// clock is a moment long before any test.
func clock() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// job makes a job of a priority, created n milliseconds after the clock.
func job(id string, priority, n int) zkjobs.Job {
	return zkjobs.Job{ID: "job/" + id, Priority: priority, State: "QUEUED", Mode: "push", Action: "start_deployment",
		Created: clock().Add(time.Duration(n) * time.Millisecond)}
}

// manyJobs makes n jobs of three priorities, and says what the queue must hold.
func manyJobs(n int) (jobs []zkjobs.Job, want []string) {
	priorities := []int{10, 50, 999}
	for i := range n {
		jobs = append(jobs, job(fmt.Sprintf("%08d", n-i), priorities[i%3], n-i))
	}
	for _, p := range priorities {
		for i := n - 1; i >= 0; i-- {
			if jobs[i].Priority == p {
				want = append(want, fmt.Sprintf("%03d %s", p, jobs[i].ID))
			}
		}
	}
	return jobs, want
}

func apply(t testing.TB, r *zkjobs.Rebuilder, opts zkjobs.ApplyOptions) *zkjobs.Result {
	t.Helper()
	plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
	return must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, opts))
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
