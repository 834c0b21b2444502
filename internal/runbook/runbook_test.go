package runbook_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/runbook"
)

var errBroken = errors.New("broken")

// log collects the names of steps in the order in which they ran.
type log struct {
	mu  sync.Mutex
	ran []string
}

func (l *log) step(name string, err error, after ...string) runbook.Step {
	return runbook.Step{Name: name, After: after, Run: func(context.Context) (string, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ran = append(l.ran, name)
		return name + " ran", err
	}}
}

func open(t *testing.T, path, key string) *runbook.Journal {
	t.Helper()
	j, err := runbook.OpenJournal(path, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func TestStepsRunInTheirOrder(t *testing.T) {
	var l log
	_, err := runbook.Run(t.Context(), []runbook.Step{l.step("stop", nil), l.step("wipe", nil, "stop"), l.step("deploy", nil, "wipe")}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"stop", "wipe", "deploy"}, l.ran); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestIndependentStepsRunSideBySide(t *testing.T) {
	met := make(chan struct{})
	meet := func(ctx context.Context) (string, error) {
		select {
		case met <- struct{}{}:
		case <-met:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		return "", nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := runbook.Run(ctx, []runbook.Step{{Name: "a", Run: meet}, {Name: "b", Run: meet}}, nil, nil); err != nil {
		t.Errorf("two steps that wait for each other: %v", err)
	}
}

func TestAFailureEndsWhatRunsAndStartsNothingElse(t *testing.T) {
	var l log
	waits := runbook.Step{Name: "long", Run: func(ctx context.Context) (string, error) {
		<-ctx.Done()
		return "", context.Cause(ctx)
	}}
	records, err := runbook.Run(t.Context(), []runbook.Step{waits, l.step("bad", errBroken), l.step("never", nil, "bad"), l.step("nor this", nil, "long")}, nil, nil)
	if !errors.Is(err, errBroken) {
		t.Errorf("got %v, want the first failure", err)
	}
	if diff := cmp.Diff([]string{"bad"}, l.ran); diff != "" {
		t.Errorf("ran (-want +got):\n%s", diff)
	}
	if len(records) != 2 || records[0].State != runbook.Failed || records[1].State != runbook.Failed {
		t.Errorf("records: %+v", records)
	}
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

func TestAStepThatIsDoneAndThenLeftOutIsDone(t *testing.T) {
	var l log
	j := open(t, filepath.Join(t.TempDir(), "journal"), "k")
	prove := l.step("prove", nil)
	prove.Again = true
	if _, err := runbook.Run(t.Context(), []runbook.Step{prove}, j, nil); err != nil {
		t.Fatal(err)
	}
	prove.LeftOut = "as asked"
	records, err := runbook.Run(t.Context(), []runbook.Step{prove}, j, nil)
	if err != nil || len(l.ran) != 1 || records[0].State != runbook.Skipped {
		t.Errorf("ran %v, records %+v, %v", l.ran, records, err)
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
	other := open(t, path, "snapshot two")
	if _, resumed := other.Resumed(); resumed {
		t.Error("the journal of another run was taken up")
	}
	if _, err := runbook.Run(t.Context(), []runbook.Step{l.step("a", nil)}, other, nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + ".old"); err != nil {
		t.Errorf("the old journal is gone: %v", err)
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

func TestAStepThatIsLeftOutLetsTheNextOneRunAndIsNotTakenForDone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	var l log
	wipe := l.step("wipe", nil)
	wipe.LeftOut = "as told"
	j := open(t, path, "k")
	records, err := runbook.Run(t.Context(), []runbook.Step{wipe, l.step("deploy", errBroken, "wipe")}, j, nil)
	if !errors.Is(err, errBroken) || records[0].State != runbook.LeftOut || records[0].Detail != "as told" {
		t.Fatalf("got %v, %+v", err, records)
	}
	wipe.LeftOut = ""
	if _, err := runbook.Run(t.Context(), []runbook.Step{wipe, l.step("deploy", nil, "wipe")}, j, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"deploy", "wipe", "deploy"}, l.ran); diff != "" {
		t.Errorf("ran (-want +got):\n%s", diff)
	}
}

func TestForgottenStepsRunAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	var l log
	steps := []runbook.Step{l.step("wipe", nil), l.step("deploy", nil, "wipe"), l.step("start", errBroken, "deploy")}
	j := open(t, path, "k")
	if _, err := runbook.Run(t.Context(), steps, j, nil); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	j.Forget("deploy", "start")
	l.ran = nil
	if _, err := runbook.Run(t.Context(), steps, j, nil); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"deploy", "start"}, l.ran); diff != "" {
		t.Errorf("ran (-want +got):\n%s", diff)
	}
}

func TestNothingBeginsOnceTheContextHasEnded(t *testing.T) {
	var l log
	ctx, cancel := context.WithCancel(t.Context())
	first := l.step("first", nil)
	first.Run = func(context.Context) (string, error) { cancel(); return "", nil }
	_, err := runbook.Run(ctx, []runbook.Step{first, l.step("second", nil, "first")}, nil, nil)
	if !errors.Is(err, context.Canceled) || len(l.ran) > 0 {
		t.Errorf("got %v, ran %v; want the context's end and nothing begun", err, l.ran)
	}
}

func TestStepsThatCanNeverRunAreRefused(t *testing.T) {
	var l log
	for name, steps := range map[string][]runbook.Step{
		"after a step that is not there": {l.step("a", nil, "b")},
		"after each other":               {l.step("a", nil, "b"), l.step("b", nil, "a")},
		"the same name twice":            {l.step("a", nil), l.step("a", nil)},
		"nothing to run":                 {{Name: "a"}},
	} {
		if _, err := runbook.Run(t.Context(), steps, nil, nil); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	if len(l.ran) > 0 {
		t.Errorf("ran %v", l.ran)
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
