package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/internal/testenv/images"
	"github.com/nuvla/nuvlaops/stack"
)

const exporter = `
version: "3.7"
services:
  exporter:
    image: IMAGE
    command: ["sleep", "infinity"]
    volumes: ["exporterdata:/kept"]
    deploy: {labels: {LABEL: "OWNER"}}
volumes: {exporterdata: {labels: {LABEL: "OWNER"}}}
`

// withAnExporter runs part while the stack of the databases has a service that is no database, which keeps its container and
// its volume whatever is recovered.
func (d *demo) withAnExporter(t *testing.T, part func()) {
	t.Helper()
	p := &d.platform
	text := strings.NewReplacer("IMAGE", p.images[images.Consumer], "LABEL", testenv.Label, "OWNER", testenv.OwnerLabelValue()).Replace(exporter)
	if err := os.WriteFile(p.file("exporter.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.controller.Deploy(t.Context(), p.db, stack.DeployOptions{Files: []string{p.file("exporter.yml")}}); err != nil {
		t.Fatal(err)
	}
	if err := p.controller.Start(t.Context(), p.db, stack.StartOptions{Groups: [][]string{{"exporter"}}}); err != nil {
		t.Fatal(err)
	}
	id := d.container(t, "exporter")
	part()
	if diff := cmp.Diff(id, d.container(t, "exporter")); diff != "" { // while it runs, its volume is the same
		t.Errorf("the container of the exporter (-before +after):\n%s", diff)
	}
	d.losesService(t, "exporter")
	if _, err := docker(t.Context(), "", "volume", "rm", p.db+"_exporterdata"); err != nil {
		t.Error(err)
	}
}

// fewShards lets a new Elasticsearch take fewer shards than the snapshot has, as the default does where there are years of data:
// what was said of the limit is in the volumes that went.
func (d *demo) fewShards(t *testing.T) {
	t.Helper()
	path := d.platform.file("db.yml")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const mode = "- discovery.type=single-node\n"
	text := strings.Replace(string(raw), mode, mode+"      - ES_SETTING_CLUSTER_MAX__SHARDS__PER__NODE=20\n", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil || text == string(raw) {
		t.Fatalf("nothing was changed in the compose file: %v", err)
	}
}

// allInOneStack: databases and core are services of one stack. The whole is stopped, then gone altogether, and
// deployed from both files: the core waits until its data is there.
func (d *demo) allInOneStack(t *testing.T) {
	p := &d.platform
	if _, err := docker(t.Context(), "", "stack", "rm", p.core); err != nil {
		t.Fatal(err)
	}
	two := p.core
	t.Cleanup(func() { p.core = two })
	p.core = p.db
	if err := d.startCore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, code := d.plan(t)
	if want := "api, es, job-distributor, job-executor, ui, zk"; code != cli.ExitOK || got.Stop[p.db] != want {
		t.Errorf("exit code %d, the plan stops %v, want %s", code, got.Stop, want)
	}
	d.killAt(t, "wipe", begins("wipe"))
	d.takeAway(t)
	d.fewShards(t)
	d.recovered(t, func(t *testing.T) (string, int) {
		out, code := d.alone(t)
		if !strings.Contains(out, "cluster.max_shards_per_node was raised to 2000") {
			t.Errorf("it does not say that the limit of shards was raised:\n%s", out)
		}
		return out, code
	})
}
