package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/metrics"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/snapshot"
)

func TestABackupIsSaidRecordedAndPruned(t *testing.T) {
	versions := []string{testenv.Elasticsearch811}
	if full() {
		versions = append(versions, testenv.Elasticsearch819)
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) { backupIsSaidRecordedAndPruned(newRig(t, version)) })
	}
}

func backupIsSaidRecordedAndPruned(r *rig) {
	r.fill("job", 7, 10)
	r.fill("user", 3, 10)
	if err := os.Mkdir(r.path("manifests"), 0o700); err != nil {
		r.Fatal(err)
	}
	line := regexp.MustCompile(`^Nuvla ES Backup Successful\. (snapshot\.\d{4}-\d\d-\d\dt\d{6}z(?:-[0-9a-f]+)?)\. SUCCESS, 2 of 2 shards, 10 documents, [0-9.]+ KiB in [0-9.]+s(; 1 older ones removed)?\n$`)
	var names []string
	for i := range 4 {
		began := time.Now().Truncate(time.Millisecond)
		out, code := r.run("-keep-last", "1", "-keep-min", "1", "-manifests", r.path("manifests"))
		found := line.FindStringSubmatch(out)
		if code != cli.ExitOK || found == nil {
			r.Fatalf("code %d, %q", code, out)
		}
		names = append(names, found[1])
		if r.touched().Before(began) {
			r.Errorf("the timestamp file says %v, the run began %v", r.touched(), began)
		}
		if i == 0 { // the first one is pinned, and the second one restored by a drill
			r.mark(func(m snapshot.Marks) { m.Pin(r.repo.Name(), names[0], r.uuid(names[0]), snapshot.Pin{At: began}) })
		} else if i == 1 {
			r.mark(func(m snapshot.Marks) {
				m.Verify(r.repo.Name(), names[1], r.uuid(names[1]), snapshot.Verified{At: began})
			})
		}
		time.Sleep(250 * time.Millisecond) // the server's clock has steps
	}
	kept := []string{names[0], names[1], names[3]}
	if diff := cmp.Diff(kept, r.names()); diff != "" {
		r.Error(diff)
	}
	files, _ := filepath.Glob(r.path("manifests/*.json"))
	if len(files) != 3 {
		r.Errorf("manifests %v", files)
	}
	if m, err := snapshot.ReadManifest(r.path("manifests/" + names[3] + ".json")); err != nil || m.Indices[r.index("job")].Before != 7 {
		r.Errorf("%+v, %v", m, err)
	}
	for name, want := range map[string]float64{metrics.BackupDocuments: 10, metrics.BackupExitCode: 0, metrics.BackupFailures: 0} {
		if got := r.metric(name); got != want {
			r.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if r.metric(metrics.BackupSize) < 1000 || r.metric(metrics.BackupDuration) <= 0 {
		r.Errorf("size %v, duration %v", r.metric(metrics.BackupSize), r.metric(metrics.BackupDuration))
	}
	for _, name := range []string{metrics.BackupLastAttempt, metrics.BackupLastSuccess, metrics.BackupNewestGood} {
		if age := time.Since(time.UnixMilli(int64(r.metric(name) * 1000))); age < 0 || age > time.Minute {
			r.Errorf("%s is %v ago", name, age)
		}
	}
	text, _ := os.ReadFile(r.path("backup.prom"))
	if !strings.Contains(string(text), fmt.Sprintf(`nuvla_backup_snapshots{repository="%s",state="SUCCESS"} 3`, r.repo.Name())) {
		r.Errorf("the metrics file is\n%s", text)
	}
}

func (r *rig) uuid(name string) string {
	r.Helper()
	s, err := r.repo.Get(r.Context(), name)
	if err != nil {
		r.Fatal(err)
	}
	return s.UUID
}

func TestAPartialSnapshotDoesNotTouchTheTimestampFileAndPrunesNothing(t *testing.T) {
	r := newRig(t, "")
	r.fill("job", 20, 100)
	for range 2 {
		if _, code := r.run(); code != cli.ExitOK {
			t.Fatal("no good backup to begin with")
		}
	}
	touched, good := r.touched(), r.names()
	r.breakShard("job")
	out, code := r.run("-keep-last", "1", "-keep-min", "1")
	if code != cli.ExitPartial || !strings.HasPrefix(out, "FAILURE snapshot.") || !strings.Contains(out, r.index("job")+"[0]") || strings.Count(out, "\n") != 1 {
		t.Errorf("code %d, %q", code, out)
	}
	if !r.touched().Equal(touched) {
		t.Errorf("the timestamp file was touched: %v, was %v", r.touched(), touched)
	}
	all := r.names()
	if len(all) != 3 || cmp.Diff(good, all[:2]) != "" {
		t.Errorf("%v are there, after %v", all, good)
	}
	if r.metric(metrics.BackupExitCode) != cli.ExitPartial || r.metric(metrics.BackupFailures) != 1 {
		t.Errorf("exit code %v, failures %v", r.metric(metrics.BackupExitCode), r.metric(metrics.BackupFailures))
	}
	if last := r.metric(metrics.BackupLastSuccess); last > float64(touched.UnixMilli())/1000+1 {
		t.Errorf("the last success is said to be %v", last)
	}
	if r.run("-log", "json"); r.metric(metrics.BackupFailures) != 2 { // each run is a process of its own
		t.Errorf("failures %v", r.metric(metrics.BackupFailures))
	}
}

// breakShard removes files of the index from the server's disk.
func (r *rig) breakShard(name string) {
	r.Helper()
	r.send("POST", "/"+r.index(name)+"/_flush", "")
	var answer map[string]struct {
		Settings struct{ Index struct{ UUID string } }
	}
	if err := json.Unmarshal([]byte(r.send("GET", "/"+r.index(name)+"/_settings", "")), &answer); err != nil {
		r.Fatal(err)
	}
	// New documents, so that a new snapshot has something to copy, whose file is gone.
	r.send("POST", "/"+r.index(name)+"/_bulk?refresh=true", "{\"index\":{}}\n{\"n\":1}\n")
	r.send("POST", "/"+r.index(name)+"/_flush?force=true", "")
	dir := "/usr/share/elasticsearch/data/indices/" + answer[r.index(name)].Settings.Index.UUID + "/0/index/"
	if out, err := r.server.Exec(r.Context(), "sh", "-c", "ls "+dir+"*.cfs && rm "+dir+"*.cfs"); err != nil {
		r.Fatal(err, out)
	}
}

func TestAFailureIsSaidWithItsExitCode(t *testing.T) {
	r := newRig(t, "")
	r.fill("job", 1, 10)
	outside := file(t, "outside.json", `{"type":"fs","settings":{"location":"/elsewhere"}}`)
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a repository that cannot be used": {[]string{"-repository-file", outside}, cli.ExitRepository, "path.repo"},
		"no index":                         {[]string{"-indices", "no-such-*"}, cli.ExitFailed, "no index matches"},
		"no server":                        {[]string{"-es", "127.0.0.1:1", "-timeout", "1s"}, cli.ExitTimeout, "refused"},
		"no repository":                    {[]string{"-repository", "never-registered", "-repository-file", ""}, cli.ExitFailed, "never-registered"},
		"a lock that cannot be made":       {[]string{"-lock", "/no/such/lock"}, cli.ExitFailed, "-lock"},
	} {
		t.Run(name, func(t *testing.T) {
			sub := *r
			sub.T = t
			out, code := sub.run(tc.args...)
			if code != tc.code || !strings.HasPrefix(out, "FAILURE snapshot.") || !strings.Contains(out, tc.says) {
				t.Errorf("code %d, %q", code, out)
			}
			if out, code = sub.run(append(tc.args, "-log", "json")...); code != tc.code {
				t.Errorf("with JSON: code %d", code)
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			var last struct {
				Level, Msg, Snapshot, Error string
				ExitCode                    int `json:"exit_code"`
			}
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Msg != "backup failed" || last.ExitCode != tc.code || last.Error == "" || last.Snapshot == "" {
				t.Errorf("%v, %q", err, out)
			}
		})
	}
	if !r.touched().IsZero() || len(r.names()) != 0 {
		t.Errorf("touched %v, snapshots %v", r.touched(), r.names())
	}
}

func TestJSONLinesSayWhatTheTextSays(t *testing.T) {
	r := newRig(t, "")
	r.fill("job", 5, 10)
	out, code := r.run("-log", "json")
	if code != cli.ExitOK {
		t.Fatalf("code %d, %q", code, out)
	}
	found := false
	for line := range strings.Lines(out) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Errorf("%v in %q", err, line)
		}
		if l["msg"] != "backup successful" {
			continue
		}
		found = true
		if l["snapshot"] != r.names()[0] || l["state"] != "SUCCESS" || l["documents"] != 5.0 || l["repository"] != r.repo.Name() || l["bytes"].(float64) <= 0 || l["create_seconds"] == nil {
			t.Errorf("%v", l)
		}
	}
	if !found {
		t.Errorf("no line of success in\n%s", out)
	}
}

// The snapshot is good, so there is a backup, and its age must not alarm anybody; that pruning failed must.
func TestPruningThatFailsDoesNotHideAGoodBackup(t *testing.T) {
	r := newRig(t, "")
	r.fill("job", 1, 10)
	if err := os.WriteFile(r.path("nuvla-es-backup-marks.json"), []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := r.run("-keep-last", "1")
	if code != cli.ExitFailed || !strings.HasPrefix(out, "FAILURE "+r.names()[0]+": the snapshot is complete, but") || !strings.Contains(out, "marks") {
		t.Errorf("code %d, %q", code, out)
	}
	if r.touched().IsZero() || r.metric(metrics.BackupFailures) != 1 || r.metric(metrics.BackupLastSuccess) < 0 {
		t.Errorf("touched %v, failures %v", r.touched(), r.metric(metrics.BackupFailures))
	}
}
