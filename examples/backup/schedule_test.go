package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/filelock"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

// clockwork is a scheduled backup on a fake repository, with a clock that can be set, for a test in a bubble.
type clockwork struct {
	*backup
	fake  *snapshottest.Fake
	out   bytes.Buffer
	ahead atomic.Int64 // of the bubble's clock, in nanoseconds
}

func newClockwork(t *testing.T, schedule string, args ...string) *clockwork {
	t.Helper()
	dir := t.TempDir()
	args = append([]string{"-schedule", schedule, "-timestamp", filepath.Join(dir, "timestamp"), "-lock", filepath.Join(dir, "lock")}, args...)
	cfg, err := parse(args, env(nil), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	w := &clockwork{}
	now := func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())).UTC() }
	w.fake = &snapshottest.Fake{Name: "s3_backup", Documents: map[string]int64{"nuvla-job": 3}, Now: now}
	if _, err := w.fake.Ensure(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}); err != nil {
		t.Fatal(err)
	}
	w.backup = &backup{config: cfg, repo: w.fake, host: "host-1", out: newOutput(cfg, &w.out, &w.out), now: now}
	return w
}

// runFor runs the schedule for so long, and returns when the snapshots began that are there in the end.
func (w *clockwork) runFor(t *testing.T, d time.Duration, during func()) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	ended := make(chan error)
	go func() { ended <- w.scheduled(ctx) }()
	if during != nil {
		during()
	}
	if err := <-ended; err != nil {
		t.Errorf("the schedule ended with %v", err)
	}
	var got []string
	for s := range w.fake.List(context.WithoutCancel(ctx), snapshot.Filter{}) {
		got = append(got, s.Start.Format("15:04:05 ")+s.Name)
	}
	return got
}

// The bubble's clock begins at midnight of 1 January 2000.
func TestAScheduleServesEachSlotAndMakesUpForWhatWasMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "30 * * * *")
		got := w.runFor(t, 3*time.Hour+time.Minute, nil)
		want := []string{"00:00:00 snapshot.2000-01-01t000000z", "00:30:00 snapshot.2000-01-01t003000z", "01:30:00 snapshot.2000-01-01t013000z", "02:30:00 snapshot.2000-01-01t023000z"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if n := strings.Count(w.out.String(), "Nuvla ES Backup Successful. snapshot.2000-01-01t0"); n != 4 {
			t.Errorf("%d successes in\n%s", n, w.out.String())
		}
		// A restart within the hour finds the slot served, one after a night of silence does not.
		if got := w.runFor(t, 10*time.Minute, nil); len(got) != 4 {
			t.Errorf("after a restart: %v", got)
		}
		time.Sleep(5 * time.Hour)
		if got := w.runFor(t, time.Minute, nil); len(got) != 5 {
			t.Errorf("after a night: %v", got)
		}
	})
}

func TestASlotThatPassesDuringABackupIsMadeUpForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "*/10 * * * *")
		block := make(chan struct{})
		w.fake.Block = block
		got := w.runFor(t, 62*time.Minute, func() { // the first takes 35 minutes, each further one no time
			time.Sleep(35 * time.Minute)
			close(block)
		})
		want := []string{"00:00:00", "00:35:00", "00:40:00", "00:50:00", "01:00:00"}
		for i := range got {
			got[i], _, _ = strings.Cut(got[i], " ")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAClockThatJumpsBackTakesNewSnapshotsAndAdoptsNoOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "0 * * * *")
		w.ahead.Store(int64(12 * time.Hour))
		got := w.runFor(t, 290*time.Minute, func() {
			time.Sleep(150 * time.Minute)      // 14:30: the slots of 13 and 14 are served
			w.ahead.Add(-int64(2 * time.Hour)) // 12:30
		})
		// 12 is missed and made up for, 13 and 14 come twice, each with a snapshot of its own.
		want := []string{"12:00:00", "13:00:00", "13:00:00", "14:00:00", "14:00:00"}
		seen := map[string]bool{}
		for i := range got {
			at, name, _ := strings.Cut(got[i], " ")
			if got[i] = at; seen[name] {
				t.Errorf("%s twice", name)
			}
			seen[name] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", diff, w.out.String())
		}
	})
}

func TestTwoHostsOfOneScheduleTakeOneSnapshotOfASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newClockwork(t, "30 * * * *", "-jitter", "5m"), newClockwork(t, "30 * * * *", "-jitter", "5m")
		b.host, b.repo = "host-2", a.fake
		for range 2 { // both have a snapshot that is recorded, so nothing is missed
			if err := a.once(t.Context(), identity{}); err != nil {
				t.Fatal(err)
			}
			if err := touch(b.timestamp); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan struct{})
		go func() { defer close(done); b.runFor(t, 40*time.Minute, nil) }()
		got := a.runFor(t, 40*time.Minute, nil)
		<-done
		if len(got) != 3 || !strings.HasSuffix(got[2], "snapshot.2000-01-01t003000z") {
			t.Errorf("%v", got)
		}
		for _, w := range []*clockwork{a, b} {
			if !strings.Contains(w.out.String(), "Successful. snapshot.2000-01-01t003000z") {
				t.Errorf("%s", w.out.String())
			}
		}
	})
}

func TestJitterStaysWithinItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "0 * * * *", "-jitter", "10m")
		late := map[string]bool{}
		for _, line := range w.runFor(t, 24*time.Hour, nil)[1:] {
			at, _, _ := strings.Cut(line, " ")
			if at[3:5] >= "10" {
				t.Errorf("%s is more than 10 minutes late", line)
			}
			late[at[3:]] = true
		}
		if len(late) < 10 {
			t.Errorf("%d different delays in a day", len(late))
		}
	})
}

func TestASignalEndsTheScheduleAndSaysSoOnlyWithinARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, within := range []bool{false, true} {
			w := newClockwork(t, "30 * * * *")
			if within {
				w.fake.Block = make(chan struct{})
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			ended := make(chan error)
			go func() { ended <- w.scheduled(ctx) }()
			time.Sleep(time.Minute)
			cancel(cli.ErrInterrupted)
			want := cli.ExitOK
			if within {
				want = cli.ExitInterrupted
			}
			if err := <-ended; cli.ExitCode(err) != want {
				t.Errorf("within a run %v: %v", within, err)
			}
		}
	})
}

// By hand, on another host, a slot's snapshot of half an hour ago is not what was asked for.
func TestARunWithoutAScheduleTakesUpNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newClockwork(t, "30 * * * *"), newClockwork(t, "30 * * * *")
		if got := a.runFor(t, 40*time.Minute, nil); len(got) != 2 {
			t.Fatal(got)
		}
		b.host, b.repo, b.schedule = "host-2", a.fake, nil
		if err := b.once(t.Context(), identity{}); err != nil {
			t.Fatal(err)
		}
		if got := a.runFor(t, time.Minute, nil); len(got) != 3 {
			t.Errorf("%v\n%s", got, b.out.String())
		}
	})
}

// Two schedules of one repository do not take each other's snapshots for their own.
func TestASlotOfOtherIndicesIsNotTakenForOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newClockwork(t, "30 * * * *"), newClockwork(t, "30 * * * *", "-indices", "other-*")
		a.fake.Documents["other-user"] = 5
		b.host, b.repo = "host-2", a.fake
		slot := a.schedule.Next(a.now())
		if err := a.once(t.Context(), a.identityOf(slot, time.Time{})); err != nil {
			t.Fatal(err)
		}
		if err := b.once(t.Context(), b.identityOf(slot, time.Time{})); !errors.Is(err, nuvlaops.ErrExists) {
			t.Errorf("%v\n%s", err, b.out.String())
		}
	})
}

// The file may be another user's, such as root's who has pinned a snapshot: it is written only when a mark goes.
func TestTheMarksAreLeftAloneWhenNoneOfThemGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "30 * * * *", "-keep-last", "1", "-keep-min", "1")
		if err := os.WriteFile(w.marks, []byte(`{"another":{"snapshot":"snapshot.0","pinned":{"at":"2000-01-01T00:00:00Z"}}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := w.once(t.Context(), identity{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		if !strings.Contains(w.out.String(), "1 older ones removed") {
			t.Fatal(w.out.String())
		}
		if _, err := os.Stat(w.marks + ".lock"); !os.IsNotExist(err) {
			t.Errorf("the file was written: %v", err)
		}
	})
}

// A run that finds the lock held is counted, and writes no file.
func TestTheCounterOfFailuresNeverGoesDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "30 * * * *", "-when-busy", "refuse", "-metrics", filepath.Join(t.TempDir(), "backup.prom"))
		if err := w.once(t.Context(), identity{}); err != nil {
			t.Fatal(err)
		}
		held, err := filelock.Take(w.lock)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.once(t.Context(), identity{}); cli.ExitCode(err) != cli.ExitBusy || w.status.failures != 1 {
			t.Errorf("%v, %v failures, want it busy and 1", err, w.status.failures)
		}
		if err := held.Close(); err != nil {
			t.Fatal(err)
		}
		if err := w.once(t.Context(), identity{}); err != nil || w.status.failures != 1 {
			t.Errorf("%v, %v failures, 1 before", err, w.status.failures)
		}
	})
}

// The lock and the repository are waited for together for as long as -busy-timeout says.
func TestTheWaitForTheLockCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "30 * * * *", "-busy-timeout", "10m")
		w.fake.Add(snapshot.Snapshot{Name: "other", State: snapshot.InProgress})
		held, err := filelock.Take(w.lock)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		go func() {
			time.Sleep(8 * time.Minute)
			_ = held.Close()
		}()
		err = w.once(t.Context(), identity{})
		if took := time.Since(began); cli.ExitCode(err) != cli.ExitBusy || took < 10*time.Minute || took > 11*time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// The machine began with a clock that was a day ahead, and was started again with the right one.
func TestAScheduleThatIsStartedAgainTakesNothingForASlotThatIsToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClockwork(t, "30 * * * *")
		touched := func() {
			if err := os.Chtimes(w.timestamp, w.now(), w.now()); err != nil { // touch goes by the real clock
				t.Fatal(err)
			}
		}
		w.ahead.Store(int64(2 * time.Hour))
		if got := w.runFor(t, 100*time.Minute, nil); len(got) != 3 { // at 2:00, 2:30 and 3:30
			t.Fatal(got)
		}
		touched()
		w.ahead.Store(0)
		if got := w.runFor(t, time.Minute, nil); len(got) != 4 {
			t.Errorf("the slot of 1:30 was not made up for: %v", got)
		}
		touched()
		if got := w.runFor(t, time.Hour, nil); len(got) != 5 {
			t.Errorf("the slot of 2:30 has no snapshot of its own: %v\n%s", got, w.out.String())
		}
		touched()
		got := w.runFor(t, 10*time.Minute, func() { // from 2:41 on
			time.Sleep(time.Minute)
			w.ahead.Store(int64(55 * time.Minute)) // the machine sleeps until 3:37
		})
		if len(got) != 6 {
			t.Errorf("the slot of 3:30, for which the machine was late, has no snapshot of its own: %v\n%s", got, w.out.String())
		}
	})
}
