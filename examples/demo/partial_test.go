package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/testenv"
)

// onlyTheQueue: ZooKeeper has lost its data, Elasticsearch lives and is not touched.
func (d *demo) onlyTheQueue(t *testing.T) {
	d.losesData(t, "zk")
	d.queueAlone(t)
}

// onlyTheQueueOfNoService: the service of ZooKeeper is gone, too, and its old volumes are there.
func (d *demo) onlyTheQueueOfNoService(t *testing.T) {
	d.losesService(t, "zk")
	if out := d.queueAlone(t); !strings.Contains(out, "2 volumes removed") {
		t.Errorf("the volumes of the service that was gone stay:\n%s", out)
	}
}

func (d *demo) queueAlone(t *testing.T) (out string) {
	t.Helper()
	before, es := d.documentsNow(t), d.container(t, "es")
	out, code := d.runRecovery(t, "-only", "zookeeper", "-repository-file", "", "-journal", d.platform.file("zk.json"))
	if code != cli.ExitOK || !strings.Contains(out, "nothing to do: only zookeeper is recovered") {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	if diff := cmp.Diff(es, d.container(t, "es")); diff != "" {
		t.Errorf("Elasticsearch (-before +after):\n%s", diff)
	}
	if after := d.documentsNow(t); after < before { // executors only change documents
		t.Errorf("%d documents became %d", before, after)
	}
	r, err := report.Read(d.reportFile)
	if err != nil || r.Jobs == nil {
		t.Fatalf("report %+v, %v", r, err)
	}
	if r.Jobs.Total == 0 || r.Jobs.Written != r.Jobs.Total || r.Jobs.Doubled+r.Jobs.Missing > 0 || len(r.Indices) > 0 {
		t.Errorf("jobs %+v of %d indices, want all of them written and nothing restored", r.Jobs, len(r.Indices))
	}
	if err := d.watchExecutors(t.Context()); err != nil {
		t.Error(err)
	}
	return out
}

// besideAnother runs the program to its end. While it runs, a second call is refused, and names the first.
func (d *demo) besideAnother(t *testing.T) (out string, code int) {
	t.Helper()
	first := d.recovery(t.Context())
	out = watched(t, first, regexp.MustCompile(`(?m) start-es .* \.\.\.$`), func() {
		second, code := d.runRecovery(t, "-journal", d.platform.file("second.json"))
		if code != cli.ExitBusy || !strings.Contains(second, fmt.Sprintf("process %d on ", first.Process.Pid)) {
			t.Errorf("a second call at the same time: exit code %d, want %d and the first one named:\n%s", code, cli.ExitBusy, second)
		}
	})
	return out, first.ProcessState.ExitCode()
}

// onlyTheDocuments: Elasticsearch has lost its data, ZooKeeper lives and is not touched.
func (d *demo) onlyTheDocuments(t *testing.T) {
	d.losesData(t, "es")
	d.documentsAlone(t)
}

// onlyTheDocumentsOfNoService: the service of Elasticsearch is gone, too, and its old volume is there.
func (d *demo) onlyTheDocumentsOfNoService(t *testing.T) {
	d.losesService(t, "es")
	d.documentsAlone(t)
}

func (d *demo) documentsAlone(t *testing.T) {
	t.Helper()
	d.forgetRuns(t)
	keep := t.TempDir()
	zk := d.container(t, "zk")
	out, code := d.runRecovery(t, "-only", "elasticsearch", "-journal", d.platform.file("es.json"), "-keep-old", keep)
	if code != cli.ExitOK {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	if err := d.check(t.Context()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(zk, d.container(t, "zk")); diff != "" {
		t.Errorf("ZooKeeper (-before +after):\n%s", diff)
	}
	kept, err := filepath.Glob(filepath.Join(keep, d.platform.db+"-*", d.platform.db+"_*.tar"))
	if err != nil || len(kept) != 1 || !strings.Contains(kept[0], "_esdata@") {
		t.Errorf("archives %v, %v; want that of esdata", kept, err)
	}
}

// forgetRuns removes from ZooKeeper what the executors have noted of the jobs that they ran: what the snapshot has as open
// runs again, and rightly.
func (d *demo) forgetRuns(t *testing.T) {
	t.Helper()
	conn, _, err := zk.Connect([]string{d.platform.zk}, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, kind := range []string{"/demo/executed", "/demo/twice"} {
		marks, _, err := conn.Children(kind)
		if err != nil && !errors.Is(err, zk.ErrNoNode) {
			t.Fatal(err)
		}
		for _, mark := range marks {
			if err := conn.Delete(kind+"/"+mark, -1); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// fromAStepOn: what is before it is left out, and what is there stays.
func (d *demo) fromAStepOn(t *testing.T) {
	before := d.production(t)
	out, code := d.runRecovery(t, "-from", "start-core", "-journal", d.platform.file("from.json"))
	if code != cli.ExitOK || strings.Count(out, "left out, as -from start-core says") < 11 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if diff := cmp.Diff(before, d.production(t)); diff != "" {
		t.Errorf("services, containers and volumes (-before +after):\n%s", diff)
	}
}

func (d *demo) losesData(t *testing.T, service string) {
	t.Helper()
	if err := d.destroyOne(t.Context(), service); err != nil {
		t.Fatal(err)
	}
}

func (d *demo) losesService(t *testing.T, service string) {
	t.Helper()
	if _, err := docker(t.Context(), "", "service", "rm", d.platform.db+"_"+service); err != nil {
		t.Fatal(err)
	}
	d.noContainerOf(t, service)
}

// destroyOne empties the volumes of one database under it and kills it.
func (d *demo) destroyOne(ctx context.Context, service string) error {
	if err := d.ruin(ctx, service, empties[service]); err != nil {
		return err
	}
	if service == "es" {
		return d.waitForTheEmptyOne(ctx)
	}
	return d.waitFor(ctx, cli.ZooKeeperServes(nil, d.platform.zk))
}

func (d *demo) documentsNow(t *testing.T) (n int64) {
	t.Helper()
	var counts []struct {
		Docs string `json:"docs.count"`
	}
	out, err := d.atDatabases(t.Context(), "exec", d.container(t, "es"), "curl", "-s", "localhost:9200/_cat/indices/nuvla-*?format=json&h=docs.count")
	if err == nil {
		err = json.Unmarshal([]byte(out), &counts)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		var one int64
		_, _ = fmt.Sscan(c.Docs, &one)
		n += one
	}
	return n
}

// container is the one of a service. While it runs, its volumes are the same.
func (d *demo) container(t *testing.T, service string) string {
	t.Helper()
	id, err := d.containerOf(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// planned: the plan says what would be done, as JSON too, and touches nothing.
func (d *demo) planned(t *testing.T) {
	before := d.volumes(t) + d.registered(t)
	cmd := d.recovery(t.Context(), "-plan", "-json")
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v:\n%s", err, raw)
	}
	var got struct {
		Ready    bool
		Checks   []struct{ Name, State, Text string }
		Snapshot struct{ Name string }
		Restore  struct{ Indices, Bytes, Documents int64 }
		Stop     map[string]string
		Wipe     []struct {
			Name  string
			Bytes int64
		}
		Steps []struct{ Name string }
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%v:\n%s", err, raw)
	}
	if !got.Ready || got.Snapshot.Name == "" || got.Restore.Indices != int64(len(d.seeded.documents)) || got.Restore.Bytes == 0 || len(got.Wipe) != 3 || len(got.Steps) < 10 {
		t.Errorf("the plan does not say what would be done:\n%s", raw)
	}
	for _, v := range got.Wipe {
		if v.Bytes <= 0 {
			t.Errorf("the plan does not know the size of volume %s", v.Name)
		}
	}
	want := map[string]string{d.platform.db: "es, zk", d.platform.core: "api, job-distributor, job-executor, ui"}
	if diff := cmp.Diff(want, got.Stop); diff != "" {
		t.Errorf("what is stopped (-want +got):\n%s", diff)
	}
	d.untouched(t, before)
}

// anotherStore is a file of a repository that holds no snapshot, in the same bucket.
func (d *demo) anotherStore(t *testing.T) string {
	t.Helper()
	settings := d.settings()
	settings.S3.BasePath = "empty"
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	path := d.platform.file("empty.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withoutAGoodSnapshot: nothing is stopped or wiped.
func (d *demo) withoutAGoodSnapshot(t *testing.T) {
	d.refused("no complete snapshot", "-repository", "of_nobody", "-repository-file", d.anotherStore(t))(t)
}

// withoutSecrets: the stack is gone, and what its compose file needs is not there.
func (d *demo) withoutSecrets(t *testing.T) {
	raw, err := os.ReadFile(d.platform.file("db.yml"))
	if err != nil {
		t.Fatal(err)
	}
	path := d.platform.file("db-without-secrets.yml")
	text := strings.ReplaceAll(string(raw), "name: "+d.platform.secret("secret_key"), "name: of_nobody_"+testenv.OwnerLabelValue())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	before := d.volumeNames(t)
	out, code := d.runRecovery(t, "-db-compose", path, "-journal", d.platform.file("secrets.json"))
	if code != cli.ExitRefused || !strings.Contains(out, "no such secret") {
		t.Errorf("exit code %d, want %d and the secret named:\n%s", code, cli.ExitRefused, out)
	}
	if diff := cmp.Diff(before, d.volumeNames(t)); diff != "" {
		t.Errorf("volumes (-before +after):\n%s", diff)
	}
}

// volumeNames are those of the database stack.
func (d *demo) volumeNames(t *testing.T) []string {
	t.Helper()
	out, err := docker(t.Context(), "", "volume", "ls", "--quiet", "--filter", "name=^"+d.platform.db+"_")
	if err != nil || out == "" {
		t.Fatalf("volumes %q, %v", out, err)
	}
	return strings.Fields(out)
}

// registered are production's repositories as they are registered.
func (d *demo) registered(t *testing.T) string {
	t.Helper()
	out, err := d.atDatabases(t.Context(), "exec", d.container(t, "es"), "curl", "-s", "localhost:9200/_snapshot")
	if err != nil || !strings.Contains(out, repository) {
		t.Fatalf("repositories: %q, %v", out, err)
	}
	return out
}
