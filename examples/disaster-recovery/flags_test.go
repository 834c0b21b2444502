package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/stack"
)

// A flag that is read and goes nowhere is one that an operator relies on in vain.
func TestEachFlagReachesWhatItIsFor(t *testing.T) {
	folder, db, core := t.TempDir(), file(t, "services: {}"), file(t, "services: {}")
	args := []string{"-repository-file", file(t, goodRepository), "-allow-unknown-settings", "-repository", "r", "-es", "http://es", "-zk", "zk1,zk2/x", "-api", "http://api",
		"-snapshot", "latest", "-before", "2026-01-02T15:04:05Z", "-indices", "a,,b", "-replicas", "0", "-db", "d", "-core", "c", "-db-compose", db, "-core-compose", core,
		"-engine", "n1=tcp://n1:2376", "-engine", "n2=tcp://n2:2376", "-job-image", "image", "-job-socket", "/socket", "-keep-old", folder,
		"-only", "elasticsearch", "-skip", "look, newest", "-skip", "queue", "-from", "wipe", "-yes", "d", "-plan", "-json", "-journal", folder + "/journal",
		"-report", folder + "/report", "-html", folder + "/html", "-metrics", folder + "/m.prom", "-budget", "30m,restore=20m", "-timeout", "1h"}
	c, err := parse(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	none := 0
	want := config{es: "http://es", zk: "zk1,zk2/x", api: "http://api", repository: "r", allowUnknown: true, before: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC),
		indices: []string{"a", "b"}, replicas: &none, db: "d", core: "c", dbCompose: db, coreCompose: core, engines: map[string]string{"n1": "tcp://n1:2376", "n2": "tcp://n2:2376"},
		job: stack.NodeJob{Image: "image", Socket: "/socket"}, only: onlyES, from: "wipe", skip: []string{"look", "newest", "queue"}, keepOld: folder, yes: "d", planOnly: true, json: true,
		journal: folder + "/journal", reportFile: folder + "/report", htmlFile: folder + "/html", metricsFile: folder + "/m.prom", timeout: time.Hour,
		budget: report.Budget{Whole: 1800, Steps: map[string]float64{"restore": 1200}}}
	want.repositoryFile, want.settings, want.zookeeper = c.repositoryFile, c.settings, c.zookeeper
	if diff := cmp.Diff(want, *c, cmp.AllowUnexported(config{}), cmp.Comparer(func(a, b zookeeper) bool { return a.String() == b.String() })); diff != "" {
		t.Errorf("what is said (-want +got):\n%s", diff)
	}
	if c.settings.S3 == nil || c.settings.S3.Bucket != "nuvla-es-backup" || c.zookeeper.String() != "zk1:2181,zk2:2181/x" {
		t.Errorf("repository %+v, ZooKeeper %s", c.settings, c.zookeeper)
	}
	if diff := cmp.Diff(restore.Request{Snapshot: "s", Indices: want.indices, Replicas: &none}, c.request("s")); diff != "" {
		t.Errorf("what is restored (-want +got):\n%s", diff)
	}
	if options := c.stackOptions(); !cmp.Equal(want.engines, options.Engines) || options.Job == nil || !cmp.Equal(want.job, *options.Job) {
		t.Errorf("the engines are %+v", options)
	}
}

func TestEachFlagOfADrillReachesWhatItIsFor(t *testing.T) {
	c, err := parse([]string{"-repository-file", file(t, goodRepository), "-drill", "-drill-network", "net", "-drill-services", "api, ui", "-drill-api", ":8200/x", "-snapshot", "s"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.production, c.db, c.network, strings.Join(c.copied, " "), c.copiedAPI, c.snapshot}
	if diff := cmp.Diff([]string{"db", "db-drill", "net", "api ui", ":8200/x", "s"}, got); diff != "" {
		t.Errorf("what is said (-want +got):\n%s", diff)
	}
	if _, err := parse([]string{"-repository-file", file(t, goodRepository), "-drill", "-drill-services", "all", "-drill-api", ":8200/"}, io.Discard); err != nil {
		t.Errorf("the api is one of all: %v", err)
	}
}

// Without a word, it is the latest one, of all that is Nuvla's, as it is in the snapshot.
func TestWhatIsNotSaidIsAsTheHelpSays(t *testing.T) {
	c, err := parse([]string{"-repository-file", file(t, goodRepository)}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(restore.Request{Indices: []string{"nuvla-*"}}, c.request(c.snapshot)); diff != "" || !strings.HasSuffix(c.journal, "/nuvla-recovery-db.json") || c.stackOptions().Job != nil {
		t.Errorf("%s journal %s, job %+v", diff, c.journal, c.stackOptions().Job)
	}
	one := file(t, "services: {}")
	for _, flag := range []string{"-db-compose", "-core-compose"} {
		if c, err = parse([]string{"-repository-file", file(t, goodRepository), "-core", "db", flag, one}, io.Discard); err != nil || c.dbCompose != one || c.coreCompose != one {
			t.Errorf("%s of one stack: %+v, %v; want it to be that of both", flag, c, err)
		}
	}
	if c, err = parse([]string{"-repository-file", file(t, goodRepository), "-db-compose", one}, io.Discard); err != nil || c.coreCompose != "" {
		t.Errorf("the core has the databases' file: %+v, %v", c, err)
	}
	if _, err = parse([]string{"-only", "zookeeper"}, io.Discard); err != nil {
		t.Errorf("the queue alone needs no repository: %v", err)
	}
}
