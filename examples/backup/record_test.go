package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/filelock"
	"github.com/nuvla/nuvlaops/snapshot"
)

// slowList is a repository of so many snapshots that the list of all takes too long.
type slowList struct{ snapshot.SnapshotRepo }

func (r slowList) List(ctx context.Context, f snapshot.Filter) iter.Seq2[snapshot.Snapshot, error] {
	if f.NewestFirst {
		return r.SnapshotRepo.List(ctx, f)
	}
	return func(yield func(snapshot.Snapshot, error) bool) {
		<-ctx.Done()
		yield(snapshot.Snapshot{}, context.Cause(ctx))
	}
}

func TestTheNewestGoodSnapshotIsThatOfTheRunWhereTheListTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "30 * * * *")
		if err := w.once(t.Context(), identity{}); err != nil {
			t.Fatal(err)
		}
		w.repo = slowList{w.fake}
		time.Sleep(time.Hour)
		began := time.Now()
		if err := w.once(t.Context(), identity{}); err != nil || w.status.newestGood.Before(began) {
			t.Errorf("%v, it is of %v, want %v", err, w.status.newestGood, began)
		}
	})
}

// onceListed is a repository of so many snapshots that it is listed only once in a run.
type onceListed struct {
	slowList
	listed bool
}

func (r *onceListed) List(ctx context.Context, f snapshot.Filter) iter.Seq2[snapshot.Snapshot, error] {
	if !f.NewestFirst && !r.listed {
		r.listed = true
		return r.SnapshotRepo.List(ctx, f)
	}
	return r.slowList.List(ctx, f)
}

func TestSnapshotsAreCountedByTheListThatRetentionReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "30 * * * *", "-keep-last", "2", "-keep-min", "1")
		for range 3 {
			time.Sleep(time.Hour)
			w.repo = &onceListed{slowList: slowList{w.fake}}
			began := time.Now()
			if err := w.once(t.Context(), identity{}); err != nil || time.Since(began) > time.Second || w.status.newestGood.Before(began) {
				t.Fatalf("after %v: %v, the newest is of %v", time.Since(began), err, w.status.newestGood)
			}
		}
		want := map[string]float64{snapshot.InProgress: 0, snapshot.Success: 2, snapshot.Partial: 0, snapshot.Failed: 0, snapshot.Incompatible: 0}
		if diff := cmp.Diff(want, w.status.states); diff != "" {
			t.Error(diff)
		}
	})
}

// Whoever holds the marks may be stopped, and neither -timeout nor a signal ends what records the backup.
func TestMarksThatAreHeldDoNotHoldUpTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "30 * * * *", "-keep-last", "1", "-keep-min", "1", "-timeout", "1h")
		if err := w.once(t.Context(), identity{}); err != nil {
			t.Fatal(err)
		}
		for s := range w.fake.List(t.Context(), snapshot.Filter{}) { // a mark that was taken away by hand
			if err := os.WriteFile(w.marks, fmt.Appendf(nil, `{%q:{}}`, s.UUID), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		held, err := filelock.Take(w.marks + ".lock")
		if err != nil {
			t.Fatal(err)
		}
		defer time.AfterFunc(2*time.Hour, func() { _ = held.Close() }).Stop()
		time.Sleep(time.Hour)
		began := time.Now()
		err = w.once(t.Context(), identity{})
		if took := time.Since(began); cli.ExitCode(err) != cli.ExitTimeout || took > time.Minute || w.status.failures != 1 {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// sized says how large a snapshot is; unlisted lists nothing.
type (
	sized    struct{ snapshot.SnapshotRepo }
	unlisted struct{ snapshot.SnapshotRepo }
)

func (r sized) Get(ctx context.Context, name string) (*snapshot.Snapshot, error) {
	s, err := r.SnapshotRepo.Get(ctx, name)
	if s != nil {
		s.Bytes = 7
	}
	return s, err
}

func (r unlisted) List(context.Context, snapshot.Filter) iter.Seq2[snapshot.Snapshot, error] {
	return func(yield func(snapshot.Snapshot, error) bool) { yield(snapshot.Snapshot{}, errors.New("broken")) }
}

// The alerts are built on these lines, and a program that cron starts anew each hour must not begin to count anew.
func TestTheMetricsFileSaysWhatWasAndGoesOnFromThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "backup.prom")
		w := newClockwork(t, "0 * * * *", "-metrics", path)
		began := w.now()
		stranger := snapshot.Snapshot{Name: "slm", UUID: "slm", State: snapshot.Success, Start: began.Add(time.Minute)}
		w.fake.Add(stranger, snapshot.Snapshot{Name: "old", UUID: "old", State: snapshot.Failed, Start: began.Add(-time.Hour)})
		w.repo = sized{w.fake}
		block := make(chan struct{})
		w.fake.Block = block
		time.AfterFunc(1500*time.Millisecond, func() { close(block) })
		lines := func(run func() error, code int) string {
			t.Helper()
			if err := run(); cli.ExitCode(err) != code {
				t.Errorf("got %v, want exit code %d", err, code)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for line := range strings.Lines(string(raw)) {
				if !strings.HasPrefix(line, "#") {
					out = append(out, strings.ReplaceAll(line, `{repository="s3_backup"}`, ""))
				}
			}
			return strings.Join(out, "")
		}
		once := func() error { return w.once(t.Context(), identity{}) }
		// 946684800 is the bubble's midnight.
		const text = `nuvla_backup_documents 3
nuvla_backup_duration_seconds 1.5
nuvla_backup_failures_total %d
nuvla_backup_last_attempt_timestamp_seconds %s
nuvla_backup_last_exit_code %d
nuvla_backup_last_success_timestamp_seconds 9.466848015e+08
nuvla_backup_newest_good_timestamp_seconds 9.466848e+08
nuvla_backup_size_bytes 7
nuvla_backup_snapshots{repository="s3_backup",state="FAILED"} 1
nuvla_backup_snapshots{repository="s3_backup",state="INCOMPATIBLE"} 0
nuvla_backup_snapshots{repository="s3_backup",state="IN_PROGRESS"} 0
nuvla_backup_snapshots{repository="s3_backup",state="PARTIAL"} %d
nuvla_backup_snapshots{repository="s3_backup",state="SUCCESS"} 2
`
		if diff := cmp.Diff(fmt.Sprintf(text, 0, "9.466848e+08", 0, 0), lines(once, 0)); diff != "" {
			t.Errorf("after a good run (-want +got):\n%s", diff)
		}
		w.fake.FailShard = func(string) string { return "broken" }
		for bad, at := range []string{"9.466884015e+08", "9.466920015e+08"} {
			time.Sleep(time.Hour)
			w.status = status{} // another process
			w.status.load(w.config)
			if diff := cmp.Diff(fmt.Sprintf(text, bad+1, at, cli.ExitPartial, bad+1), lines(once, cli.ExitPartial)); diff != "" {
				t.Errorf("after a bad run (-want +got):\n%s", diff)
			}
		}
		w.repo = unlisted{w.fake} // what was counted stands
		w.status.newestGood = time.Time{}
		w.status.load(w.config)
		if diff := cmp.Diff(fmt.Sprintf(text, 3, "9.466920015e+08", cli.ExitFailed, 2), lines(once, cli.ExitFailed)); diff != "" {
			t.Errorf("after one that listed nothing (-want +got):\n%s", diff)
		}
	})
}
