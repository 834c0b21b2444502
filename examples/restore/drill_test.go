package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/metrics"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
)

func (r *rig) metrics(t *testing.T) map[string]float64 {
	t.Helper()
	got, err := metrics.ReadFile(r.path("drill.prom"), map[string]string{"repository": r.repository()})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestADrillMarksTheSnapshotAndTellsPrometheus(t *testing.T) {
	r := newRig(t, "drill", 60)
	before := r.originals()
	began := time.Now()
	args := []string{"drill", "-indices", r.index("*"), "-metrics", r.path("drill.prom"), "-manifest", r.path("manifest.json")}
	got := r.run(t.Context(), "", append(args, "-json", "-budget", "1h")...)
	report := decode[restore.DrillReport](t, got.stdout)
	if got.code != cli.ExitOK || !report.Proven || report.Restore.Documents != 67 {
		t.Fatalf("drill: code %d, %v", got.code, got.err)
	}
	if d := cmp.Diff(before, r.originals()); d != "" {
		t.Errorf("originals (-before +after):\n%s", d)
	}
	m := r.metrics(t)
	if m[metrics.DrillLastSuccess] < m[metrics.DrillLastAttempt] || m[metrics.DrillLastAttempt] < seconds(began) {
		t.Errorf("times: %v", m)
	}
	delete(m, metrics.DrillLastSuccess)
	delete(m, metrics.DrillLastAttempt)
	want := map[string]float64{metrics.DrillDuration: report.RTO.Seconds(), metrics.DrillBudget: 3600, metrics.DrillOverBudget: 0,
		metrics.DrillFailures: 0, metrics.DrillDocuments: 67}
	if d := cmp.Diff(want, m); d != "" {
		t.Errorf("metrics (-want +got):\n%s", d)
	}

	got = r.run(t.Context(), "", append(args, "-budget", "1ms", "-snapshot", "verified")...)
	if got.code != cli.ExitVerification || !strings.Contains(got.err.Error(), "over the budget") || !strings.Contains(got.stdout, "PROVEN") {
		t.Errorf("over the budget: code %d, %v", got.code, got.err)
	}
	m = r.metrics(t)
	if m[metrics.DrillOverBudget] != 1 || m[metrics.DrillFailures] != 1 || m[metrics.DrillBudget] != 0.001 {
		t.Errorf("metrics of a drill over its budget: %v", m)
	}
	r.isMarked(t)
}

// isMarked: what the drill has said of the snapshot is what retention and list read.
func (r *rig) isMarked(t *testing.T) {
	t.Helper()
	s, err := snapshot.WithMarks(r.repo, r.path("marks.json")).Get(t.Context(), r.taken.Name)
	if err != nil || s.Verified == nil || s.Verified.Documents != 67 || s.Verified.RTO <= 0 {
		t.Fatalf("mark: %v, %+v", err, s)
	}
	if got := r.run(t.Context(), "", "list"); !strings.Contains(got.stdout, s.Verified.At.UTC().Format(time.RFC3339)) {
		t.Errorf("list:\n%s", got.stdout)
	}
}

func TestADrillOfACorruptBlobFailsWithItsCodeAndNamesTheShard(t *testing.T) {
	r := newRig(t, "corrupt", 300)
	key, shard := r.biggestBlob(t)
	data, err := r.s3.GetObject(t.Context(), r.bucket(), key)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0xff
	if err := r.s3.PutObject(t.Context(), r.bucket(), key, data); err != nil {
		t.Fatal(err)
	}
	before := r.originals()
	got := r.run(t.Context(), "", "drill", "-indices", r.index("*"), "-metrics", r.path("drill.prom"))
	if got.code != cli.ExitVerification || !strings.Contains(got.err.Error(), r.index("a")+"["+shard+"]") || !strings.Contains(got.stdout, "NOT PROVEN") {
		t.Errorf("code %d, %v, want %d and the shard %s", got.code, got.err, cli.ExitVerification, shard)
	}
	if d := cmp.Diff(before, r.originals()); d != "" {
		t.Errorf("originals (-before +after):\n%s", d)
	}
	m := r.metrics(t)
	if _, there := m[metrics.DrillLastSuccess]; there || m[metrics.DrillFailures] != 1 {
		t.Errorf("metrics: %v", m)
	}
	if _, err := os.Stat(r.path("marks.json")); !os.IsNotExist(err) {
		t.Errorf("a mark was written: %v", err)
	}
}

// biggestBlob is the key of the largest object of data, and the number of the shard that it belongs to.
func (r *rig) biggestBlob(t *testing.T) (key, shard string) {
	t.Helper()
	objects, err := r.s3.ListObjects(t.Context(), r.bucket(), "indices/")
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

func TestCtrlCInADrillRemovesWhatItMade(t *testing.T) {
	r := newRig(t, "ended", 3000)
	r.register(`,"max_restore_bytes_per_sec":"1mb"`)
	before := r.originals()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	stderr := &watched{seen: func(text string) {
		if strings.Contains(text, "restoring repo-") {
			cancel(cli.ErrInterrupted)
		}
	}}
	var stdout bytes.Buffer
	got := r.runTo(ctx, &stdout, stderr, "", "drill", "-indices", r.index("*"), "-metrics", r.path("drill.prom"))
	if got.code != cli.ExitInterrupted || r.metrics(t)[metrics.DrillFailures] != 0 {
		t.Errorf("code %d, %v, metrics %v", got.code, got.err, r.metrics(t))
	}
	if d := cmp.Diff(before, r.originals()); d != "" {
		t.Errorf("indices (-before +after):\n%s", d)
	}
}

func TestAScheduledDrillServesItsMetricsAndEndsBetweenTwo(t *testing.T) {
	r := newRig(t, "schedule", 20)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	address, waiting := make(chan string, 1), make(chan struct{}, 9)
	stderr := &watched{seen: func(text string) {
		if m := regexp.MustCompile(`serving metrics on (\S+)`).FindStringSubmatch(text); m != nil {
			address <- m[1]
		}
		if strings.Contains(text, "the next drill begins") {
			waiting <- struct{}{}
		}
	}}
	ended := make(chan result, 1)
	go func() {
		var stdout bytes.Buffer
		ended <- r.runTo(ctx, &stdout, stderr, "", "drill", "-schedule", "* * * * *", "-listen", "127.0.0.1:0", "-indices", r.index("*"), "-timeout", "10m")
	}()
	base := "http://" + <-address
	<-waiting
	if got := fetch(t, base+"/metrics"); !strings.Contains(got, metrics.DrillFailures+`{repository="repo-schedule"} 0`) {
		t.Errorf("before the first drill:\n%s", got)
	}
	var h health
	if err := json.Unmarshal([]byte(fetch(t, base+"/healthz")), &h); err != nil || h.Status != "ok" || h.Next.IsZero() {
		t.Errorf("health %+v, %v", h, err)
	}
	if full() { // up to a minute until the slot
		<-waiting
		if got := fetch(t, base+"/metrics"); !strings.Contains(got, metrics.DrillDocuments+`{repository="repo-schedule"} 27`) {
			t.Errorf("after the first drill:\n%s", got)
		}
	}
	cancel(cli.ErrInterrupted)
	if got := <-ended; got.code != cli.ExitOK {
		t.Errorf("ended between two drills: code %d, %v", got.code, got.err)
	}
}

// full is for what takes longer than the default run may: NUVLAOPS_FULL=1.
func full() bool { return os.Getenv("NUVLAOPS_FULL") != "" }

func fetch(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", url, res.StatusCode, err)
	}
	return string(body)
}
