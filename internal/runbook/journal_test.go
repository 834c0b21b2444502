package runbook_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/runbook"
)

func open(t *testing.T, path, key string) *runbook.Journal {
	t.Helper()
	j, err := runbook.OpenJournal(path, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func TestARunThatFailedIsTakenUpWhereItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	var l log
	first := open(t, path, "k")
	_, err := runbook.Run(t.Context(), []runbook.Step{l.step("look", nil), l.step("wipe", nil, "look"), l.step("deploy", errBroken, "wipe")}, first, nil)
	if !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	if err := errors.Join(first.SetState(map[string]string{"snapshot": "s1"}), first.Close()); err != nil {
		t.Fatal(err)
	}

	l.ran = nil
	second := open(t, path, "k")
	look := l.step("look", nil)
	look.Again = true
	if _, err := runbook.Run(t.Context(), []runbook.Step{look, l.step("wipe", nil, "look"), l.step("deploy", nil, "wipe")}, second, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"look", "deploy"}, l.ran); diff != "" {
		t.Errorf("ran the second time (-want +got):\n%s", diff)
	}
	if err := errors.Join(second.Finish(), second.Close()); err != nil {
		t.Fatal(err)
	}
	if _, resumed := open(t, path, "k").Resumed(); resumed {
		t.Error("a run that ended was taken up again")
	}
}

func TestTheStateIsKeptWithTheNextRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path, "k")
	_, err := runbook.Run(t.Context(), []runbook.Step{{Name: "choose", Run: func(context.Context) (string, error) {
		return "", j.SetState(map[string]string{"snapshot": "s1"})
	}}}, j, nil)
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if !open(t, path, "k").State(&got) || got["snapshot"] != "s1" {
		t.Errorf("state after reopening: %v", got)
	}
}

func TestAJournalOfAnotherRunIsPutAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	var l log
	j := open(t, path, "snapshot one")
	_, err := runbook.Run(t.Context(), []runbook.Step{l.step("a", nil)}, j, nil)
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".old"); err == nil {
		t.Error("a run that found no journal has put one aside")
	}
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := open(t, path, "snapshot two")
	if _, resumed := other.Resumed(); resumed {
		t.Error("the journal of another run was taken up")
	}
	if _, err := runbook.Run(t.Context(), []runbook.Step{l.step("a", nil)}, other, nil); err != nil { // two records at least
		t.Error(err)
	}
	old, err := os.ReadFile(path + ".old")
	if diff := cmp.Diff(string(was), string(old)); err != nil || diff != "" {
		t.Errorf("the old journal: %v (-want +got):\n%s", err, diff)
	}
}

// A step that was killed has no end, and the moment of it is its beginning.
func TestAJournalOfAKilledRunIsTakenUpForADayAfterItsLastRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "journal")
		j := open(t, path, "k")
		began := time.Now()
		var l log
		killed := runbook.Step{Name: "restore", After: []string{"stop"}, Run: func(context.Context) (string, error) {
			raw, err := os.ReadFile(path)
			return "", errors.Join(err, os.WriteFile(path+".killed", raw, 0o600))
		}}
		if _, err := runbook.Run(t.Context(), []runbook.Step{l.step("stop", nil), killed}, j, nil); err != nil {
			t.Fatal(err)
		}
		for _, tc := range []struct {
			after time.Duration
			want  int
		}{{0, 2}, {24*time.Hour - time.Second, 2}, {time.Second, 0}} {
			time.Sleep(tc.after)
			later, err := runbook.ReadJournal(path+".killed", "k")
			if err != nil || len(later.Records()) != tc.want {
				t.Errorf("at %s: %+v, %v, want %d records", time.Since(began), later.Records(), err, tc.want)
			}
			if at, resumed := later.Resumed(); resumed && !at.Equal(began) {
				t.Errorf("it began at %v, want %v", at, began)
			}
		}
	})
}

func TestNoStepRunsThatCouldNotBeRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	var l log
	held := open(t, path, "k")
	if _, err := runbook.Run(t.Context(), []runbook.Step{l.step("stop", nil)}, held, nil); err != nil {
		t.Fatal(err)
	}
	reader, err := runbook.ReadJournal(path, "k") // which cannot be written
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runbook.Run(t.Context(), []runbook.Step{l.step("stop", nil), l.step("wipe", nil, "stop")}, reader, nil); err == nil {
		t.Error("a run without a journal succeeded")
	}
	if diff := cmp.Diff([]string{"stop"}, l.ran); diff != "" {
		t.Errorf("ran (-want +got):\n%s", diff)
	}
}

func TestARunWithoutAJournalRemembersNothing(t *testing.T) {
	var none *runbook.Journal
	if _, err := runbook.Run(t.Context(), []runbook.Step{{Name: "a", Run: func(context.Context) (string, error) { return "", nil }}}, none, nil); err != nil {
		t.Error(err)
	}
	if err := errors.Join(none.SetState(1), none.Finish(), none.Close()); err != nil {
		t.Error(err)
	}
	none.Forget("a")
	_, resumed := none.Resumed()
	if resumed || none.State(new(int)) || none.Records() != nil || none.Place() != "" {
		t.Error("it remembers something")
	}
}

// What is seen, returned and written of a step is one and the same.
func TestEachChangeOfAStepIsSeenAndTheLastIsRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path, "k")
	var l log
	stop, wipe, start := l.step("stop", nil), l.step("wipe", nil, "stop"), l.step("start", errBroken, "wipe")
	stop.Title, wipe.Title, wipe.LeftOut, start.Title = "Stop all", "Wipe all", "as told", "Start all"
	steps := []runbook.Step{stop, wipe, start}
	for round, want := range [][]string{
		{"stop Stop all running  ", "stop Stop all done stop ran ", "wipe Wipe all left out as told ", "start Start all running  ", "start Start all failed start ran broken"},
		{"stop Stop all skipped stop ran ", "wipe Wipe all left out as told ", "start Start all running  ", "start Start all failed start ran broken"},
	} {
		var seen []string
		var ends []runbook.Record
		records, err := runbook.Run(t.Context(), steps, j, func(r runbook.Record) {
			seen = append(seen, fmt.Sprintf("%s %s %s %s %s", r.Step, r.Title, r.State, r.Detail, r.Error))
			if r.State != runbook.Running {
				ends = append(ends, r)
			}
			if r.Started.IsZero() || r.Ended.IsZero() != (r.State == runbook.Running) {
				t.Errorf("times of %+v", r)
			}
		})
		if !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("round %d, seen (-want +got):\n%s", round, diff)
		}
		if diff := cmp.Diff(ends, records); diff != "" {
			t.Errorf("round %d, returned (-want +got):\n%s", round, diff)
		}
	}
	var written []string
	for _, r := range j.Records() {
		written = append(written, fmt.Sprint(r.Step, " ", r.State))
	}
	if diff := cmp.Diff([]string{"stop done", "start failed"}, written); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

// Whoever mistypes a flag, reads the plan and says no has done nothing, and can go on with what was broken off.
func TestARunThatDoesNothingLeavesTheJournalOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	var l log
	j := open(t, path, "snapshot one")
	_, err := runbook.Run(t.Context(), []runbook.Step{l.step("a", nil)}, j, nil)
	if err := errors.Join(err, j.Close(), open(t, path, "snapshot two").Close()); err != nil {
		t.Fatal(err)
	}
	if _, resumed := open(t, path, "snapshot one").Resumed(); !resumed {
		t.Error("the first run is not taken up again")
	}
}

func TestAJournalOfThePastIsPutAside(t *testing.T) {
	for age, want := range map[time.Duration]bool{time.Hour: true, 25 * time.Hour: false} {
		path := filepath.Join(t.TempDir(), "journal")
		at := time.Now().Add(-age).UTC().Format(time.RFC3339)
		text := `{"key":"k","started":"2020-01-01T00:00:00Z","steps":[{"step":"wipe","state":"done","started":"2020-01-01T00:00:00Z","ended":"` + at + `"}]}`
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, resumed := open(t, path, "k").Resumed(); resumed != want {
			t.Errorf("last record %s ago: taken up is %t, want %t", age, resumed, want)
		}
	}
}

func TestABrokenJournalCostsTimeOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(path, []byte(`{"key":"k","st`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, resumed := open(t, path, "k").Resumed(); resumed {
		t.Error("a broken journal was taken up")
	}
}

func TestASecondRunAtTheSameTimeIsRefusedAndNamesTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	first := open(t, path, "k")
	_, err := runbook.OpenJournal(path, "k")
	if !errors.Is(err, nuvlaops.ErrBusy) {
		t.Fatalf("got %v, want ErrBusy", err)
	}
	host, _ := os.Hostname()
	for _, want := range []string{fmt.Sprintf("process %d ", os.Getpid()), host, time.Now().UTC().Format("2006-01-")} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q lacks %q", err, want)
		}
	}
	place := first.Place()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if again := open(t, path, "k").Place(); place == "" || again != place {
		t.Errorf("the place of the lock was %q and is %q, want one for its life", place, again)
	}
}

func TestWhatAKilledRunWasWritingIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal[1].json")
	for _, name := range []string{path + ".1.part", path + "x.1.part"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j, err := runbook.OpenJournal(path, "key")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, err := os.Stat(path + ".1.part"); err == nil {
		t.Error("the part of a killed run is left")
	}
	if _, err := os.Stat(path + "x.1.part"); err != nil {
		t.Errorf("the part of another file: %v", err)
	}
}

func TestAJournalIsReadBesideItsRunAndNeverWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if j, err := runbook.ReadJournal(path, "k"); j != nil || err != nil {
		t.Errorf("of nothing: %v, %v", j, err)
	}
	var l log
	held := open(t, path, "k")
	if _, err := runbook.Run(t.Context(), []runbook.Step{l.step("stop", nil), l.step("wipe", errBroken, "stop")}, held, nil); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	j, err := runbook.ReadJournal(path, "k") // while it is held
	if err != nil || len(j.Records()) != 2 {
		t.Fatalf("%+v, %v, want both steps", j.Records(), err)
	}
	j.Forget("wipe")
	if err := j.Finish(); err == nil {
		t.Error("a journal that was opened to be read was finished")
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("it was written: %v\n%s", err, after)
	}
	if j, err := runbook.ReadJournal(path, "another"); j != nil || err != nil {
		t.Errorf("of another run: %+v, %v", j, err)
	}
	if err := errors.Join(j.Close(), held.Finish()); err != nil {
		t.Error(err)
	}
	if j, err := runbook.ReadJournal(path, "k"); j != nil || err != nil {
		t.Errorf("of one that ended: %+v, %v", j, err)
	}
}
