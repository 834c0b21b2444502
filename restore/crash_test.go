package restore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

// full is for the sizes that the default run scales down: NUVLAOPS_FULL=1.
func full() bool { return os.Getenv("NUVLAOPS_FULL") != "" }

func scaled(byDefault, atFull int) int {
	if full() {
		return atFull
	}
	return byDefault
}

const childVariable = "NUVLAOPS_RESTORE_CHILD" // "URL PLANFILE": this process is a restore that will be killed

// child applies a plan in a process of its own.
func child(url, file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var plan restore.Plan
	if err := json.Unmarshal(raw, &plan); err != nil {
		return err
	}
	client, err := es.Dial(es.Access{Addresses: []string{url}})
	if err != nil {
		return err
	}
	repo, err := restore.New(client, plan.Repository, nil)
	if err != nil {
		return err
	}
	_, err = repo.Apply(context.Background(), &plan, restore.ApplyOptions{})
	return err
}

// killed lets a process of its own apply the plan, and kills it (SIGKILL) when it sends its n-th request, before the server
// has that. It reports false when the restore ended before.
func (b *bench) killed(plan *restore.Plan, n int) bool {
	b.t.Helper()
	proxy, err := testenv.NewHTTPProxy(b.url())
	if err != nil {
		b.t.Fatal(err)
	}
	defer proxy.Close()
	proxy.Inject(testenv.Fault{Nth: n, Times: -1, Do: testenv.Hang})
	file := filepath.Join(b.t.TempDir(), "plan")
	raw, err := json.Marshal(plan)
	if err == nil {
		err = os.WriteFile(file, raw, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.CommandContext(b.t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childVariable+"="+proxy.URL()+" "+file)
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				b.t.Errorf("the restore that nobody killed: %v", err)
			}
			return false
		case <-time.After(2 * time.Millisecond):
		}
		if len(proxy.Requests()) >= n {
			_ = cmd.Process.Kill()
			<-ended
			return true
		}
	}
}

func (b *bench) url() string {
	return b.server.URL()
}

// TestRestoreKilledAtAnyOfItsRequestsIsFinishedByTheNextCall kills a process of its own at its first request, at a later
// one, and so on, until one ends by itself.
func TestRestoreKilledAtAnyOfItsRequestsIsFinishedByTheNextCall(t *testing.T) {
	for _, c := range []struct {
		name    string
		request func(*bench) restore.Request
		place   place
		step    int
	}{
		{"fresh", (*bench).request, places[1], scaled(4, 1)},
		{"replace", (*bench).replacing, places[2], scaled(7, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.place.bench(t)
			b.setLimit("21mb")
			b.fill(b.index("a"), 2, 40, 200)
			b.fill(b.index("b"), 1, 20, 200)
			b.snapshot("snap")
			kills := 0
			for n := 1; ; n += c.step {
				b.wipe()
				req := c.request(b)
				if req.Replace {
					b.fill(b.index("a"), 2, 3, 200) // an original, and one that is not there
				}
				plan := b.plan(req)
				goOn := b.killed(plan, n)
				at := fmt.Sprintf("killed at request %d", n)
				if req.Replace {
					b.nothingLost(at)
					if kills%2 == 1 {
						_, err := b.repo.Abandon(t.Context(), "snap")
						if errors.Is(err, nuvlaops.ErrRefused) {
							b.otherRefused(at)
						}
						if err != nil && !errors.Is(err, nuvlaops.ErrRefused) && !errors.Is(err, nuvlaops.ErrNotFound) {
							t.Errorf("%s: abandoned: %v", at, err)
						}
						b.nothingLost(at + " and abandoned")
					}
				}
				report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
				if err != nil || !report.OK() || report.Documents != 60 || len(b.state()) != 2 {
					t.Fatalf("%s: %v\n%s\n%v", at, err, report, b.state())
				}
				if limit := b.limit(); limit != "21mb" {
					t.Fatalf("%s: limit is %q, want 21mb as before", at, limit)
				}
				if !goOn {
					break
				}
				kills++
			}
			if kills < 3 {
				t.Errorf("only %d kills", kills)
			}
			t.Logf("%d kills", kills)
		})
	}
}

// otherRefused: while replacements are being put into their places, no other restore may begin.
func (b *bench) otherRefused(at string) {
	b.t.Helper()
	req := b.request()
	req.RenamePrefix = "copy-"
	plan := b.plan(req)
	if got := codes(plan, restore.SeverityError); !slices.Contains(got, restore.CodeInterrupted) {
		b.t.Errorf("%s: another plan has errors %v, want %s", at, got, restore.CodeInterrupted)
	}
}

// nothingLost: the original of a is there with its 3 documents, or all of what replaces it with 40.
func (b *bench) nothingLost(at string) {
	b.t.Helper()
	for name := range b.state() {
		if !strings.HasSuffix(name, b.index("a")) {
			continue
		}
		b.do("GET", "/_cluster/health/"+name+"?wait_for_status=yellow&timeout=30s", "", 408)
		if n := b.documents(name); n == 3.0 || n == 40.0 {
			return
		}
	}
	b.t.Fatalf("%s: neither the original nor its replacement is there: %v", at, b.state())
}
