package restore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// replacing is a request that replaces what is there.
func (b *bench) replacing() restore.Request {
	q := b.request()
	q.Replace = true
	return q
}

// state is what a reader of this bench's indices sees: UUIDs and numbers of documents by name, aliases and to what they point.
func (b *bench) state() map[string]string {
	b.t.Helper()
	out := map[string]string{}
	for name, x := range b.do("GET", "/*"+b.id+"-*?expand_wildcards=all", "", 404) {
		index, _ := x.(map[string]any)
		if index == nil || index["settings"] == nil {
			continue
		}
		settings := index["settings"].(map[string]any)["index"].(map[string]any)
		out[name] = fmt.Sprintf("%v, %v shards, %v replicas, aliases %v", settings["uuid"], settings["number_of_shards"], settings["number_of_replicas"], index["aliases"])
	}
	return out
}

func (b *bench) documents(index string) any {
	b.t.Helper()
	b.do("POST", "/"+index+"/_refresh", "")
	return b.do("GET", "/"+index+"/_count", "")["count"]
}

// changed makes indices that differ from their snapshot: a of more documents, b of another number of shards, closed c.
func (b *bench) changed() {
	b.fill(b.index("a"), 3, 30, 100)
	b.fill(b.index("b"), 2, 20, 100)
	b.fill(b.index("c"), 1, 10, 100)
	b.fill(b.index("d"), 1, 5, 100)
	b.snapshot("snap")
	b.do("POST", "/"+b.index("a")+"/_doc?refresh", `{"n":7}`)
	b.do("POST", "/_aliases", `{"actions":[{"add":{"index":"`+b.index("a")+`","alias":"alias-`+b.id+`","is_write_index":true,"filter":{"term":{"n":7}}}}]}`)
	b.do("DELETE", "/"+b.index("b"), "")
	b.fill(b.index("b"), 1, 1, 100)
	b.do("POST", "/"+b.index("c")+"/_close", "")
	b.do("DELETE", "/"+b.index("d"), "")
}

func TestReplaceTakesThePlaceOfOpenClosedAndOtherwiseShardedIndices(t *testing.T) {
	at(t, []place{places[0], places[2]}, func(t *testing.T, p place) {
		b := p.bench(t)
		b.changed()
		before := b.state()
		refused := b.plan(b.replacing())
		if d := cmp.Diff([]string{restore.CodeShardsDiffer}, codes(refused, restore.SeverityError)); d != "" {
			t.Errorf("errors where shards differ and nothing was said (-want +got):\n%s", d)
		}
		if _, err := b.repo.Apply(t.Context(), refused, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrRefused) {
			t.Errorf("Apply: %v, want ErrRefused", err)
		}
		if d := cmp.Diff(before, b.state()); d != "" {
			t.Errorf("a refused plan changed (-want +got):\n%s", d)
		}
		req := b.replacing()
		req.OtherShards = true
		plan := b.plan(req)
		report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{Progress: func(nuvlaops.Progress) {}})
		if err != nil || report.Documents != 65 || report.Proven != 7 {
			t.Fatalf("%v\n%s", err, report)
		}
		after := b.state()
		if len(after) != 4 {
			t.Errorf("indices after the restore: %v", after)
		}
		for name, text := range map[string]string{"a": "3 shards, 2 replicas", "b": "2 shards, 2 replicas", "c": "1 shards, 2 replicas", "d": "1 shards, 2 replicas, aliases map[]"} {
			if !strings.Contains(after[b.index(name)], text) || strings.HasPrefix(after[b.index(name)], strings.SplitN(before[b.index(name)]+",", ",", 2)[0]+",") {
				t.Errorf("index %s is %s, want another one of %s", name, after[b.index(name)], text)
			}
		}
		alias := b.do("GET", "/_alias/alias-"+b.id, "")
		want := map[string]any{b.index("a"): map[string]any{"aliases": map[string]any{"alias-" + b.id: map[string]any{"is_write_index": true, "filter": map[string]any{"term": map[string]any{"n": 7.0}}}}}}
		if d := cmp.Diff(want, alias); d != "" {
			t.Errorf("alias (-want +got):\n%s", d)
		}
		b.do("POST", "/"+b.index("a")+"/_doc?refresh", `{"n":8}`) // it can be written to
		verified, err := b.repo.Verify(t.Context(), plan, restore.VerifyOptions{})
		if err != nil || verified.Proven != 7 {
			t.Errorf("Verify after a write: %v\n%s", err, verified)
		}
		if again, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); again == nil || again.AlreadyThere != 4 {
			t.Errorf("applied again: %v\n%s", err, again)
		}
		if report, err := b.repo.Apply(t.Context(), b.plan(b.replacing()), restore.ApplyOptions{}); err != nil || report.AlreadyThere != 0 || b.documents(b.index("a")) != 30.0 {
			t.Errorf("planned again: %v\n%s", err, report)
		}
	})
}

func TestReplaceOfASnapshotWithACorruptBlobLeavesEveryOriginalAsItWas(t *testing.T) {
	b := places[0].bench(t)
	b.fill(b.index("a"), 3, 30, 100)
	b.fill(b.index("big"), 3, 300, 2000)
	b.snapshot("snap")
	b.do("POST", "/"+b.index("a")+"/_doc?refresh", `{"n":7}`)
	key, shard := b.biggestBlob(t)
	good, err := b.s3.GetObject(t.Context(), b.bucket(), key)
	if err != nil {
		t.Fatal(err)
	}
	bad := append([]byte{}, good...)
	bad[len(bad)/2] ^= 0xff
	if err := b.s3.PutObject(t.Context(), b.bucket(), key, bad); err != nil {
		t.Fatal(err)
	}
	before := b.state()
	client := &ilm{Client: b.client, mode: "RUNNING"}
	plan := b.plan(b.replacing())
	report, err := b.open(client, nil).Apply(t.Context(), plan, restore.ApplyOptions{KeepGoing: true}) // or ILM waits for the shards that are still copied
	if client.mode != "RUNNING" || b.limit() != "" {
		t.Errorf("after the failure ILM is %s and the limit %q, want RUNNING and none as before", client.mode, b.limit())
	}
	if want := b.index("big") + "[" + shard + "]"; !errors.Is(err, nuvlaops.ErrVerification) || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v, want ErrVerification that names %s\n%s", err, want, report)
	}
	if d := cmp.Diff(before, b.originals()); d != "" {
		t.Errorf("originals (-want +got):\n%s", d)
	}
	if n := b.documents(b.index("a")); n != 31.0 {
		t.Errorf("%v documents in an original, want 31", n)
	}
	report, err = b.repo.Abandon(t.Context(), "snap")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, b.state()); d != "" {
		t.Errorf("after the restore was abandoned (-want +got):\n%s\n%s", d, report)
	}
	if err := b.s3.PutObject(t.Context(), b.bucket(), key, good); err != nil {
		t.Fatal(err)
	}
	if report, err = b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || report.Documents != 330 || len(b.state()) != 2 {
		t.Errorf("with the blob as it was: %v\n%s", err, report)
	}
}

// originals is state without what is restored beside.
func (b *bench) originals() map[string]string {
	out := b.state()
	for name := range out {
		if strings.HasPrefix(name, "restoring-") {
			delete(out, name)
		}
	}
	return out
}

func TestReplaceRefusesAnIndexThatAppearedOrChangedAfterThePlan(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.fill(b.index("b"), 1, 10, 100)
	b.snapshot("snap")
	b.do("DELETE", "/"+b.index("b"), "")
	for name, change := range map[string]func(){
		"appeared": func() { b.fill(b.index("b"), 1, 3, 100) },
		"changed":  func() { b.do("DELETE", "/"+b.index("a"), ""); b.fill(b.index("a"), 1, 4, 100) },
	} {
		plan := b.plan(b.replacing())
		change()
		before := b.state()
		if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict", name, err)
		}
		if d := cmp.Diff(before, b.state()); d != "" {
			t.Errorf("%s: a conflict changed (-want +got):\n%s", name, d)
		}
	}
}

func TestCancelledReplaceCanBeAbandonedOrTakenUpByAttach(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 3, 1500, 2000)
	b.snapshot("snap")
	b.do("POST", "/"+b.index("big")+"/_doc?refresh", `{"n":7}`)
	before := b.state()
	client := &ilm{Client: b.client, mode: "RUNNING"}
	repo := b.open(client, nil)
	b.setLimit("21mb")
	cancelled := func() {
		b.slow()
		defer b.register("")
		plan, err := repo.Plan(t.Context(), b.replacing())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if _, err := repo.Apply(ctx, plan, restore.ApplyOptions{Progress: func(nuvlaops.Progress) { cancel() }}); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want context.Canceled", err)
		}
		if client.mode != "STOPPED" {
			t.Errorf("ILM is %s while the restore goes on", client.mode)
		}
	}
	cancelled()
	other := b.request()
	other.RenamePrefix = "copy-"
	if got := codes(b.plan(other), restore.SeverityWarning); !slices.Contains(got, restore.CodeLeftover) || !slices.Contains(got, restore.CodeInterrupted) {
		t.Errorf("another plan does not say what is left: %v", got)
	}
	if _, err := b.open(client, nil).Abandon(t.Context(), "snap"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, b.state()); d != "" {
		t.Errorf("after the restore was abandoned (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"RUNNING", "21mb"}, []string{client.mode, b.limit()}); d != "" {
		t.Errorf("ILM and limit (-want +got):\n%s", d)
	}
	if _, err := b.repo.Attach(t.Context(), "snap", restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrNotFound) {
		t.Errorf("attached to what was abandoned: %v, want ErrNotFound", err)
	}
	if _, err := b.repo.Abandon(t.Context(), "snap"); err != nil {
		t.Errorf("abandoned again: %v", err)
	}
	cancelled()
	report, err := b.open(client, nil).Attach(t.Context(), "snap", restore.ApplyOptions{})
	if err != nil || report.Documents != 1500 || len(b.state()) != 1 || b.documents(b.index("big")) != 1500.0 {
		t.Errorf("attached: %v\n%s", err, report)
	}
	if d := cmp.Diff([]string{"RUNNING", "21mb"}, []string{client.mode, b.limit()}); d != "" {
		t.Errorf("ILM and limit (-want +got):\n%s", d)
	}
	if _, err := b.repo.Attach(t.Context(), "other", restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrNotFound) {
		t.Errorf("attached to what does not run: %v, want ErrNotFound", err)
	}
}

// before is a client that does something before the first request that is like it.
type before struct {
	restore.Client
	like func(*http.Request) bool
	do   func()
	once sync.Once
}

func (c *before) Perform(r *http.Request) (*http.Response, error) {
	if c.like(r) {
		c.once.Do(c.do)
	}
	return c.Client.Perform(r)
}

func TestReplacementWhoseNameWasTakenIsNotAbandoned(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.snapshot("snap")
	client := &before{Client: b.client, like: func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/_clone/") },
		do: func() { b.fill(b.index("a"), 1, 1, 100) }}
	plan := b.plan(b.replacing())
	report, err := b.open(client, nil).Apply(t.Context(), plan, restore.ApplyOptions{})
	if err == nil {
		t.Errorf("Apply ended well:\n%s", report)
	}
	if report, err := b.repo.Abandon(t.Context(), "snap"); !errors.Is(err, nuvlaops.ErrRefused) {
		t.Errorf("Abandon: %v, want ErrRefused\n%s", err, report)
	}
	if n := b.documents("restoring-" + plan.ID + "-" + b.index("a")); n != 10.0 {
		t.Errorf("the replacement has %v documents, want 10", n)
	}
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) {
		t.Errorf("applied again: %v, want ErrConflict\n%s", err, report)
	}
	if _, err := b.repo.Attach(t.Context(), "snap", restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("attached: %v, want ErrConflict, and how to free the name, since no other plan is applied meanwhile", err)
	}
	b.do("DELETE", "/"+b.index("a"), "")
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || report.Documents != 10 {
		t.Errorf("with the name free: %v\n%s", err, report)
	}
}

func TestTwoCallsOfOneReplaceDoNotDeleteEachOthersClones(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.fill(b.index("b"), 1, 20, 100)
	b.snapshot("snap")
	plan := b.plan(b.replacing())
	var cloned atomic.Bool // requests are sent side by side
	client := &before{Client: b.client, like: func(r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/_clone/") {
			return cloned.Swap(true)
		}
		return cloned.Load()
	}, do: func() {
		if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
			t.Errorf("the call beside: %v\n%s", err, report)
		}
	}}
	if report, err := b.open(client, nil).Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) {
		t.Errorf("%v, want ErrConflict\n%s", err, report)
	}
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || report.AlreadyThere != 2 || report.Documents != 30 {
		t.Errorf("applied again: %v\n%s", err, report)
	}
}

func TestAttachReplacesNoIndexThatThePlanHasNotSeen(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 3, 1500, 2000)
	b.snapshot("snap")
	b.slow()
	plan := b.plan(b.replacing())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := b.repo.Apply(ctx, plan, restore.ApplyOptions{Progress: func(nuvlaops.Progress) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	b.do("DELETE", "/"+b.index("big"), "")
	b.fill(b.index("big"), 3, 4, 100)
	before := b.originals()
	if report, err := b.repo.Attach(t.Context(), "snap", restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) {
		t.Errorf("Attach: %v, want ErrConflict\n%s", err, report)
	}
	if d := cmp.Diff(before, b.originals()); d != "" {
		t.Errorf("originals (-want +got):\n%s", d)
	}
}

// denied is a client to whom the requests that are like it are denied.
type denied struct {
	restore.Client
	like func(*http.Request) bool
}

func (c denied) Perform(r *http.Request) (*http.Response, error) {
	if !c.like(r) {
		return c.Client.Perform(r)
	}
	res := answer(`{"error":{"type":"security_exception","reason":"action is unauthorized"}}`)
	res.StatusCode = http.StatusForbidden
	return res, nil
}

func TestReplaceThatMayNotBlockWritesHasDeletedNothingAndCanBeAbandoned(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.snapshot("snap")
	before := b.state()
	client := denied{b.client, func(r *http.Request) bool { return r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "-a/_settings") }}
	if report, err := b.open(client, nil).Apply(t.Context(), b.plan(b.replacing()), restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrDenied) {
		t.Errorf("Apply: %v, want ErrDenied\n%s", err, report)
	}
	if report, err := b.repo.Abandon(t.Context(), "snap"); err != nil {
		t.Errorf("Abandon: %v\n%s", err, report)
	}
	if d := cmp.Diff(before, b.state()); d != "" {
		t.Errorf("afterwards (-want +got):\n%s", d)
	}
}

func TestReadOnlyIndexIsReplacedAndDrilled(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	readOnly := func(yes bool) {
		b.do("PUT", "/*"+b.id+"-a/_settings?expand_wildcards=all", fmt.Sprintf(`{"index.blocks.read_only":%t}`, yes))
	}
	t.Cleanup(func() { b.t = afterTest{b.t}; readOnly(false) })
	readOnly(true)
	b.snapshot("snap")
	readOnly(false)
	if report, err := b.drill(restore.DrillOptions{}); err != nil || report.Removed != 1 || len(b.scratch()) > 0 {
		t.Errorf("Drill: %v\n%s", err, report)
	}
	if report, err := b.repo.Apply(t.Context(), b.plan(b.replacing()), restore.ApplyOptions{}); err != nil || len(b.state()) != 1 {
		t.Errorf("Apply: %v\n%s", err, report)
	}
}
