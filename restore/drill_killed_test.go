package restore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/restore"
)

// drillChildEnv makes the test binary a process that drills and kills itself, as the value says.
const drillChildEnv = "NUVLAOPS_TEST_DRILL"

// drillChild is what the process does.
type drillChild struct {
	URL, Repository string
	Indices         []string
	Kill            killing
}

// killing is the moment of a SIGKILL: at the Nth request with this method and end of the path; before it is sent, a moment
// after, or when its answer is there.
type killing struct {
	Name, Method, Path string
	Nth                int
	When               string
}

// run drills, in the child, and never returns when the moment comes.
func (c drillChild) run() {
	client, err := es.Dial(es.Access{Addresses: []string{c.URL}})
	if err == nil {
		var repo *restore.Repo
		if repo, err = restore.New(&deadly{client: client, at: c.Kill}, c.Repository, nil); err == nil {
			repo.SetClaimEvery(quick)
			_, err = repo.Drill(context.Background(), restore.DrillOptions{Indices: c.Indices})
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// deadly is a client that kills its process.
type deadly struct {
	client restore.Client
	at     killing
	seen   atomic.Int64
}

func (d *deadly) Perform(req *http.Request) (*http.Response, error) {
	if (d.at.Method != "" && req.Method != d.at.Method) || !strings.HasSuffix(req.URL.Path, d.at.Path) || d.seen.Add(1) != int64(d.at.Nth) {
		return d.client.Perform(req)
	}
	switch d.at.When {
	case "before":
		die()
	case "while":
		time.AfterFunc(30*time.Millisecond, die)
	}
	res, err := d.client.Perform(req)
	if d.at.When == "after" {
		die()
	}
	return res, err
}

func die() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) }

// drillKilled runs a drill in a process of its own and reports whether it was killed.
func (b *bench) drillKilled(at killing) bool {
	b.t.Helper()
	raw, err := json.Marshal(drillChild{URL: b.server.URL(), Repository: b.repository(), Indices: b.patterns(), Kill: at})
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.CommandContext(b.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), drillChildEnv+"="+string(raw))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		b.t.Fatalf("the process that drills: %v\n%s", err, out)
	}
	return true
}

func TestDrillThatIsKilledLeavesNothingBehindAfterTheNext(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 3, 600, 2000)
	b.fill(b.index("b"), 1, 7, 10)
	b.snapshot("snap")
	before := b.fingerprint()
	left := 0
	nothing := func(at string) {
		t.Helper()
		report, err := b.drill(restore.DrillOptions{})
		if err != nil {
			t.Fatalf("the drill after one that was killed %s: %v\n%s", at, err, report)
		}
		left += len(report.Swept)
		if got := b.scratch(); len(got) > 0 {
			t.Errorf("killed %s: left %v", at, got)
		}
		if d := cmp.Diff(before, b.fingerprint()); d != "" {
			t.Errorf("killed %s: originals and settings (-before +after):\n%s", at, d)
		}
	}
	moments := []killing{
		{"when it had its claim", "PUT", "/_cluster/settings", 1, "after"},
		{"while the server restored", "POST", "/_restore", 1, "while"},
		{"before it removed", "DELETE", "", 1, "before"},
		{"when it had removed", "DELETE", "", 1, "after"},
	}
	for _, at := range moments {
		if !b.drillKilled(at) {
			t.Errorf("the drill was not killed %s: the moment did not come", at.Name)
		}
		nothing(at.Name)
	}
	if left < 2 {
		t.Errorf("the killed drills left %d indices: the moments did not come", left)
	}
	if os.Getenv("NUVLAOPS_FULL") == "" {
		return
	}
	for n := 1; b.drillKilled(killing{Nth: n, When: "after"}); n++ {
		nothing(fmt.Sprintf("after request %d", n))
	}
}

// asDrillChild runs the child of these tests when this process is one.
func asDrillChild() bool {
	text := os.Getenv(drillChildEnv)
	if text == "" {
		return false
	}
	var c drillChild
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	c.run()
	return true
}
