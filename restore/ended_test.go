package restore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// What a restore has proven may be written to: when it loses a primary afterwards, nobody takes it for half restored.
func TestWhatIsLostAfterTheEndOfARestoreIsNotDeleted(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 2, 10, 100)
	plan := b.restoredAndWrittenTo(b.index("a"))
	b.losePrimary(b.index("a"))

	for name, call := range map[string]func() (*restore.Report, error){
		"apply":   func() (*restore.Report, error) { return b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}) },
		"attach":  func() (*restore.Report, error) { return b.repo.Attach(t.Context(), "snap", restore.ApplyOptions{}) },
		"abandon": func() (*restore.Report, error) { return b.repo.Abandon(t.Context(), "snap") },
	} {
		if report, err := call(); !errors.Is(err, nuvlaops.ErrConflict) || len(b.state()) != 1 {
			t.Errorf("%s: %v, want ErrConflict and the index as it is\n%s", name, err, report)
		}
	}
	if again := b.plan(b.request()); !slices.Contains(codes(again, restore.SeverityError), restore.CodeOpenIndex) {
		t.Errorf("a plan that is made again would take the index up:\n%s", again)
	}
	b.wipe() // as the hint says
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || !report.OK() {
		t.Errorf("%v\n%s", err, report)
	}
}

// The count of the documents comes after the proof, and may not come to its end or find others than there were.
func TestWhatIsProvenIsNotDeletedWhenTheCallEndsBeforeItIsCounted(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 2, 10, 100)
	b.snapshot("snap")
	for name, end := range map[string]func(context.CancelFunc) restore.Client{
		"its context ends": func(cancel context.CancelFunc) restore.Client {
			return &before{Client: b.client, like: func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/_stats") }, do: cancel}
		},
		"it may not count": func(context.CancelFunc) restore.Client {
			return denied{b.client, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/_stats") }}
		},
	} {
		b.wipe()
		plan := b.plan(b.request())
		ctx, cancel := context.WithCancel(t.Context())
		if report, err := b.open(end(cancel), nil).Apply(ctx, plan, restore.ApplyOptions{}); err == nil {
			t.Errorf("%s: the call ended well\n%s", name, report)
		}
		cancel()
		b.losePrimary(b.index("a"))
		was := b.state()
		if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) || !maps.Equal(was, b.state()) {
			t.Errorf("%s: called again: %v, want ErrConflict and the index as it is\n%s", name, err, report)
		}
	}
}

// After a restart of the server an index is under way once more, and may be found to be lost only then.
func TestWhatIsFoundLostWhileItStartsIsNotDeletedEither(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 2, 10, 100)
	b.fill(b.index("b"), 1, 10, 100)
	plan := b.restoredAndWrittenTo(b.index("a"))
	was := b.state()[b.index("a")]
	b.do("DELETE", "/"+b.index("b"), "") // which is restored again, as the hint of a loss says
	starts := b.holdStarts()
	b.do("POST", "/"+b.index("a")+"/_close?wait_for_active_shards=0", "")
	b.do("POST", "/"+b.index("a")+"/_open?wait_for_active_shards=0", "")
	client := &before{Client: b.client, like: func(r *http.Request) bool { return r.Method == "PUT" && r.URL.Path == "/_cluster/settings" }, do: func() {
		b.removeShard(b.index("a"))
		starts()
	}}
	if report, err := b.open(client, nil).Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) || b.state()[b.index("a")] != was {
		t.Errorf("%v, want ErrConflict and the index as it is\n%s", err, report)
	}
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) || b.state()[b.index("a")] != was {
		t.Errorf("called again: %v, want ErrConflict and the index as it is\n%s", err, report)
	}
}

func TestWhatWasClosedSinceIsNoStrangerAndIsToBeOpened(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	plan := b.restoredAndWrittenTo(b.index("a"))
	b.do("POST", "/"+b.index("a")+"/_close", "")
	_, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	var e *nuvlaops.Error
	if !errors.Is(err, nuvlaops.ErrConflict) || !errors.As(err, &e) || e.Resource != b.index("a") || !strings.HasPrefix(e.Hint, "open it") {
		t.Errorf("%v, want ErrConflict, and to open it", err)
	}
}

func TestAReplacementThatIsLostAfterTheEndIsNoStranger(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.snapshot("snap")
	plan := b.plan(b.replacing())
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
		t.Fatalf("%v\n%s", err, report)
	}
	b.losePrimary(b.index("a"))
	if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) || !strings.Contains(err.Error(), "lost a primary since") {
		t.Errorf("%v, want ErrConflict that says what has happened", err)
	}
}

func TestWhatCannotBeStartedAnyMoreIsNeitherWaitedForNorDeleted(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	plan := b.restoredAndWrittenTo(b.index("a"))
	b.stuck(b.index("a"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for name, call := range map[string]func() (*restore.Report, error){
		"apply":   func() (*restore.Report, error) { return b.repo.Apply(ctx, plan, restore.ApplyOptions{}) },
		"abandon": func() (*restore.Report, error) { return b.repo.Abandon(ctx, "snap") },
	} {
		var e *nuvlaops.Error
		if report, err := call(); !errors.Is(err, nuvlaops.ErrConflict) || !errors.As(err, &e) || !strings.Contains(e.Hint, "retry_failed") || len(b.state()) != 1 {
			t.Errorf("%s: %v, want ErrConflict and what to do\n%s", name, err, report)
		}
	}
}

// An error would name the original, which serves; and nobody writes to what was restored beside it.
func TestWhatIsRestoredBesideAndCannotBeStartedIsNotTakenForTheOriginal(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.snapshot("snap")
	b.do("POST", "/"+b.index("a")+"/_doc?refresh", `{"n":7}`)
	client := denied{b.client, func(r *http.Request) bool { return r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "-a/_settings") }}
	for _, c := range []struct {
		name string
		call func(*restore.Plan) (*restore.Report, error)
		want any
	}{
		{"abandon", func(*restore.Plan) (*restore.Report, error) { return b.repo.Abandon(t.Context(), "snap") }, 11.0},
		{"apply", func(p *restore.Plan) (*restore.Report, error) {
			return b.repo.Apply(t.Context(), p, restore.ApplyOptions{})
		}, 10.0},
	} {
		plan := b.plan(b.replacing())
		if report, err := b.open(client, nil).Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrDenied) {
			t.Fatalf("%v, want ErrDenied before anything is replaced\n%s", err, report)
		}
		b.stuck("restoring-" + plan.ID + "-" + b.index("a"))
		if report, err := c.call(plan); err != nil || len(b.state()) != 1 || b.documents(b.index("a")) != c.want {
			t.Errorf("%s: %v, %v\n%s", c.name, err, b.state(), report)
		}
	}
}

// It has its name, and may be written to, from the moment in which it is started.
func TestAReplacementThatCannotBeStartedAnyMoreIsNotReplacedAgain(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.snapshot("snap")
	b.wipe()
	plan := b.plan(b.replacing())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := &before{Client: b.client, like: func(r *http.Request) bool { return r.URL.Path == "/_aliases" }, do: cancel}
	if report, err := b.open(client, nil).Apply(ctx, plan, restore.ApplyOptions{}); !errors.Is(err, context.Canceled) || len(b.state()) != 2 {
		t.Fatalf("%v, %v\n%s", err, b.state(), report)
	}
	b.do("POST", "/"+b.index("a")+"/_doc?refresh", `{"n":7}`)
	b.stuck(b.index("a"))
	was := b.state()
	var e *nuvlaops.Error
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) || !errors.As(err, &e) || !strings.Contains(e.Hint, "retry_failed") || !maps.Equal(was, b.state()) {
		t.Errorf("%v, want ErrConflict and all as it was\n%s", err, report)
	}
	b.do("DELETE", "/"+b.index("a"), "")
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || report.Documents != 10 || len(b.state()) != 1 {
		t.Errorf("as the hint says: %v\n%s", err, report)
	}
}

// Without one of its indices a data stream is neither whole nor can it be restored.
func TestALostIndexOfADataStreamIsNotToBeDeletedByItself(t *testing.T) {
	b := places[1].bench(t)
	_, _, plan := b.copiedStream("ts")
	b.losePrimary(plan.Indices[0].Target)
	_, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	var e *nuvlaops.Error
	if !errors.Is(err, nuvlaops.ErrConflict) || !errors.As(err, &e) || !strings.Contains(e.Hint, "delete the data stream") {
		t.Errorf("%v, want ErrConflict and what to delete", err)
	}
}

// restoredAndWrittenTo brings all that is there back from a snapshot, and goes on with one of the indices.
func (b *bench) restoredAndWrittenTo(index string) *restore.Plan {
	b.t.Helper()
	b.snapshot("snap")
	b.wipe()
	plan := b.plan(b.request())
	if report, err := b.repo.Apply(b.t.Context(), plan, restore.ApplyOptions{}); err != nil {
		b.t.Fatalf("%v\n%s", err, report)
	}
	b.do("POST", "/"+index+"/_doc?refresh", `{"n":7}`)
	return plan
}

// losePrimary takes the files of a shard away while its index is closed.
func (b *bench) losePrimary(index string) {
	b.t.Helper()
	b.do("POST", "/"+index+"/_close", "")
	b.removeShard(index)
	b.do("POST", "/"+index+"/_open?wait_for_active_shards=0", "")
	b.do("GET", "/_cluster/health/"+index+"?wait_for_no_initializing_shards=true&timeout=30s", "")
}

// stuck lets the server give up to start an index that is on its disk.
func (b *bench) stuck(index string) {
	b.t.Helper()
	b.do("POST", "/"+index+"/_close", "")
	b.remove(index, "/0/translog/*")
	b.do("POST", "/"+index+"/_open?wait_for_active_shards=0", "")
	for range 300 { // it is tried five times
		if strings.Contains(fmt.Sprint(b.do("GET", "/_cluster/state/routing_table/"+index, "")["routing_table"]), "deciders_no") {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("%s is still tried", index)
}

func (b *bench) removeShard(index string) {
	b.t.Helper()
	b.remove(index, "/0")
}

// remove takes files of an index away.
func (b *bench) remove(index, files string) {
	b.t.Helper()
	uuid := b.do("GET", "/"+index+"/_settings?flat_settings=true", "")[index].(map[string]any)["settings"].(map[string]any)["index.uuid"].(string)
	if out, err := b.server.Exec(b.t.Context(), "sh", "-c", "rm -r /usr/share/elasticsearch/data/indices/"+uuid+files); err != nil {
		b.t.Fatalf("%v: %s", err, out)
	}
}

// holdStarts keeps primaries that are on the server's own disk from being started, until starts or the end of the test.
func (b *bench) holdStarts() (starts func()) {
	b.t.Helper()
	set := func(value string) {
		b.do("PUT", "/_cluster/settings", fmt.Sprintf(`{"transient":{"cluster.routing.allocation.node_initial_primaries_recoveries":%s}}`, value))
	}
	b.t.Cleanup(func() { b.t = afterTest{b.t}; set("null") })
	set("0")
	return func() {
		set("null")
		b.do("POST", "/_cluster/reroute", "")
	}
}
