package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
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

// Of what this host began, what runs or is complete and was recorded by nobody was broken off.
func TestWhatARunTakesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "0 * * * *")
		slots := w.schedule
		at := w.now().Add(-20 * time.Minute)
		if err := errors.Join(os.WriteFile(w.timestamp, nil, 0o600), os.Chtimes(w.timestamp, at.Add(-time.Minute), at.Add(-time.Minute))); err != nil {
			t.Fatal(err)
		}
		broken := func(at time.Time, change func(*snapshot.Snapshot)) snapshot.Snapshot {
			s := snapshot.Snapshot{Name: snapshot.Name("", at), UUID: "u" + at.String(), State: snapshot.Success, Start: at, End: at, RunID: w.hostRun() + "x@" + at.Format(time.RFC3339),
				Shards: snapshot.Shards{Total: 1, Successful: 1}, Indices: []string{"nuvla-job"},
				Manifest: &snapshot.Manifest{Indices: map[string]snapshot.IndexManifest{"nuvla-job": {Before: 3}}}}
			change(&s)
			return s
		}
		same := func(*snapshot.Snapshot) {}
		for name, tc := range map[string]struct {
			at       time.Time
			change   func(*snapshot.Snapshot)
			schedule bool
			want     bool
		}{
			"complete and not recorded":     {at, same, false, true},
			"half an hour ago":              {w.now().Add(-takeUpSince), same, false, false}, // it was recorded then
			"of now":                        {w.now(), same, false, true},
			"running, since half an hour":   {w.now().Add(-takeUpSince), func(s *snapshot.Snapshot) { s.State = snapshot.InProgress }, false, true},
			"running for longer":            {w.now().Add(-takeUpSince - time.Second), func(s *snapshot.Snapshot) { s.State = snapshot.InProgress }, false, false},
			"of a clock ahead":              {w.now().Add(time.Second), func(s *snapshot.Snapshot) { s.State = snapshot.InProgress }, false, false},
			"recorded":                      {at.Add(-time.Minute), same, false, false},
			"incomplete":                    {at, func(s *snapshot.Snapshot) { s.State = snapshot.Partial }, false, false},
			"without an index it counted":   {at, func(s *snapshot.Snapshot) { s.Indices = nil }, false, false}, // its run has said so
			"of another schedule":           {at, func(s *snapshot.Snapshot) { s.Name = snapshot.Name("snapshot.jobs-", at) }, false, false},
			"of another host":               {at, func(s *snapshot.Snapshot) { s.RunID = strings.Replace(s.RunID, w.host, "host-2", 1) }, false, false},
			"of other indices":              {at, func(s *snapshot.Snapshot) { s.RunID = strings.Replace(s.RunID, w.digest(w.timestamp), "0badcafe", 1) }, false, false},
			"a slot, for a run by hand":     {at, func(s *snapshot.Snapshot) { s.RunID = w.slotRun() + at.Format(time.RFC3339) }, false, false},
			"a slot, for its schedule":      {at, func(s *snapshot.Snapshot) { s.RunID = w.slotRun() + at.Format(time.RFC3339) }, true, true},
			"this one, by the host's clock": {at, func(s *snapshot.Snapshot) { s.Start = at.Add(-24 * time.Hour) }, false, true},
		} {
			w.fake = &snapshottest.Fake{Name: "s3_backup", Now: w.now}
			if _, err := w.fake.Ensure(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}); err != nil {
				t.Fatal(err)
			}
			other := broken(tc.at.Add(time.Second), func(s *snapshot.Snapshot) { s.RunID = "of another program" })
			s := broken(tc.at, tc.change)
			w.fake.Add(s, other)
			w.repo, w.schedule = w.fake, nil
			if tc.schedule {
				w.schedule = slots
			}
			id, err := w.unfinished(t.Context(), "")
			if err != nil || (id == identity{s.Name, s.RunID}) != tc.want || !tc.want && (id.name != "" || !strings.HasPrefix(id.runID, w.hostRun())) {
				t.Errorf("%s: %+v, %v, want it taken up: %t", name, id, err, tc.want)
			}
		}
	})
}
