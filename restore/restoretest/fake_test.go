package restoretest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/restore/restoretest"
)

func TestFakeConforms(t *testing.T) {
	restoretest.Conformance(t, func(t *testing.T) restoretest.Target {
		f := &restoretest.Fake{Repository: "fake"}
		start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		f.AddSnapshot(restore.Snapshot{Name: "one", UUID: "1", State: "SUCCESS", Start: start, Documents: map[string]int64{"nuvla-a": 1}})
		f.AddSnapshot(restore.Snapshot{Name: "two", UUID: "2", State: "SUCCESS", Start: start.Add(time.Hour), Documents: map[string]int64{"nuvla-a": 2, "nuvla-b": 3, "other": 4}})
		f.AddSnapshot(restore.Snapshot{Name: "three", UUID: "3", State: "PARTIAL", Start: start.Add(2 * time.Hour), Documents: map[string]int64{"nuvla-a": 5}})
		return restoretest.Target{Restorer: f, Older: "one", Latest: "two", Patterns: []string{"nuvla-*"},
			Documents: map[string]int64{"nuvla-a": 2, "nuvla-b": 3},
			Make:      func(_ *testing.T, index string) { f.SetIndex(index, 7) },
			Remove:    func(_ *testing.T, index string) { f.RemoveIndex(index) }}
	})
}

// As on a server: a restore beside that fails is not put into the place of anything.
func TestFakeReplacesNothingWhenAnIndexFails(t *testing.T) {
	f := &restoretest.Fake{Repository: "fake"}
	f.AddSnapshot(restore.Snapshot{Name: "one", UUID: "1", State: "SUCCESS", Documents: map[string]int64{"nuvla-a": 1, "nuvla-b": 2}})
	f.SetIndex("nuvla-a", 7)
	f.SetIndex("nuvla-b", 7)
	f.Fail("nuvla-b", "a file is corrupt")
	plan, err := f.Plan(t.Context(), restore.Request{Snapshot: "one", Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	report, err := f.Apply(t.Context(), plan, restore.ApplyOptions{})
	if !errors.Is(err, nuvlaops.ErrVerification) || report.Indices[1].State != restore.IndexFailed {
		t.Errorf("got %v\n%s", err, report)
	}
	if diff := cmp.Diff(map[string]int64{"nuvla-a": 7, "nuvla-b": 7}, f.Documents()); diff != "" {
		t.Error(diff)
	}
	f.Fail("nuvla-b", "")
	if report, err := f.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || report.Documents != 3 {
		t.Errorf("when it does not fail any more: %v\n%s", err, report)
	}
}

func TestFakeTakesOnlyAPartialSnapshotForAPartialOne(t *testing.T) {
	for state, want := range map[string]error{"PARTIAL": nil, "FAILED": nuvlaops.ErrPartial, "IN_PROGRESS": nuvlaops.ErrBusy} {
		f := &restoretest.Fake{Repository: "fake"}
		f.AddSnapshot(restore.Snapshot{Name: "one", UUID: "1", State: state, Documents: map[string]int64{"nuvla-a": 1}})
		if _, err := f.Choose(t.Context(), restore.Selector{Name: "one", AllowPartial: true}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", state, err, want)
		}
		plan, err := f.Plan(t.Context(), restore.Request{Snapshot: "one", AllowPartial: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Apply(t.Context(), plan, restore.ApplyOptions{}); (err == nil) != (want == nil) {
			t.Errorf("%s: applied: %v", state, err)
		}
	}
}

func TestProgressMayReadTheFake(t *testing.T) {
	f := &restoretest.Fake{Repository: "fake"}
	f.AddSnapshot(restore.Snapshot{Name: "one", UUID: "1", State: "SUCCESS", Documents: map[string]int64{"nuvla-a": 1}})
	plan, err := f.Plan(t.Context(), restore.Request{Snapshot: "one"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := f.Apply(t.Context(), plan, restore.ApplyOptions{Progress: func(nuvlaops.Progress) { f.Documents() }})
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Apply waits for what waits for it")
	}
}
