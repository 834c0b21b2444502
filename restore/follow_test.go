package restore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

func TestFollowingCostsTwoRequestsASecondWhateverTheNumberOfShards(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("many"), 20, 600, 2000)
	b.fill(b.index("big"), 3, 2000, 2000)
	b.snapshot("snap")
	proxy, client := b.proxied()
	var seen []int
	var at []time.Time
	for _, rate := range []string{"1mb", "200kb", "50kb"} { // a busy machine looks less often
		seen, at = nil, nil
		b.wipe()
		b.register(`,"max_restore_bytes_per_sec":"` + rate + `"`)
		repo := b.open(client, nil)
		if _, err := repo.Apply(t.Context(), b.plan(b.request()), restore.ApplyOptions{Progress: func(p nuvlaops.Progress) {
			seen, at = append(seen, len(proxy.Requests())), append(at, time.Now())
		}}); err != nil {
			t.Fatal(err)
		}
		if len(seen) >= 3 {
			break
		}
		t.Logf("%d looks at %s/s: the restore was too short to say anything", len(seen), rate)
	}
	if len(seen) < 3 {
		t.Fatalf("%d looks: the restore was too short to say anything", len(seen))
	}
	for i := 2; i < len(seen); i++ { // the first look writes the journal
		if n, took := seen[i]-seen[i-1], at[i].Sub(at[i-1]); float64(n) > 2*took.Seconds()+0.1 {
			t.Errorf("%d requests in %s", n, took)
		}
	}
}

// proxied is a client whose requests are counted.
func (b *bench) proxied() (*testenv.Proxy, *es.Transport) {
	b.t.Helper()
	proxy, err := testenv.NewHTTPProxy(b.url())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = proxy.Close() })
	client, err := es.Dial(es.Access{Addresses: []string{proxy.URL()}})
	if err != nil {
		b.t.Fatal(err)
	}
	return proxy, client
}

func TestDetachedRestoreIsFinishedByAttach(t *testing.T) {
	b := places[2].bench(t)
	b.fill(b.index("big"), 3, 600, 2000)
	b.snapshot("snap")
	b.wipe()
	b.slow()
	b.setLimit("21mb")
	report, err := b.repo.Apply(t.Context(), b.plan(b.request()), restore.ApplyOptions{Detach: true})
	if err != nil || report.OK() || report.Indices[0].State != restore.IndexRunning {
		t.Fatalf("detached: %v\n%s", err, report)
	}
	report, err = b.open(b.client, nil).Attach(t.Context(), "snap", restore.ApplyOptions{})
	if err != nil || report.Documents != 600 || report.Proven != 3 || b.limit() != "21mb" {
		t.Errorf("attached: %v, limit %s\n%s", err, b.limit(), report)
	}
}

// Two restores would put back from one journal: ILM would run again at the end of the first.
func TestAnotherPlanWaitsForTheEndOfARestore(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 3, 2000, 2000)
	b.snapshot("snap")
	b.slow()
	first, second := b.request(), b.request()
	first.RenamePrefix, second.RenamePrefix = "first-", "second-"
	plan, other := b.plan(first), b.plan(second)
	ended := make(chan error, 1)
	go func() {
		_, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
		ended <- err
	}()
	conn := &es.Conn{Client: b.client}
	for running := false; !running; { // the server itself: on a busy machine it comes to the request late
		restores, err := conn.RunningRestores(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		running = len(restores) > 0
		select {
		case err := <-ended:
			t.Fatalf("the first ended before it had begun: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	report, err := b.repo.Apply(t.Context(), other, restore.ApplyOptions{})
	if !errors.Is(err, nuvlaops.ErrBusy) || !strings.Contains(err.Error(), b.repository()+"/snap") || len(b.state()) != 2 {
		t.Errorf("beside another: %v, want ErrBusy that names it\n%s\n%v", err, report, b.state())
	}
	if err := <-ended; err != nil {
		t.Errorf("the first: %v", err)
	}
	if report, err := b.repo.Apply(t.Context(), other, restore.ApplyOptions{}); err != nil || report.Documents != 2000 {
		t.Errorf("after its end: %v\n%s", err, report)
	}
}

// A crash has left a restore that the server brings to its end by itself: the next plan puts back what is left.
func TestAnotherPlanGoesOnWhenTheServerHasEndedWhatWasLeft(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 3, 600, 2000)
	b.snapshot("snap")
	b.slow()
	b.setLimit("21mb")
	first, second := b.request(), b.request()
	first.RenamePrefix, second.RenamePrefix = "first-", "second-"
	if _, err := b.repo.Apply(t.Context(), b.plan(first), restore.ApplyOptions{Detach: true}); err != nil {
		t.Fatal(err)
	}
	plan := b.plan(second)
	if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrBusy) {
		t.Errorf("beside what is left: %v, want ErrBusy", err)
	}
	b.do("GET", "/_cluster/health/first-"+b.index("big")+"?wait_for_no_initializing_shards=true&timeout=60s", "")
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || b.limit() != "21mb" {
		t.Errorf("after its end: %v, limit %s\n%s", err, b.limit(), report)
	}
}

// Health is yellow while primaries come from a snapshot.
func TestAttachTellsHowFarTheRestoreIsAndAsksNoMoreThanApply(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 3, 1000, 2000)
	b.snapshot("snap")
	b.wipe()
	b.register(`,"max_restore_bytes_per_sec":"200kb"`)
	if _, err := b.repo.Apply(t.Context(), b.plan(b.request()), restore.ApplyOptions{Detach: true}); err != nil {
		t.Fatal(err)
	}
	proxy, client := b.proxied()
	told := 0
	report, err := b.open(client, nil).Attach(t.Context(), "snap", restore.ApplyOptions{Progress: func(nuvlaops.Progress) { told++ }})
	if err != nil {
		t.Fatalf("%v\n%s", err, report)
	}
	if report.Took < 2*time.Second {
		t.Fatalf("%s: the restore was too short to say anything", report.Took)
	}
	if n := len(proxy.Requests()); told < 2 || float64(n) > 2*report.Took.Seconds()+20 {
		t.Errorf("told %d times, with %d requests in %s", told, n, report.Took)
	}
}

func TestRestoreOfAnotherToolIsFollowedAndProven(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 3, 600, 2000)
	b.snapshot("snap")
	b.wipe()
	b.slow()
	b.do("POST", "/_snapshot/"+b.repository()+"/snap/_restore", `{"indices":"`+b.index("*")+`","feature_states":["none"]}`)
	report, err := b.repo.Attach(t.Context(), "snap", restore.ApplyOptions{})
	if err != nil || report.Documents != 600 || report.Proven != 3 {
		t.Errorf("attached: %v\n%s", err, report)
	}
	if _, err := b.repo.Abandon(t.Context(), "snap"); !errors.Is(err, nuvlaops.ErrNotFound) {
		t.Errorf("abandoned what is not ours: %v, want ErrNotFound", err)
	}
}

func TestShardThatNoNodeMayHoldFailsWithTheReasonOfTheAllocation(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.do("PUT", "/"+b.index("a")+"/_settings", `{"index.routing.allocation.require.box":"hot"}`)
	b.snapshot("snap")
	b.wipe()
	report, err := b.repo.Apply(t.Context(), b.plan(b.request()), restore.ApplyOptions{})
	if !errors.Is(err, nuvlaops.ErrVerification) || !strings.Contains(err.Error(), b.index("a")+"[0]") || !strings.Contains(err.Error(), `box:"hot"`) {
		t.Fatalf("got %v, want ErrVerification with the filter that does not match\n%s", err, report)
	}
	b.do("DELETE", "/_snapshot/"+b.repository(), "") // as good as a repository that cannot be read any more
	report, err = b.repo.Abandon(t.Context(), "snap")
	if err != nil || len(b.state()) != 0 {
		t.Errorf("abandoned: %v\n%s\n%v", err, report, b.state())
	}
	if text := report.String(); report.Took <= 0 || strings.Contains(text, "0001-01-01") { // when the snapshot began is not asked
		t.Errorf("abandoned in %s:\n%s", report.Took, text)
	}
	b.register("")
	req := b.request()
	req.Settings = map[string]string{"index.routing.allocation.require.box": ""}
	if report, err := b.repo.Apply(t.Context(), b.plan(req), restore.ApplyOptions{}); err != nil {
		t.Errorf("with the filter taken back: %v\n%s", err, report)
	}
}

func TestStalledShardIsNamedWithItsReason(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 1, 600, 2000)
	b.snapshot("snap")
	b.wipe()
	b.register(`,"max_restore_bytes_per_sec":"20kb"`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stalled := ""
	_, err := b.repo.Apply(ctx, b.plan(b.request()), restore.ApplyOptions{Progress: func(p nuvlaops.Progress) {
		if p.Message != "" {
			stalled = p.Message
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(stalled, b.index("big")+"[0] has not advanced for ") || !strings.Contains(stalled, "being copied on node") {
		t.Errorf("got %v, stalled: %q, want the shard and what it waits for", err, stalled)
	}
}

func TestOverridesReplaceReplicasSettingsAndAliases(t *testing.T) {
	at(t, places[1:], func(t *testing.T, p place) {
		b := p.bench(t)
		b.fill(b.index("a"), 1, 10, 100)
		b.do("PUT", "/"+b.index("a")+"/_settings", `{"index.refresh_interval":"9s","index.max_result_window":777}`)
		b.do("POST", "/_aliases", `{"actions":[{"add":{"index":"`+b.index("a")+`","alias":"alias-`+b.id+`"}}]}`)
		b.snapshot("snap")
		for _, without := range []bool{false, true} {
			b.wipe()
			req := b.request()
			req.Replicas, req.WithoutAliases = new(int), without
			req.Settings = map[string]string{"index.refresh_interval": "7s", "index.max_result_window": ""}
			if report, err := b.repo.Apply(t.Context(), b.plan(req), restore.ApplyOptions{}); err != nil {
				t.Fatalf("%v\n%s", err, report)
			}
			index := b.do("GET", "/"+b.index("a"), "")[b.index("a")].(map[string]any)
			settings := index["settings"].(map[string]any)["index"].(map[string]any)
			if settings["number_of_replicas"] != "0" || settings["refresh_interval"] != "7s" || settings["max_result_window"] != nil {
				t.Errorf("settings %v", settings)
			}
			if got := len(index["aliases"].(map[string]any)); (got == 0) != without {
				t.Errorf("%d aliases, without aliases: %t", got, without)
			}
		}
	})
}
