package main

import (
	"context"
	"fmt"
	"iter"
	"os"
	"testing"
	"testing/synctest"
	"time"

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
