package main

import (
	"errors"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/metrics"
	"github.com/nuvla/nuvlaops/restore"
)

// NuvlaDrillFailed compares the last attempt with the last success: neither a long drill nor one that was ended is a failure.
func TestOnlyADrillThatFailedIsAnAttemptAfterTheLastSuccess(t *testing.T) {
	var s status
	s.load("", "s3_backup")
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
