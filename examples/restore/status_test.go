package main

import (
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/metrics"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
)

// NuvlaDrillFailed compares the last attempt with the last success: neither a long drill nor one that was ended is a failure.
func TestOnlyADrillThatFailedIsAnAttemptAfterTheLastSuccess(t *testing.T) {
	var s status
	s.load("", "", "s3_backup")
	now := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	failed := func() bool { return s.known[metrics.DrillLastAttempt] > s.known[metrics.DrillLastSuccess] }
	for _, drill := range []struct {
		name   string
		report *restore.DrillReport
		err    error
		want   bool
	}{
		{"a good one", &restore.DrillReport{Proven: true, Restore: &restore.Report{}}, nil, false},
		{"one that is ended", nil, cli.ErrInterrupted, false},
		{"one that another keeps out", nil, nuvlaops.Wrap("restore.Drill", "s3_backup", nuvlaops.ErrBusy), false},
		{"one that fails", nil, errors.New("x"), true},
	} {
		before := failed()
		now = now.AddDate(0, 0, 7)
		s.begins(now)
		if failed() != before {
			t.Errorf("%s: it has failed while it runs", drill.name)
		}
		now = now.Add(2 * time.Hour)
		if s.ends(now, 0, drill.report, drill.err); failed() != drill.want {
			t.Errorf("%s: failed is %v, want %v", drill.name, failed(), drill.want)
		}
	}
}

// The schedule without -metrics is started again: what it has proven is on the marks.
func TestTheMarksTellTheLastGoodDrillWhereNoMetricsDo(t *testing.T) {
	marks, now := filepath.Join(t.TempDir(), "marks.json"), time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	err := snapshot.UpdateMarks(t.Context(), marks, func(m snapshot.Marks) error {
		m.Verify("s3_backup", "older", "1", snapshot.Verified{At: now.AddDate(0, 0, -7), RTO: 80, Documents: 6})
		m.Verify("s3_backup", "newest", "2", snapshot.Verified{At: now, RTO: 90, Documents: 7})
		m.Verify("other", "of another", "3", snapshot.Verified{At: now.AddDate(0, 0, 7)})
		m.Pin("s3_backup", "pinned", "4", snapshot.Pin{At: now.AddDate(0, 0, 7)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var s status
	s.load("", marks, "s3_backup")
	want := map[string]float64{metrics.DrillLastSuccess: seconds(now), metrics.DrillDuration: 90, metrics.DrillDocuments: 7}
	if diff := cmp.Diff(want, s.known); diff != "" {
		t.Errorf("known (-want +got):\n%s", diff)
	}
	file := filepath.Join(t.TempDir(), "drill.prom")
	s.known[metrics.DrillLastSuccess]--
	if err := s.write(file); err != nil {
		t.Fatal(err)
	}
	if s.load(file, marks, "s3_backup"); s.known[metrics.DrillLastSuccess] != seconds(now)-1 {
		t.Errorf("the file of metrics does not stand above the marks: %v", s.known)
	}
}

// The alerts look at these.
func TestTheMetricsOfDrillsTellHowTheyEnded(t *testing.T) {
	var s status
	s.load("", "", "s3_backup")
	began := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	good := &restore.DrillReport{Proven: true, RTO: 90 * time.Second, Restore: &restore.Report{Documents: 7}}
	slow := &restore.DrillReport{Proven: true, RTO: 2 * time.Hour, OverBudget: true, Restore: &restore.Report{Documents: 7}}
	proven := map[string]float64{metrics.DrillDuration: 90, metrics.DrillDocuments: 7, metrics.DrillOverBudget: 0}
	for _, drill := range []struct {
		name     string
		budget   time.Duration
		report   *restore.DrillReport
		err      error
		attempt  bool
		success  bool
		failures float64
		want     map[string]float64
		failure  string
	}{
		{"a good one", 0, good, nil, true, true, 0, proven, ""},
		{"one over its budget", time.Hour, slow, errors.New("slow"), true, true, 1, map[string]float64{metrics.DrillDuration: 7200, metrics.DrillDocuments: 7, metrics.DrillOverBudget: 1, metrics.DrillBudget: 3600}, "slow"},
		{"a good one without a budget", 0, good, nil, true, true, 1, proven, ""},
		{"one that is not proven", 0, &restore.DrillReport{}, errors.New("a shard is lost"), true, false, 2, proven, "a shard is lost"},
		{"one that is ended", 0, nil, cli.ErrInterrupted, false, false, 2, proven, cli.ErrInterrupted.Error()},
	} {
		began = began.AddDate(0, 0, 7)
		last := maps.Clone(s.known)
		s.begins(began)
		s.ends(began.Add(time.Hour), drill.budget, drill.report, drill.err)
		want := maps.Clone(drill.want)
		want[metrics.DrillLastAttempt], want[metrics.DrillLastSuccess] = last[metrics.DrillLastAttempt], last[metrics.DrillLastSuccess]
		if drill.attempt {
			want[metrics.DrillLastAttempt] = seconds(began)
		}
		if drill.success {
			want[metrics.DrillLastSuccess] = seconds(began.Add(time.Hour))
		}
		if drill.failures > 0 {
			want[metrics.DrillFailures] = drill.failures
		}
		if diff := cmp.Diff(want, s.known); diff != "" {
			t.Errorf("%s (-want +got):\n%s", drill.name, diff)
		}
		if code, h := s.health(began, time.Hour); code != http.StatusOK || h.LastFailure != drill.failure {
			t.Errorf("%s: health %d %+v, want the failure %q", drill.name, code, h, drill.failure)
		}
	}
	file := filepath.Join(t.TempDir(), "drill.prom")
	err := s.write(file)
	told, rerr := os.ReadFile(file)
	for _, want := range []string{"# TYPE " + metrics.DrillFailures + " counter", "# TYPE " + metrics.DrillDuration + " gauge"} {
		if text := string(told); err != nil || rerr != nil || !strings.Contains(text, want) || strings.Contains(text, metrics.DrillBudget) {
			t.Errorf("%q is not in the file, or a budget that is none: %v, %v\n%s", want, err, rerr, text)
		}
	}
}

// It is started again by whoever watches it.
func TestHealthIsWhetherTheScheduleGoesOn(t *testing.T) {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		arrange func(*status)
		now     time.Time
		want    int
	}{
		"waiting":                           {func(s *status) { s.waitsFor(at) }, at.Add(-time.Hour), http.StatusOK},
		"about to begin":                    {func(s *status) { s.waitsFor(at) }, at.Add(time.Minute), http.StatusOK},
		"not begun":                         {func(s *status) { s.waitsFor(at) }, at.Add(time.Minute + 1), http.StatusServiceUnavailable},
		"begun in its time":                 {func(s *status) { s.waitsFor(at); s.begins(at) }, at.Add(30 * time.Minute), http.StatusOK},
		"ending":                            {func(s *status) { s.begins(at) }, at.Add(time.Hour + 5*time.Minute), http.StatusOK},
		"not ending":                        {func(s *status) { s.begins(at) }, at.Add(time.Hour + 5*time.Minute + 1), http.StatusServiceUnavailable},
		"ended, and the next is waited for": {func(s *status) { s.begins(at); s.waitsFor(at.AddDate(0, 0, 7)) }, at.Add(9 * time.Hour), http.StatusOK},
	} {
		var s status
		c.arrange(&s)
		if code, h := s.health(c.now, time.Hour); code != c.want || (h.Status == "ok") != (code == http.StatusOK) {
			t.Errorf("%s: %d %+v, want %d", name, code, h, c.want)
		}
	}
}

// Somebody has edited the file, or something else has written it.
func TestAMetricsFileOfANegativeCounterIsNoneToGoOnWith(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.prom")
	text := "# TYPE " + metrics.DrillFailures + " counter\n" + metrics.DrillFailures + "{repository=\"r\"} -5\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var s status
	s.load(path, "", "r")
	if err := s.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := metrics.ReadFile(path, map[string]string{"repository": "r"})
	if diff := cmp.Diff(map[string]float64{metrics.DrillFailures: 0}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
