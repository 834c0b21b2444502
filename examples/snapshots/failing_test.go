package main

import (
	"context"
	"errors"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

// failing is a repository of which one operation fails, a list after its second snapshot.
type failing struct {
	*fake
	operation string
}

var errLost = &nuvlaops.Error{Reason: "the storage is lost", Err: nuvlaops.ErrRepository}

func (f *failing) fails(operation string) error {
	if f.operation == operation {
		return errLost
	}
	return nil
}

func (f *failing) List(ctx context.Context, filter snapshot.Filter) iter.Seq2[snapshot.Snapshot, error] {
	return func(yield func(snapshot.Snapshot, error) bool) {
		n := 0
		for s, err := range f.fake.List(ctx, filter) {
			if n++; n == 3 && f.operation == "list" {
				yield(snapshot.Snapshot{}, errLost)
				return
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

func (f *failing) Delete(ctx context.Context, names ...string) error {
	if err := f.fails("delete"); err != nil {
		return err
	}
	return f.fake.Delete(ctx, names...)
}

func (f *failing) Unreadable(ctx context.Context, listed ...string) ([]string, error) {
	if err := f.fails("unreadable"); err != nil {
		return nil, err
	}
	return f.fake.Unreadable(ctx, listed...)
}

func (f *failing) Verify(ctx context.Context) ([]string, error) {
	if err := f.fails("verify"); err != nil {
		return nil, err
	}
	return f.fake.Verify(ctx)
}

// Whoever reads that a snapshot is gone, pinned or verified looks no further.
func TestWhatFailsIsNotSaidToBeDone(t *testing.T) {
	for _, tt := range []struct{ operation, args, printed string }{
		{"delete", "delete snapshot.0 -yes s3_backup", ""},
		{"delete", "delete snapshot.0 -yes s3_backup -json", ""},
		{"delete", "prune -keep-last 1 -keep-min 1 -yes s3_backup -json", ""},
		{"list", "prune -keep-last 1 -keep-min 1 -yes s3_backup", ""},
		{"list", "delete snapshot.0 snapshot.1 snapshot.4 -yes s3_backup", ""},
		{"unreadable", "delete snapshot.0 nobody -yes s3_backup", ""},
		{"verify", "verify", ""},
		{"list", "list", "snapshot.1 "},
		{"list", "list -json", `"snapshot.1"`},
		{"unreadable", "list", "snapshot.5 "},
	} {
		r := newRig(t)
		out, err := r.on(&failing{r.fake, tt.operation}, "", strings.Fields(tt.args)...)
		if !errors.Is(err, errLost) || !strings.Contains(out, tt.printed) || tt.printed == "" && out != "" || len(r.names()) != 6 {
			t.Errorf("%s fails in %q: %v, %d snapshots left, printed, want only %q:\n%s", tt.operation, tt.args, err, len(r.names()), tt.printed, out)
		}
	}
}

func TestAMarkThatCannotBeWrittenIsAFailure(t *testing.T) {
	r := newRig(t)
	if err := os.Mkdir(r.marks+".lock", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"pin", "unpin"} {
		if out, code := r.run("", command, "snapshot.0"); out != "" || code != cli.ExitFailed {
			t.Errorf("%s: code %d, printed %q, want a failure and nothing", command, code, out)
		}
	}
}

func TestAPinSaysSinceWhenAndWhy(t *testing.T) {
	r := newRig(t)
	before := time.Now().Truncate(time.Second)
	if out, code := r.run("", "pin", "snapshot.0", "-reason", "before the upgrade"); code != cli.ExitOK || out != "snapshot.0 is pinned\n" {
		t.Errorf("code %d, %q", code, out)
	}
	marks, err := snapshot.ReadMarks(r.marks)
	pin := marks["uuid-0"].Pinned
	if err != nil || pin == nil || pin.Reason != "before the upgrade" || pin.At.Before(before) || pin.At.After(time.Now()) {
		t.Errorf("the mark is %+v, %v", pin, err)
	}
	if out, code := r.run("", "unpin", "snapshot.0", "-json"); code != cli.ExitOK || !strings.Contains(out, `"name": "snapshot.0"`) {
		t.Errorf("code %d, %q", code, out)
	}
}

// Its metadata say so, which nobody can change.
func TestWhatWasTakenAsPinnedIsNotSaidToBeUnpinned(t *testing.T) {
	r := newRig(t)
	r.fake.Add(snapshot.Snapshot{Name: "kept", UUID: "uuid-kept", Repository: "s3_backup", State: snapshot.Success, Start: day0, Pinned: true})
	out, err := r.on(r.fake, "", "unpin", "kept")
	if !errors.Is(err, nuvlaops.ErrRefused) || !strings.Contains(err.Error(), "delete -pinned") || out != "" {
		t.Errorf("%v, printed %q", err, out)
	}
}

// Who calls a program at night, from another program, types nothing.
func TestTheNameThatIsGivenIsNotAskedFor(t *testing.T) {
	for args, want := range map[string]struct{ left, code int }{
		"prune -keep-last 1 -keep-min 1 -yes s3_backup": {3, cli.ExitOK},
		"prune -keep-last 1 -keep-min 1 -yes other":     {6, cli.ExitRefused},
		"delete snapshot.0 -yes s3_backup":              {5, cli.ExitOK},
		"delete snapshot.0 -yes other":                  {6, cli.ExitRefused},
		"delete nobody":                                 {6, cli.ExitOK}, // there is nothing to confirm
	} {
		r := newRig(t)
		if _, code := r.run("", strings.Fields(args)...); code != want.code || len(r.names()) != want.left {
			t.Errorf("%s: code %d, %v left, want %d and %d", args, code, r.names(), want.code, want.left)
		}
	}
}

// What cannot be described and is not named is none of it.
func TestADamagedSnapshotDoesNotKeepOthersFromBeingDeleted(t *testing.T) {
	r := newRig(t)
	r.fake.damaged = "snapshot.4"
	if out, code := r.run("", "delete", "snapshot.0", "nobody", "-yes", "s3_backup"); code != cli.ExitOK || slices.Contains(r.names(), "snapshot.0") {
		t.Errorf("code %d, %s", code, out)
	}
}

func TestWhereNoSnapshotIsCompleteThereIsNoneToVerify(t *testing.T) {
	r := newRig(t)
	r.fake.Fake = snapshottest.Fake{Name: "s3_backup"}
	if _, err := r.fake.Ensure(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.on(r.fake, "", "verify"); !errors.Is(err, nuvlaops.ErrNotFound) || !strings.Contains(err.Error(), "no snapshot is complete") {
		t.Error(err)
	}
}

// hanging never answers.
type hanging struct{ *fake }

func (hanging) Get(ctx context.Context, _ string) (*snapshot.Snapshot, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestACallEndsAfterItsTimeout(t *testing.T) {
	r := newRig(t)
	if _, err := r.on(hanging{r.fake}, "", "show", "snapshot.0", "-timeout", "1ms"); cli.ExitCode(err) != cli.ExitTimeout {
		t.Errorf("%v, want it timed out", err)
	}
	if _, code := r.run("", "show", "snapshot.0", "-timeout", "0s"); code != cli.ExitOK {
		t.Errorf("without a limit: code %d", code)
	}
}

func TestShowTellsAllOfASnapshot(t *testing.T) {
	r := newRig(t)
	r.fake.Add(snapshot.Snapshot{Name: "kept", UUID: "uuid-kept", Repository: "s3_backup", RunID: "run", State: snapshot.Success, Start: day0, End: day0.Add(time.Minute),
		Shards: snapshot.Shards{Total: 3, Successful: 3}, Bytes: 2048, Indices: []string{"a", "b"}, DataStreams: []string{"ts-1", "ts-2"}, GlobalState: true, Pinned: true})
	err := snapshot.UpdateMarks(t.Context(), r.marks, func(m snapshot.Marks) error {
		m.Verify("s3_backup", "kept", "uuid-kept", snapshot.Verified{At: day0.Add(24 * time.Hour)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `name          kept
repository    s3_backup
uuid          uuid-kept
state         SUCCESS
started       2026-03-01T12:30:00Z
ended         2026-03-01T12:31:00Z
shards        3 of 3
size          2.0 KiB
indices       2
data streams  ts-1, ts-2
global state  true
taken by      run run
notes         pinned, restored by a drill 2026-03-02
`
	if got, code := r.run("", "show", "kept"); code != cli.ExitOK || cmp.Diff(want, got) != "" {
		t.Errorf("code %d (-want +got):\n%s", code, cmp.Diff(want, got))
	}
}
