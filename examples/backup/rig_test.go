package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/metrics"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/snapshot"
)

func TestMain(m *testing.M) {
	testenv.Main(m, func() { _ = os.RemoveAll(builtHere) })
}

// builtHere is the folder of the program, when it was built.
var builtHere string

// full is for what takes minutes: NUVLAOPS_FULL=1.
func full() bool { return os.Getenv("NUVLAOPS_FULL") != "" }

// program is the backup program, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "nuvla-backup-test")
	if err != nil {
		return "", err
	}
	builtHere = dir
	return testenv.Build(context.Background(), dir, ".")
})

// rig is a repository, indices and files of its own on a real server.
type rig struct {
	*testing.T
	server *testenv.Elasticsearch
	repo   *snapshot.Repo
	id     string
	dir    string
}

var rigs atomic.Int64

func newRig(t *testing.T, version string) *rig {
	t.Helper()
	r := &rig{T: t, server: testenv.SharedElasticsearch(t, version), id: fmt.Sprint("p", rigs.Add(1)), dir: t.TempDir()}
	var err error
	if r.repo, err = snapshot.New(r.server.Client(), "repo-"+r.id, nil); err != nil {
		t.Fatal(err)
	}
	r.repositoryFile("")
	return r
}

func (r *rig) path(name string) string  { return filepath.Join(r.dir, name) }
func (r *rig) index(name string) string { return "nuvla-" + r.id + "-" + name }

// repositoryFile limits the rate, when one is given, so that a snapshot takes its time.
func (r *rig) repositoryFile(rate string) {
	r.Helper()
	limit := ""
	if rate != "" {
		limit = fmt.Sprintf(`,"max_snapshot_bytes_per_sec":%q`, rate)
	}
	text := fmt.Sprintf(`{"type":"fs","settings":{"location":"%s/%s"%s}}`, testenv.ElasticsearchSharedPath, r.id, limit)
	if err := os.WriteFile(r.path("repo.json"), []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
}

// fill makes an index with so many documents. Small ones would be copied at once whatever the rate is.
func (r *rig) fill(name string, documents, bytesEach int) {
	r.Helper()
	var lines strings.Builder
	for i := range documents {
		text := make([]byte, bytesEach)
		for i := range text {
			text[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[rand.IntN(64)]
		}
		fmt.Fprintf(&lines, "{\"index\":{}}\n{\"n\":%d,\"x\":%q}\n", i, text)
	}
	r.send("PUT", "/"+r.index(name), `{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"enabled":false}}`)
	r.send("POST", "/"+r.index(name)+"/_bulk?refresh=true", lines.String())
}

func (r *rig) send(method, path, body string) string {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := r.server.Client().Perform(req)
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	if res.StatusCode > 299 || bytes.Contains(answer, []byte(`"errors":true`)) {
		r.Fatalf("%s %s: %.300s", method, path, answer)
	}
	return string(answer)
}

// args are those of every run of the rig.
func (r *rig) args(more ...string) []string {
	return append([]string{"-es", r.server.URL(), "-repository", r.repo.Name(), "-repository-file", r.path("repo.json"), "-indices", r.index("*"),
		"-timestamp", r.path("timestamp"), "-lock", r.path("lock"), "-metrics", r.path("backup.prom")}, more...)
}

// run runs the program in this process, and returns its lines and its exit code.
func (r *rig) run(more ...string) (string, int) {
	r.Helper()
	var stdout, stderr bytes.Buffer
	err := run(r.Context(), r.args(more...), &stdout, &stderr)
	r.Logf("%v: %d\n%s%s", more, cli.ExitCode(err), stderr.String(), stdout.String())
	return stdout.String(), cli.ExitCode(err)
}

// runOn is run on another host, which has files of its own.
func (r *rig) runOn(host string, more ...string) (string, int) {
	r.Helper()
	var out bytes.Buffer
	cfg, err := parse(r.args(append(more, "-lock", r.path(host+".lock"), "-timestamp", r.path(host+"-timestamp"))...), env(nil), &out)
	if err != nil {
		r.Fatal(err)
	}
	b, err := newBackup(cfg, &out, &out)
	if err != nil {
		r.Fatal(err)
	}
	b.host = host
	err = b.once(r.Context(), identity{})
	r.Logf("%s %v: %d\n%s", host, more, cli.ExitCode(err), out.String())
	return out.String(), cli.ExitCode(err)
}

// command is the program as a process of its own.
func (r *rig) command(more ...string) (*exec.Cmd, *bytes.Buffer) {
	r.Helper()
	path, err := program()
	if err != nil {
		r.Fatal(err)
	}
	cmd, out := exec.Command(path, r.args(more...)...), &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// names are the snapshots that are there, oldest first.
func (r *rig) names() []string {
	r.Helper()
	out := []string{}
	for s, err := range r.repo.List(r.Context(), snapshot.Filter{}) {
		if err != nil {
			r.Fatal(err)
		}
		out = append(out, s.Name)
	}
	return out
}

// waitForRunning returns the name of the snapshot that runs in the repository, when there is one that is not known yet.
func (r *rig) waitForRunning(known ...string) string {
	r.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(30 * time.Millisecond) {
		for s, err := range r.repo.List(r.Context(), snapshot.Filter{States: []string{snapshot.InProgress}}) {
			if err == nil && !slices.Contains(known, s.Name) {
				return s.Name
			}
		}
	}
	r.Fatal("no snapshot runs")
	return ""
}

// touched is when the timestamp file was touched last; zero when it is not there.
func (r *rig) touched() time.Time {
	info, err := os.Stat(r.path("timestamp"))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// metric is what the metrics file says; -1 when it says nothing.
func (r *rig) metric(name string) float64 {
	r.Helper()
	all, err := metrics.ReadFile(r.path("backup.prom"), map[string]string{"repository": r.repo.Name()})
	if err != nil {
		r.Fatal(err)
	}
	if v, there := all[name]; there {
		return v
	}
	return -1
}

func (r *rig) mark(change func(snapshot.Marks)) {
	r.Helper()
	err := snapshot.UpdateMarks(context.Background(), r.path("nuvla-es-backup-marks.json"), func(m snapshot.Marks) error { change(m); return nil })
	if err != nil {
		r.Fatal(err)
	}
}
