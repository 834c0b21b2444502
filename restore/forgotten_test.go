package restore_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// deadAfterRestore is a client whose process ends when the server has done the restore that it was asked for. Nothing is seen of
// it before.
type deadAfterRestore struct {
	restore.Client
	kill context.CancelFunc
	dead *atomic.Bool
}

func (c deadAfterRestore) Perform(r *http.Request) (*http.Response, error) {
	switch {
	case c.dead.Load():
		return nil, errors.New("the process is dead")
	case strings.HasSuffix(r.URL.Path, "/_restore"):
		defer c.kill()
		defer c.dead.Store(true)
	case r.URL.Path == "/_cluster/state/customs":
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return c.Client.Perform(r)
}

// unseen applies a plan, and dies before it has seen which indices that made.
func (b *bench) unseen(plan *restore.Plan) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	client := deadAfterRestore{b.client, cancel, new(atomic.Bool)}
	if _, err := b.open(client, &restore.Options{Retry: nuvlaops.RetryPolicy{MaxAttempts: 1}}).Apply(ctx, plan, restore.ApplyOptions{}); !errors.Is(err, context.Canceled) {
		b.t.Fatalf("got %v, want context.Canceled", err)
	}
}

// reopen makes the primaries of an index come from the server's own disk, as a restart does.
func (b *bench) reopen(index string) {
	b.t.Helper()
	b.do("POST", "/"+index+"/_close", "")
	b.do("POST", "/"+index+"/_open", "")
	b.do("GET", "/_cluster/health/"+index+"?wait_for_status=yellow&timeout=30s", "")
}

func TestPlanMadeAgainTakesUpWhatTheServerHasForgotten(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 2, 10, 100)
	b.snapshot("snap")
	b.wipe()
	b.unseen(b.plan(b.request()))
	b.reopen(b.index("a"))
	plan := b.plan(b.request())
	if !slices.Contains(codes(plan, restore.SeverityInfo), restore.CodeInterrupted) {
		t.Errorf("the plan does not say that it goes on:\n%s", plan)
	}
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || report.AlreadyThere != 1 {
		t.Errorf("%v\n%s", err, report)
	}
}

func TestWhatEndedBeforeAnybodySawItIsAbandoned(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.fill(b.index("b"), 1, 10, 100)
	b.do("PUT", "/"+b.index("a")+"/_settings", `{"index.routing.allocation.require.box":"hot"}`)
	b.snapshot("snap")
	for _, readable := range []bool{true, false} {
		b.wipe()
		b.unseen(b.plan(b.request()))
		if !readable {
			b.do("DELETE", "/_snapshot/"+b.repository(), "") // as good as a repository that cannot be read any more
		}
		report, err := b.repo.Abandon(t.Context(), "snap")
		if _, whole := b.state()[b.index("b")]; err != nil || len(b.state()) != 1 || !whole || readable && report.Proven != 1 {
			t.Errorf("readable %t: %v, and %v is there, want what is whole alone\n%s", readable, err, b.state(), report)
		}
	}
}

func TestWhatAnotherToolRestoresOfTheSnapshotIsNotAbandoned(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.fill(b.index("b"), 1, 2000, 2000)
	b.fill(b.index("c"), 1, 10, 100)
	b.do("PUT", "/"+b.index("c")+"/_settings", `{"index.routing.allocation.require.box":"hot"}`)
	b.snapshot("snap")
	b.wipe()
	req := b.request()
	req.Indices, req.RenamePrefix = []string{b.index("a")}, "copy-"
	b.unseen(b.plan(req))
	b.slow()
	others := []string{b.index("b"), b.index("c"), "copy-" + b.index("b")} // copied, or failed
	b.do("POST", "/_snapshot/"+b.repository()+"/snap/_restore", `{"indices":"`+b.index("b")+","+b.index("c")+`","feature_states":["none"]}`)
	b.do("POST", "/_snapshot/"+b.repository()+"/snap/_restore", `{"indices":"`+b.index("b")+`","feature_states":["none"],"rename_pattern":"(.+)","rename_replacement":"copy-$1"}`)
	report, err := b.repo.Abandon(t.Context(), "snap")
	there := b.state()
	for _, name := range others {
		if _, ok := there[name]; !ok || err != nil {
			t.Errorf("%v: %s is not there any more\n%s", err, name, report)
		}
	}
}

// bounded is a client that sees whether requests about the repository end by themselves.
type bounded struct {
	restore.Client
	t testing.TB
}

func (c bounded) Perform(r *http.Request) (*http.Response, error) {
	if _, ends := r.Context().Deadline(); strings.HasPrefix(r.URL.Path, "/_snapshot/") && !ends {
		c.t.Errorf("%s %s waits for a repository that may never answer", r.Method, r.URL.Path)
	}
	return c.Client.Perform(r)
}

func TestAbandonDoesNotWaitForARepositoryThatNeverAnswers(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.snapshot("snap")
	b.wipe()
	b.unseen(b.plan(b.request()))
	if report, err := b.open(bounded{b.client, t}, nil).Abandon(t.Context(), "snap"); err != nil {
		t.Errorf("%v\n%s", err, report)
	}
}

func TestWhatAnotherRestoreHasMadeIsNotTakenForOneThatWasRefused(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 200, 100)
	b.snapshot("older")
	b.do("POST", "/"+b.index("a")+"/_doc?refresh", `{"n":7}`)
	b.snapshot("snap")
	for name, client := range map[string]restore.Client{
		"refused":  denied{b.client, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/_restore") }},
		"not sent": denied{&ilm{Client: b.client, mode: "RUNNING"}, func(r *http.Request) bool { return r.URL.Path == "/_ilm/stop" }},
	} {
		b.wipe()
		plan := b.plan(b.request())
		if _, err := b.open(client, nil).Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrDenied) {
			t.Fatalf("%s: %v, want ErrDenied", name, err)
		}
		b.do("POST", "/_snapshot/"+b.repository()+"/older/_restore?wait_for_completion=true", `{"indices":"`+b.index("a")+`"}`)
		b.reopen(b.index("a"))
		if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict, since it was restored from an older snapshot\n%s", name, err, report)
		}
	}
}

func TestWhatIsJustBeingStartedIsNotAbandoned(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.restoredAndWrittenTo(b.index("a"))
	starts := b.holdStarts()
	b.do("POST", "/"+b.index("a")+"/_close?wait_for_active_shards=0", "")
	b.do("POST", "/"+b.index("a")+"/_open?wait_for_active_shards=0", "")
	if report, err := b.repo.Abandon(t.Context(), "snap"); !errors.Is(err, nuvlaops.ErrBusy) || len(b.state()) != 1 {
		t.Errorf("%v, want ErrBusy\n%s\n%v", err, report, b.state())
	}
	starts()
	b.do("GET", "/_cluster/health/"+b.index("a")+"?wait_for_status=yellow&timeout=30s", "")
	if report, err := b.repo.Abandon(t.Context(), "snap"); err != nil || b.documents(b.index("a")) != 11.0 {
		t.Errorf("%v\n%s", err, report)
	}
}

func TestWhatWasFoundDoneIsStillProvenAfterARestart(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 2, 10, 100)
	b.snapshot("snap")
	b.wipe()
	plan := b.plan(b.request())
	b.unseen(plan)
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || report.AlreadyThere != 1 {
		t.Fatalf("%v\n%s", err, report)
	}
	b.reopen(b.index("a"))
	if report, err := b.repo.Verify(t.Context(), plan, restore.VerifyOptions{}); err != nil {
		t.Errorf("%v\n%s", err, report)
	}
}
