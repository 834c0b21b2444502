package runbook_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
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

// A time-out must say what was waited for.
func TestTheEndOfTheContextIsToldByTheStepThatItEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	waits := runbook.Step{Name: "restore", Run: func(ctx context.Context) (string, error) {
		cancel()
		<-ctx.Done()
		return "", fmt.Errorf("%w while waiting: 3 shards", context.Cause(ctx))
	}}
	_, err := runbook.Run(ctx, []runbook.Step{waits}, nil, nil)
	if diff := cmp.Diff("step restore: context canceled while waiting: 3 shards", fmt.Sprint(err)); !errors.Is(err, context.Canceled) || diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
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
