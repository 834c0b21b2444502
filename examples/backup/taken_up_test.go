package main

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/snapshot"
)

// A snapshot of a time that is to come was begun before the clock went back: it is no run that was just broken off.
func TestAClockThatWasAheadDoesNotKeepCronFromBackingUp(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"by a day": 24 * time.Hour, "until shortly before a run": 170 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newClockwork(t, "0 * * * *")
				w.schedule = nil
				for n, ahead := range []time.Duration{ahead, 0, 0, 0} {
					w.ahead.Store(int64(ahead))
					if err := w.once(t.Context(), identity{}); err != nil {
						t.Fatal(err)
					}
					if err := os.Chtimes(w.timestamp, w.now(), w.now()); err != nil { // touch goes by the real clock
						t.Fatal(err)
					}
					taken := 0
					for range w.fake.List(t.Context(), snapshot.Filter{}) {
						taken++
					}
					if taken != n+1 {
						t.Errorf("%d snapshots after %d runs\n%s", taken, n+1, w.out.String())
					}
					time.Sleep(time.Hour)
				}
			})
		})
	}
}

// By the lock of this host, or by the times where that is gone, as after a restart of the machine.
func TestARunThatWasBrokenOffIsTakenUpWithItsLockAndWithout(t *testing.T) {
	for _, gone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newClockwork(t, "0 * * * *", "-timeout", "1m")
			w.schedule = nil
			block := make(chan struct{})
			w.fake.Block = block
			if err := w.once(t.Context(), identity{}); cli.ExitCode(err) != cli.ExitTimeout {
				t.Fatal(err)
			}
			close(block)
			if gone {
				if err := os.Remove(w.lock); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.once(t.Context(), identity{}); err != nil || !strings.Contains(w.out.String(), "taking up") {
				t.Errorf("without the lock %t: %v\n%s", gone, err, w.out.String())
			}
		})
	}
}

// Its run has said that it is incomplete, so nothing was recorded: it was not broken off.
func TestASnapshotThatMissesACountedIndexIsNotTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "0 * * * *")
		w.schedule = nil
		w.fake.Add(snapshot.Snapshot{Name: "snapshot.bad", UUID: "u", State: snapshot.Success, Start: w.now(), End: w.now(),
			RunID: w.hostRun() + "x@" + w.now().Format(time.RFC3339), Indices: []string{"nuvla-job"},
			Manifest: &snapshot.Manifest{Indices: map[string]snapshot.IndexManifest{"nuvla-job": {Before: 3}, "nuvla-user": {Before: 1}}}})
		time.Sleep(time.Minute)
		if err := w.once(t.Context(), identity{}); err != nil || strings.Contains(w.out.String(), "snapshot.bad") {
			t.Errorf("%v\n%s", err, w.out.String())
		}
	})
}
