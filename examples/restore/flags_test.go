package main

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
)

func parsed(t *testing.T, args ...string) *config {
	t.Helper()
	c, err := parse(args, func(string) (string, bool) { return "", false }, io.Discard)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return c
}

// A flag that is read and goes nowhere is one that an operator relies on in vain.
func TestEachFlagReachesWhatItIsFor(t *testing.T) {
	folder, two, before := t.TempDir(), 2, time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	file := func(name, text string) string {
		if err := os.WriteFile(folder+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return folder + "/" + name
	}
	queries := file("queries.json", `[{"name":"n","index":"i","min":1}]`)
	manifest := file("manifest.json", `{"repository":"r","snapshot":"s","uuid":"u","indices":{"i":{"before":7}},"documents":7,"digest":"d"}`)
	plan := file("plan.json", `{"id":"x","repository":"r"}`)
	conf := file("x.conf", "")
	for _, c := range []struct {
		args string
		want config
	}{
		{"plan -json -timeout 1m -snapshot s -indices a,-b -setting index.hidden=true -setting index.codec= -checksums -tolerance 0.1 -allow-partial -replicas 2 -replace -other-shards -without-aliases",
			config{json: true, timeout: time.Minute, sel: restore.Selector{Name: "s", AllowPartial: true}, request: restore.Request{Indices: []string{"a", "-b"}, Settings: map[string]string{"index.hidden": "true", "index.codec": ""},
				Checksums: true, DocumentTolerance: 0.1, AllowPartial: true, Replicas: &two, Replace: true, OtherShards: true, WithoutAliases: true}}},
		{"apply -snapshot latest -before 2026-01-02T15:04:05Z -rename x- -limit -1 -keep-going -detach -yes cluster",
			config{sel: restore.Selector{Before: before}, request: restore.Request{DocumentTolerance: 0.02, RenamePrefix: "x-"}, opts: restore.ApplyOptions{BytesPerSecond: -1, KeepGoing: true, Detach: true}, yes: "cluster"}},
		{"apply -global-state", config{request: restore.Request{DocumentTolerance: 0.02, GlobalState: true}}},
		{"apply -plan " + plan, config{request: restore.Request{DocumentTolerance: 0.02}, plan: &restore.Plan{ID: "x", Repository: "r"}}},
		{"attach -snapshot s -limit 5 -keep-going", config{sel: restore.Selector{Name: "s"}, request: restore.Request{DocumentTolerance: -1}, opts: restore.ApplyOptions{BytesPerSecond: 5, KeepGoing: true}}},
		{"attach -snapshot s -abandon", config{sel: restore.Selector{Name: "s"}, request: restore.Request{DocumentTolerance: -1}, abandon: true}},
		{"verify -snapshot s -replicas 2 -queries " + queries, config{sel: restore.Selector{Name: "s"}, request: restore.Request{DocumentTolerance: 0.02, Replicas: &two}, queries: []restore.Query{{Name: "n", Index: "i", Min: 1}}}},
		{"drill -snapshot verified -budget 1h -metrics " + folder + "/m.prom -jitter 5m -listen :9116 -schedule 0_3_*_*_0 -conf " + conf,
			config{conf: conf, verified: true, request: restore.Request{DocumentTolerance: 0.02}, budget: time.Hour, jitter: 5 * time.Minute, metrics: folder + "/m.prom", listen: ":9116"}},
		{"drill -snapshot s -manifest " + manifest, config{sel: restore.Selector{Name: "s"}, request: restore.Request{DocumentTolerance: 0.02}}},
	} {
		args := append(strings.Fields(c.args), "-repository", "r", "-marks", folder+"/marks.json")
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "_", " ")
		}
		got := *parsed(t, args...)
		if (got.schedule != nil) != strings.Contains(c.args, "-schedule") || (got.manifest != nil) != strings.Contains(c.args, "-manifest") {
			t.Errorf("%s: schedule %v, manifest %v", c.args, got.schedule, got.manifest)
		}
		c.want.command, c.want.repository, c.want.marks, c.want.es, c.want.timestamp = args[0], "r", folder+"/marks.json", got.es, got.timestamp
		got.schedule, got.manifest, got.text = nil, nil, texts{}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(config{}, texts{}), cmp.Comparer(func(a, b *restore.Plan) bool { return (a == nil) == (b == nil) && (a == nil || a.ID == b.ID) })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.args, diff)
		}
	}
}

// The numbers of another snapshot would prove nothing, or call a good one bad.
func TestAManifestIsThatOfItsSnapshot(t *testing.T) {
	three, nine := int64(3), int64(9)
	m := &snapshot.Manifest{Snapshot: "s", UUID: "u", Indices: map[string]snapshot.IndexManifest{"same": {Before: 5}, "grown": {Before: 5, After: &nine}, "shrunk": {Before: 5, After: &three}}}
	for _, c := range []struct {
		name, uuid, manifest string
		good                 bool
	}{{"s", "u", "u", true}, {"s", "u", "", true}, {"s", "other", "u", false}, {"other", "u", "u", false}} {
		m.UUID = c.manifest
		p := &program{config: &config{manifest: m}}
		opts, err := p.verifyOptions(restore.Snapshot{Name: c.name, UUID: c.uuid})
		if (err == nil) != c.good || !c.good && cli.ExitCode(err) != cli.ExitUsage {
			t.Errorf("of %q (%s), for %s (%s): %v, want it taken: %t", m.Snapshot, m.UUID, c.name, c.uuid, err, c.good)
		}
		want := map[string]restore.DocumentRange{"same": {Min: 5, Max: 5}, "grown": {Min: 5, Max: 9}, "shrunk": {Min: 3, Max: 5}}
		if diff := cmp.Diff(want, opts.Documents); c.good && diff != "" {
			t.Errorf("documents (-want +got):\n%s", diff)
		}
	}
}
