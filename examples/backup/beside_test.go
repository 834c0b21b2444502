package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/metrics"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

// Both go into one repository, and touch the same timestamp file.
func TestOfTwoBackupsOnAHostNoneHidesThatTheOtherFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		all := newClockwork(t, "30 * * * *", "-metrics", filepath.Join(dir, "all.prom"))
		jobs := newClockwork(t, "30 * * * *", "-metrics", filepath.Join(dir, "jobs.prom"), "-prefix", "jobs.", "-indices", "nuvla-job", "-timestamp", all.timestamp)
		jobs.repo = all.fake
		run := func(w *clockwork) error { time.Sleep(time.Hour); return w.once(t.Context(), identity{}) }
		for _, w := range []*clockwork{all, jobs} {
			if err := run(w); err != nil {
				t.Fatal(err)
			}
		}
		good := time.Now()
		jobs.repo = failing{all.fake}
		if err := errors.Join(run(all), run(jobs), run(all)); !errors.Is(err, nuvlaops.ErrRepository) {
			t.Fatal(err)
		}
		got, err := metrics.ReadFile(jobs.metrics, map[string]string{"repository": "s3_backup", "prefix": "jobs."})
		if err != nil || got[metrics.BackupExitCode] != 10 || got[metrics.BackupLastSuccess] > float64(good.Unix()) || got[metrics.BackupNewestGood] > float64(good.Unix()) {
			t.Errorf("%v, %v, the last good one ended at %d", got, err, good.Unix())
		}
		if got, err := metrics.ReadFile(all.metrics, map[string]string{"repository": "s3_backup"}); err != nil || got[metrics.BackupNewestGood] < float64(good.Unix()) {
			t.Errorf("of all: %v, %v", got, err)
		}
		if all.metrics = jobs.metrics; strings.Contains(all.out.String()+jobs.out.String(), "another backup's") {
			t.Errorf("told without reason: %s%s", &all.out, &jobs.out)
		}
		if err := run(all); err != nil || !strings.Contains(all.out.String(), "another backup's") {
			t.Errorf("%v, %s", err, &all.out)
		}
	})
}

// The longer prefix is that of another schedule, whose snapshots say nothing of this one's slots.
func TestAScheduleLooksBackAtItsOwnSnapshotsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newClockwork(t, "30 * * * *")
		jobs := newClockwork(t, "0 * * * *", "-prefix", "snapshot.jobs-", "-indices", "nuvla-job")
		jobs.repo = all.fake
		at := func(w *clockwork, slot time.Time) {
			time.Sleep(time.Until(slot))
			if err := w.once(t.Context(), w.identityOf(slot, time.Time{})); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(w.timestamp, w.now(), w.now()); err != nil { // touch goes by the real clock
				t.Fatal(err)
			}
		}
		midnight := time.Now()
		at(all, midnight.Add(30*time.Minute))
		at(jobs, midnight.Add(time.Hour))
		time.Sleep(10 * time.Minute)
		want := []string{"00:30:00 snapshot.2000-01-01t003000z", "01:00:00 snapshot.jobs-2000-01-01t010000z"}
		if diff := cmp.Diff(want, all.runFor(t, time.Minute, nil)); diff != "" {
			t.Errorf("started again in between (-want +got):\n%s", diff)
		}
	})
}

// failing is a repository that no snapshot can be taken into.
type failing struct{ *snapshottest.Fake }

func (failing) Create(context.Context, snapshot.CreateRequest) (*snapshot.Snapshot, error) {
	return nil, &nuvlaops.Error{Reason: "no bucket", Err: nuvlaops.ErrRepository}
}
