package restore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

func TestRestoreOfThirtyIndicesWithReplicasOnOneNodeIsProvenToTheLastPrimary(t *testing.T) {
	b := places[0].bench(t)
	for i := range 30 {
		b.fill(b.index(string(rune('a'+i/10))+string(rune('0'+i%10))), 3, 20, 100)
	}
	b.snapshot("snap")
	b.wipe()
	plan := b.plan(b.request())
	if got := codes(plan, restore.SeverityError); len(got) > 0 {
		t.Fatal(plan)
	}
	report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	if err != nil {
		t.Fatalf("%v\n%s", err, report)
	}
	if report.Shards != 90 || report.Proven != 90 || report.Documents != 600 || !report.OK() {
		t.Errorf("report:\n%s", report)
	}
	if got := b.limit(); got != "" {
		t.Errorf("limit after the restore is %q, want none as before", got)
	}
	again, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	if err != nil || again.AlreadyThere != 30 {
		t.Errorf("applied again: %v\n%s", err, again)
	}
}

func TestCorruptOrMissingBlobIsFoundAndItsShardNamed(t *testing.T) {
	for name, harm := range map[string]func(*testing.T, *bench, string){
		"flipped byte": func(t *testing.T, b *bench, key string) {
			data, err := b.s3.GetObject(t.Context(), b.bucket(), key)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)/2] ^= 0xff
			if err := b.s3.PutObject(t.Context(), b.bucket(), key, data); err != nil {
				t.Fatal(err)
			}
		},
		"deleted": func(t *testing.T, b *bench, key string) {
			if err := b.s3.DeleteObject(t.Context(), b.bucket(), key); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := places[0].bench(t)
			b.setLimit("33mb")
			b.fill(b.index("good"), 3, 30, 100)
			b.fill(b.index("bad"), 3, 300, 2000)
			b.snapshot("snap")
			b.wipe()
			plan := b.plan(b.request())
			key, shard := b.biggestBlob(t)
			harm(t, b, key)
			report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{KeepGoing: true})
			if !errors.Is(err, nuvlaops.ErrVerification) {
				t.Fatalf("got %v, want ErrVerification", err)
			}
			want := b.index("bad") + "[" + shard + "]"
			if len(report.Failures) != 1 || !strings.HasPrefix(report.Failures[0].String(), want+": ") || !strings.Contains(err.Error(), want) {
				t.Errorf("failures %v, error %v, want the shard %s alone", report.Failures, err, want)
			}
			if report.Proven != 5 || report.Shards != 6 {
				t.Errorf("report:\n%s", report)
			}
			if got := b.limit(); got != "33mb" {
				t.Errorf("limit after the failure is %q, want 33mb as before", got)
			}
			if _, err := b.repo.Verify(t.Context(), plan, restore.VerifyOptions{}); !errors.Is(err, nuvlaops.ErrVerification) {
				t.Errorf("Verify: %v, want ErrVerification", err)
			}
		})
	}
}

// biggestBlob is the key of the largest object of data, and the number of the shard that it belongs to.
func (b *bench) biggestBlob(t *testing.T) (key, shard string) {
	t.Helper()
	objects, err := b.s3.ListObjects(t.Context(), b.bucket(), "indices/")
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, o := range objects {
		if parts := strings.Split(o.Key, "/"); len(parts) == 4 && strings.HasPrefix(parts[3], "__") && o.Size > size {
			key, shard, size = o.Key, parts[2], o.Size
		}
	}
	if key == "" {
		t.Fatal("no object of data in the bucket")
	}
	return key, shard
}

func TestPrimaryThatWasEmptiedByForceIsNotProven(t *testing.T) {
	b := places[0].bench(t)
	b.fill(b.index("bad"), 3, 300, 2000)
	b.snapshot("snap")
	b.wipe()
	plan := b.plan(b.request())
	key, shard := b.biggestBlob(t)
	if err := b.s3.DeleteObject(t.Context(), b.bucket(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{KeepGoing: true}); !errors.Is(err, nuvlaops.ErrVerification) {
		t.Fatalf("got %v, want ErrVerification", err)
	}
	node := ""
	for id := range b.do("GET", "/_nodes/_all/_none", "")["nodes"].(map[string]any) {
		node = id
	}
	b.do("POST", "/_cluster/reroute", `{"commands":[{"allocate_empty_primary":{"index":"`+b.index("bad")+`","shard":`+shard+`,"node":"`+node+`","accept_data_loss":true}}]}`)
	b.do("GET", "/_cluster/health/"+b.index("bad")+"?wait_for_status=yellow&timeout=30s", "")
	report, err := b.repo.Verify(t.Context(), plan, restore.VerifyOptions{})
	if !errors.Is(err, nuvlaops.ErrVerification) || report.Proven != 2 || report.Shards != 3 {
		t.Errorf("%v\n%s", err, report)
	}
}

func TestRepairedBlobIsRestoredByTheSamePlan(t *testing.T) {
	b := places[0].bench(t)
	b.fill(b.index("a"), 3, 300, 2000)
	b.fill(b.index("b"), 3, 30, 100)
	b.snapshot("snap")
	b.wipe()
	plan := b.plan(b.request())
	key, _ := b.biggestBlob(t)
	good, err := b.s3.GetObject(t.Context(), b.bucket(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.s3.DeleteObject(t.Context(), b.bucket(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrVerification) {
		t.Fatalf("got %v, want ErrVerification", err)
	}
	if err := b.s3.PutObject(t.Context(), b.bucket(), key, good); err != nil {
		t.Fatal(err)
	}
	report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	if err != nil || !report.OK() || report.Documents != 330 {
		t.Errorf("applied again: %v\n%s", err, report)
	}
}

// slow limits the repository itself, since Apply raises the limits of the cluster.
func (b *bench) slow() { b.register(`,"max_restore_bytes_per_sec":"1mb"`) }

// TestOnServersOfTheirOwn does what a server that is shared must not suffer.
func TestOnServersOfTheirOwn(t *testing.T) {
	t.Parallel()
	at(t, places[1:3], func(t *testing.T, p place) {
		server := testenv.UseElasticsearch(t, testenv.ElasticsearchOptions{Version: p.version})
		for _, mode := range []string{"restore", "replace"} {
			if !full() && (mode == "replace") != (p.version == testenv.Elasticsearch819) {
				continue // one of the two on each server
			}
			t.Run(mode+", server killed half-way and started again", func(t *testing.T) { serverKilled(t, p.benchOn(t, server, nil), mode) })
		}
		if p.version == testenv.Elasticsearch811 || full() {
			for _, then := range []string{"goes on", "is applied again", "is attached to", "is abandoned"} {
				if then == "is attached to" && !full() {
					continue // as applied again
				}
				t.Run("server killed before anybody saw what it restores, which "+then, func(t *testing.T) { serverKilledUnseen(t, p.benchOn(t, server, nil), then) })
			}
		}
		t.Run("global state", func(t *testing.T) { globalState(t, p.benchOn(t, server, nil)) })
	})
}

// serverKilled: a restore goes on by itself through the death of the server; a replace is taken up by another process.
func serverKilled(t *testing.T, b *bench, mode string) {
	b.fill(b.index("big"), 3, 3000, 2000)
	b.fill(b.index("small"), 3, 30, 100)
	b.snapshot("snap")
	req := b.request()
	if mode == "restore" {
		b.wipe()
	} else {
		req = b.replacing()
		b.do("POST", "/"+b.index("small")+"/_doc?refresh", `{"n":7}`)
	}
	b.slow()
	plan := b.plan(req)
	client := &ilm{Client: b.client, mode: "RUNNING"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	struck := false
	killed := make(chan error, 1)
	report, err := b.open(client, nil).Apply(ctx, plan, restore.ApplyOptions{Progress: func(p nuvlaops.Progress) {
		if struck || p.Bytes == 0 {
			return
		}
		struck = true
		go func() {
			err := b.server.Kill(context.WithoutCancel(ctx))
			if mode == "replace" {
				cancel()
			}
			killed <- errors.Join(err, b.server.Start(context.WithoutCancel(ctx)))
		}()
	}})
	if !struck {
		t.Fatalf("the restore ended before anybody saw it under way: %v", err)
	}
	if e := <-killed; e != nil {
		t.Fatal(e)
	}
	if mode == "replace" {
		if err == nil {
			t.Fatal("the first call ended well although it was cancelled")
		}
		b.do("GET", "/_cluster/health/"+b.index("small")+"?wait_for_status=yellow&timeout=60s", "")
		if n := b.documents(b.index("small")); n != 31.0 {
			t.Errorf("%v documents in an original, want 31", n)
		}
		b.register("")
		report, err = b.open(client, nil).Apply(t.Context(), plan, restore.ApplyOptions{})
	}
	if err != nil || !report.OK() || report.Documents != 3030 || len(b.state()) != 2 {
		t.Errorf("%v\n%s", err, report)
	}
	if got := b.limit(); got != "" || client.mode != "RUNNING" {
		t.Errorf("limit is %q and ILM %s, want none and RUNNING as before", got, client.mode)
	}
}

func TestCancelledRestoreGoesOnAndTheSamePlanTakesItUp(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 3, 2000, 2000)
	b.snapshot("snap")
	b.wipe()
	b.slow()
	plan := b.plan(b.request())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var at time.Time
	_, err := b.repo.Apply(ctx, plan, restore.ApplyOptions{Progress: func(nuvlaops.Progress) { at = time.Now(); cancel() }})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "goes on") && !strings.Contains(err.Error(), "being restored by the server") {
		t.Fatalf("got %v, want context.Canceled and what goes on", err)
	}
	if took := time.Since(at); took > 5*time.Second {
		t.Errorf("the call ended %s after its context", took)
	}
	report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	if err != nil || !report.OK() || report.Documents != 2000 {
		t.Errorf("%v\n%s", err, report)
	}
}
