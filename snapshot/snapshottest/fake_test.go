package snapshottest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

func TestTheFakeConforms(t *testing.T) {
	snapshottest.Conformance(t, func(t *testing.T) snapshottest.Target {
		documents := map[string]int64{"nuvla-job": 10, "nuvla-user": 3}
		fake := &snapshottest.Fake{Documents: documents, VerifyErr: func(s snapshot.Settings) error {
			if s.FS.Location == "/backup" {
				return nil
			}
			return &nuvlaops.Error{Reason: s.FS.Location + " is not below a path.repo", Hint: "add it to path.repo", Err: nuvlaops.ErrRepository}
		}}
		return snapshottest.Target{Repo: fake, Documents: documents, Settings: snapshot.Settings{FS: &snapshot.FS{Location: "/backup"}},
			Broken: snapshot.Settings{FS: &snapshot.FS{Location: "/elsewhere"}}}
	})
}

func TestTheFakeIsBusyWhileASnapshotRuns(t *testing.T) {
	fs := snapshot.Settings{FS: &snapshot.FS{Location: "/backup"}}
	fake := &snapshottest.Fake{Documents: map[string]int64{"nuvla-job": 1}}
	if _, err := fake.Ensure(t.Context(), fs); err != nil {
		t.Fatal(err)
	}
	fake.Add(snapshot.Snapshot{Name: "others", State: snapshot.InProgress})
	for _, req := range []snapshot.CreateRequest{{WhenBusy: snapshot.BusyRefuse}, {BusyTimeout: time.Millisecond}} {
		if _, err := fake.Create(t.Context(), req); !errors.Is(err, nuvlaops.ErrBusy) {
			t.Errorf("%+v: got %v", req, err)
		}
	}
	faster, elsewhere := fs, snapshot.Settings{FS: &snapshot.FS{Location: "/elsewhere"}}
	faster.MaxSnapshotBytesPerSec = "1gb"
	if _, err := fake.Ensure(t.Context(), faster); err != nil {
		t.Error(err)
	}
	if _, err := fake.Ensure(t.Context(), elsewhere); !errors.Is(err, nuvlaops.ErrConflict) {
		t.Errorf("another location: got %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = fake.Delete(context.Background(), "others") })
	if s, err := fake.Create(t.Context(), snapshot.CreateRequest{}); err != nil || !s.Complete() {
		t.Errorf("%+v, %v", s, err)
	}
}

// open returns a fake that is registered and holds one index.
func open(t *testing.T) *snapshottest.Fake {
	t.Helper()
	fake := &snapshottest.Fake{Documents: map[string]int64{"nuvla-job": 1}}
	if _, err := fake.Ensure(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/backup"}}); err != nil {
		t.Fatal(err)
	}
	return fake
}

func TestTheFakeEndsASnapshotThatAKilledCallBegan(t *testing.T) {
	fake := open(t)
	fake.Add(snapshot.Snapshot{Name: "begun", State: snapshot.InProgress, RunID: "run-1"})
	if s, err := fake.Create(t.Context(), snapshot.CreateRequest{RunID: "run-1"}); err != nil || s.Name != "begun" || !s.Complete() {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestWhatWasReadOfTheFakeStaysAsItWas(t *testing.T) {
	fake := open(t)
	end, began := make(chan struct{}), make(chan struct{})
	fake.Block = end
	go func() {
		defer close(began)
		if _, err := fake.Create(t.Context(), snapshot.CreateRequest{Name: "s"}); err != nil {
			t.Error(err)
		}
	}()
	var running *snapshot.Snapshot
	for running == nil {
		running, _ = fake.Get(t.Context(), "s")
	}
	close(end)
	<-began
	if !running.Running() || !running.Manifest.End.IsZero() {
		t.Errorf("%+v", running.Manifest)
	}
}

func TestWhatTheFakeCallsMayReadIt(t *testing.T) {
	fake := open(t)
	read := func() {
		if _, err := fake.Get(t.Context(), "s"); err != nil {
			t.Error(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := fake.Create(t.Context(), snapshot.CreateRequest{Name: "s", Manifest: writer(read), Progress: func(nuvlaops.Progress) { read() }})
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Create waits for what waits for it")
	}
}

type writer func()

func (w writer) Write(p []byte) (int, error) {
	w()
	return len(p), nil
}

func TestTheFakeKeepsSettingsOfItsOwn(t *testing.T) {
	fake := open(t)
	fs := &snapshot.FS{Location: "/backup"}
	if _, err := fake.Ensure(t.Context(), snapshot.Settings{FS: fs}); err != nil {
		t.Fatal(err)
	}
	fs.Location = "/elsewhere"
	if change, err := fake.Ensure(t.Context(), snapshot.Settings{FS: fs}); err != nil || !change.Changed() {
		t.Errorf("%+v, %v", change, err)
	}
}
