package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

func update(t *testing.T, path string, change func(snapshot.Marks)) {
	t.Helper()
	if err := snapshot.UpdateMarks(t.Context(), path, func(m snapshot.Marks) error { change(m); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestMarksAreReadAsTheyWereWrittenAndEmptyOnesLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "marks.json")
	got, err := snapshot.ReadMarks(path)
	if err != nil || len(got) != 0 {
		t.Fatalf("no file: %v, %v", got, err)
	}
	update(t, path, func(m snapshot.Marks) {
		m.Pin("r", "a", "uuid-a", snapshot.Pin{At: day0, Reason: "before the upgrade"})
		m.Verify("r", "a", "uuid-a", snapshot.Verified{At: day0, RTO: 12.5, Documents: 7})
		m.Pin("r", "b", "uuid-b", snapshot.Pin{At: day0})
	})
	update(t, path, func(m snapshot.Marks) { m.Unpin("uuid-b"); m.Unpin("uuid-of-nobody") })
	got, err = snapshot.ReadMarks(path)
	want := snapshot.Marks{"uuid-a": {Repository: "r", Snapshot: "a", Pinned: &snapshot.Pin{At: day0, Reason: "before the upgrade"},
		Verified: &snapshot.Verified{At: day0, RTO: 12.5, Documents: 7}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 { // who prunes may be another user
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestAnUpdateThatFailsLeavesTheMarksAsTheyWere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "marks.json")
	update(t, path, func(m snapshot.Marks) { m.Pin("r", "a", "uuid-a", snapshot.Pin{At: day0}) })
	before, _ := os.ReadFile(path)
	no := errors.New("no")
	err := snapshot.UpdateMarks(t.Context(), path, func(m snapshot.Marks) error { clear(m); return no })
	if !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	err = snapshot.UpdateMarks(t.Context(), path, func(m snapshot.Marks) error {
		m.Pin("r", "running", "", snapshot.Pin{At: day0})
		return nil
	})
	if !errors.Is(err, nuvlaops.ErrInvalid) {
		t.Errorf("a mark without a UUID: %v", err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Errorf("the file is %s, was %s", after, before)
	}
}

func TestMarksOfManyAtOnceAreAllKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "marks.json")
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			err := snapshot.UpdateMarks(context.Background(), path, func(m snapshot.Marks) error {
				m.Pin("r", fmt.Sprint("s-", i), fmt.Sprint("uuid-", i), snapshot.Pin{At: day0})
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if m, err := snapshot.ReadMarks(path); err != nil || len(m) != 10 {
		t.Errorf("%d marks, %v", len(m), err)
	}
}

// What is marked afterwards is kept, also when the mark is set between plan and removal.
func TestRetentionKeepsWhatIsPinnedAndTheNewestThatADrillRestored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "marks.json")
	fake := &snapshottest.Fake{}
	if _, err := fake.Ensure(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}); err != nil {
		t.Fatal(err)
	}
	for h := range 6 {
		s := taken(day0.Add(time.Duration(h) * time.Hour))
		s.UUID = fmt.Sprint("uuid-", h)
		fake.Add(s)
	}
	repo := snapshot.WithMarks(fake, path)
	update(t, path, func(m snapshot.Marks) {
		m.Pin("r", "s", "uuid-0", snapshot.Pin{At: day0})
		m.Verify("r", "s", "uuid-1", snapshot.Verified{At: day0})
		m.Verify("r", "s", "uuid-2", snapshot.Verified{At: day0})
	})
	plan, err := snapshot.PlanPrune(t.Context(), repo, snapshot.Policy{Last: 1, MinComplete: 1})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range plan.Decisions {
		got = append(got, fmt.Sprintf("%s %v: %s", d.UUID, d.Keep, strings.Join(d.Reasons, ", ")))
	}
	want := []string{
		"uuid-0 true: it is pinned",
		"uuid-1 false: no rule keeps it",
		"uuid-2 true: the newest one that a drill has restored",
		"uuid-3 false: no rule keeps it",
		"uuid-4 false: no rule keeps it",
		"uuid-5 true: the newest complete one, last",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	update(t, path, func(m snapshot.Marks) { m.Pin("r", "s", "uuid-3", snapshot.Pin{At: day0}) })
	if _, err := snapshot.Prune(t.Context(), repo, plan); !errors.Is(err, nuvlaops.ErrRefused) {
		t.Errorf("pinned since the plan was made: %v", err)
	}
	if s, err := repo.Get(t.Context(), snapshot.Name("", day0)); err != nil || !s.Pinned {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestNothingIsPrunedWhenTheMarksCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "marks.json")
	if err := os.WriteFile(path, []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	fake := &snapshottest.Fake{}
	if _, err := fake.Ensure(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}); err != nil {
		t.Fatal(err)
	}
	repo := snapshot.WithMarks(fake, path)
	if _, err := snapshot.PlanPrune(t.Context(), repo, snapshot.Policy{Last: 1}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if _, err := repo.Get(t.Context(), "s"); err == nil || errors.Is(err, nuvlaops.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// A path that was not set is no file that is not there: its pins would be forgotten without a word.
func TestMarksWithoutAFileAreInvalid(t *testing.T) {
	t.Chdir(t.TempDir())
	_, readErr := snapshot.ReadMarks("")
	updateErr := snapshot.UpdateMarks(t.Context(), "", func(snapshot.Marks) error { return nil })
	_, planErr := snapshot.PlanPrune(t.Context(), snapshot.WithMarks(&snapshottest.Fake{}, ""), snapshot.Policy{Last: 1})
	for name, err := range map[string]error{"read": readErr, "update": updateErr, "plan": planErr} {
		if !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("%v, %v were made", left, err)
	}
}

// Hosts may share a file of marks that each has a link to.
func TestAMarkByALinkIsInTheFileThatOthersRead(t *testing.T) {
	shared, link := filepath.Join(t.TempDir(), "shared.json"), filepath.Join(t.TempDir(), "marks.json")
	if err := os.WriteFile(shared, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(shared, link); err != nil {
		t.Fatal(err)
	}
	err := snapshot.UpdateMarks(t.Context(), link, func(m snapshot.Marks) error { m.Pin("r", "a", "uuid", snapshot.Pin{}); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if marks, err := snapshot.ReadMarks(shared); err != nil || marks["uuid"].Pinned == nil {
		t.Errorf("%v, %v", marks, err)
	}
	if _, err := os.Stat(shared + ".lock"); err != nil {
		t.Errorf("who comes by the file is not kept apart: %v", err)
	}
	if err := os.Remove(shared); err != nil { // such as a share that is not mounted: its pins are not known
		t.Fatal(err)
	}
	if marks, err := snapshot.ReadMarks(link); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, %v", marks, err)
	}
}

// Each of these files would be written anew, without what is in it, by the next pin: what is of something else, of a newer version, or
// damaged is left as it is.
func TestAFileThatHoldsMoreThanMarksIsLeftAsItIs(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, dir} {
		if _, err := snapshot.ReadMarks(path); err == nil {
			t.Errorf("%s is read", path)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "cut": `{"u":{"repository":"r","snap`, "twice": `{}{}`, "a list": `[]`, "HTML": "<html>", "other types": `{"u":{"pinned":true}}`, "no time": `{"u":{"pinned":{"at":"yesterday"}}}`,
		"of a newer version": `{"u":{"repository":"r","snapshot":"s","held":{"until":"2030-01-01T00:00:00Z"}}}`, "of docker": `{"auths":{"registry":{"auth":"x"}}}`,
	} {
		path := filepath.Join(dir, "marks")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := snapshot.ReadMarks(path); err == nil {
			t.Errorf("%s: it is read as %v", name, m)
		}
		err := snapshot.UpdateMarks(t.Context(), path, func(m snapshot.Marks) error { m.Pin("r", "s", "v", snapshot.Pin{}); return nil })
		after, readErr := os.ReadFile(path)
		if diff := cmp.Diff(text, string(after)); err == nil || readErr != nil || diff != "" {
			t.Errorf("%s: %v, %v (-before +after):\n%s", name, err, readErr, diff)
		}
	}
}
