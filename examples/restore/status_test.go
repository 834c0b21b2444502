package main

import (
	"errors"
	"path/filepath"
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
