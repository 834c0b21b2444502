package zkjobs_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
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

// full is for the sizes that the default run scales down: NUVLAOPS_FULL=1.
func full() bool { return os.Getenv("NUVLAOPS_FULL") != "" }

func scaled(byDefault, atFull int) int {
	if full() {
		return atFull
	}
	return byDefault
}

const childVariable = "NUVLAOPS_ZKJOBS_CHILD" // "ADDRESS PATH": this process is a rebuild that will be killed

const childJobs = 3000

// child runs a rebuild in a process of its own; it says when it begins to write, and after each transaction.
func child(address, path string) error {
	ctx := context.Background()
	conn, err := zkjobs.Connect(ctx, []string{address}, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	jobs, _ := manyJobs(childJobs)
	r, err := zkjobs.New(zkjobstest.Jobs(jobs), conn, &zkjobs.Options{Path: path})
	if err != nil {
		return err
	}
	plan, err := r.Plan(ctx, zkjobs.PlanOptions{})
	if err != nil {
		return err
	}
	fmt.Println("planned")
	_, err = r.Apply(ctx, plan, zkjobs.ApplyOptions{Batch: 11, Progress: func(nuvlaops.Progress) { fmt.Println("wrote") }})
	return err
}

// TestARebuildKilledAtRandomPointsIsFinishedByTheNextCall kills (SIGKILL) a rebuild of 3,000 jobs many times in a row.
func TestARebuildKilledAtRandomPointsIsFinishedByTheNextCall(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		jobs, want := manyJobs(childJobs)
		killed, grew, last := 0, 0, 0
		for killed < scaled(10, 100) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), childVariable+"="+q.addr+" "+q.path)
			out := must[io.ReadCloser](t)(cmd.StdoutPipe())
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			if !lines.Scan() || lines.Text() != "planned" {
				t.Fatalf("child says %q", lines.Text())
			}
			for range rand.IntN(3) { // however fast the machine is, two of three write before they are killed
				lines.Scan()
			}
			time.Sleep(time.Duration(rand.Int64N(int64(20 * time.Millisecond))))
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			killed++
			n := len(q.names())
			if n > last {
				grew++
			}
			last = n
		}
		if grew < 3 || last == 0 {
			t.Fatalf("the kills came too early to prove anything: the queue grew %d times, to %d", grew, last)
		}
		t.Logf("%d kills, the queue grew %d times, to %d of %d", killed, grew, last, childJobs)
		apply(t, q.rebuilder(zkjobstest.Jobs(jobs)), zkjobs.ApplyOptions{})
		if diff := cmp.Diff(want, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%.2000s", diff)
		}
	})
}

// TestTheLeaderOfAnEnsembleDiesInTheMiddle kills the leader while jobs are written, and lets a new one be elected.
func TestTheLeaderOfAnEnsembleDiesInTheMiddle(t *testing.T) {
	servers := testenv.UseZooKeeperEnsemble(t, 3, testenv.ZooKeeperOptions{Version: testenv.ZooKeeper39})
	var addrs []string
	leader := -1
	for i, s := range servers {
		addrs = append(addrs, s.Addr())
		if must[string](t)(s.Mode(t.Context())) == "leader" {
			leader = i
		}
	}
	if leader < 0 {
		t.Fatal("no leader")
	}
	q := newQueue(t, strings.Join(addrs, ","))
	jobs, want := manyJobs(6000)
	r := q.rebuilder(zkjobstest.Jobs(jobs), addrs...)
	plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
	dead := make(chan error, 1)
	var struck bool
	res, err := r.Apply(within(t, 2*time.Minute), plan, zkjobs.ApplyOptions{Batch: 21, Progress: func(p nuvlaops.Progress) {
		if !struck && p.Done > 2000 {
			struck = true
			go func() { dead <- servers[leader].Kill(context.WithoutCancel(t.Context())) }()
		}
	}, Rate: 3000})
	if err != nil {
		t.Fatalf("apply: %v\n%+v", err, res)
	}
	if err := <-dead; err != nil {
		t.Fatal(err)
	}
	q.addr = addrs[(leader+1)%3]
	got := newQueue(t, q.addr)
	got.path = q.path
	if diff := cmp.Diff(want, got.ids()); diff != "" {
		t.Errorf("queue (-want +got):\n%.2000s", diff)
	}
	if mode := must[string](t)(servers[(leader+1)%3].Mode(t.Context())); mode != "leader" && mode != "follower" {
		t.Errorf("mode %q", mode)
	}
	t.Logf("%+v", res)
}

// TestNuvlasServerStartsAgainAfterALargeRebuild: 3.4.13 acknowledges larger transactions than it can read again. It is
// killed in the middle too, where the rebuild waits for it and goes on.
func TestNuvlasServerStartsAgainAfterALargeRebuild(t *testing.T) {
	server := testenv.UseZooKeeper(t, testenv.ZooKeeperOptions{Version: testenv.ZooKeeper34})
	q := newQueue(t, server.Addr())
	jobs, _ := manyJobs(scaled(20_000, 100_000))
	r := q.rebuilder(zkjobstest.Jobs(jobs))
	again := make(chan error, 1)
	var once sync.Once
	res := apply(t, r, zkjobs.ApplyOptions{Progress: func(p nuvlaops.Progress) {
		if p.Done >= int64(len(jobs)/2) && p.Phase == "writing jobs" {
			once.Do(func() { go func() { again <- killAndStart(t.Context(), server) }() })
		}
	}})
	if err := <-again; err != nil || res.Written != len(jobs) {
		t.Fatalf("result: %+v, server: %v", res, err)
	}
	t.Logf("killed in the middle: %+v", res)
	if err := killAndStart(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
	report, err := r.Verify(t.Context(), plan)
	if err != nil || report.Found != len(jobs) {
		t.Errorf("verify after the crash: %v\n%v", err, report)
	}
	if res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{})); res.Written != 0 {
		t.Errorf("written again: %+v", res)
	}
}

func killAndStart(ctx context.Context, server *testenv.ZooKeeper) error {
	if err := server.Kill(ctx); err != nil {
		return err
	}
	return server.Start(ctx)
}

// TestAFullQueueBeforehand rebuilds beside many entries that are not ours: more than a Java client can list.
func TestAFullQueueBeforehand(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	before := scaled(50_000, 200_000)
	ids := make([]string, before)
	for i := range ids {
		ids[i] = fmt.Sprintf("job/old-%06d", i)
	}
	if err := q.other().Put(t.Context(), 500, ids...); err != nil {
		t.Fatal(err)
	}
	jobs, want := manyJobs(300)
	res := apply(t, q.rebuilder(zkjobstest.Jobs(jobs)), zkjobs.ApplyOptions{})
	if res.Written != 300 || res.Report.Extra.Count != before {
		t.Errorf("result: %+v, %v", res, res.Report)
	}
	names := q.names()
	if len(names) != before+300 {
		t.Fatalf("%d entries", len(names))
	}
	var got []string
	for i := range 200 { // priorities 10 and 50 come first
		data, _, err := q.raw.Get(q.path + "/entries/" + names[i])
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, names[i][6:9]+" "+string(data))
	}
	if diff := cmp.Diff(want[:200], got); diff != "" {
		t.Errorf("head of the queue (-want +got):\n%s", diff)
	}
}
