package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

func names(steps []snapshot.CycleStep) []string {
	var out []string
	for _, s := range steps {
		out = append(out, fmt.Sprintf("%s %v", s.Name, s.Err == nil))
	}
	return out
}

func TestACycleEndsAtItsFirstFailureAndIsRecorded(t *testing.T) {
	broken := errors.New("the storage is broken")
	fs := &snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}
	policy := &snapshot.Policy{Last: 1, MinComplete: 1}
	for _, tc := range []struct {
		name  string
		fake  *snapshottest.Fake
		kind  error
		steps []string
		left  int
	}{
		{"all is well", &snapshottest.Fake{}, nil, []string{"ensure true", "create true", "check true", "prune true", "record true"}, 1},
		{"the repository is broken", &snapshottest.Fake{VerifyErr: func(snapshot.Settings) error { return broken }}, broken,
			[]string{"ensure false", "record true"}, 0},
		{"a shard is missing: nothing is pruned", &snapshottest.Fake{FailShard: func(string) string { return "broken file" }}, nuvlaops.ErrPartial,
			[]string{"ensure true", "create false", "record true"}, 3},
	} {
		tc.fake.Documents = map[string]int64{"nuvla-job": 1}
		if tc.fake.VerifyErr == nil {
			if _, err := tc.fake.Ensure(t.Context(), *fs); err != nil {
				t.Fatal(err)
			}
			tc.fake.Add(taken(day0), taken(day0.Add(time.Hour)))
		}
		var recorded *snapshot.CycleReport
		var seen []string
		report, err := snapshot.Cycle(t.Context(), tc.fake, snapshot.CycleOptions{Settings: fs, Policy: policy,
			Observe: func(s snapshot.CycleStep) {
				seen = append(seen, fmt.Sprintf("%s %v", s.Name, s.Ended))
			},
			Record: func(_ context.Context, r *snapshot.CycleReport) error { recorded = r; return nil }})
		if (tc.kind == nil) != (err == nil) || (tc.kind != nil && !errors.Is(err, tc.kind)) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.kind)
		}
		if diff := cmp.Diff(tc.steps, names(report.Steps)); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
		if recorded != report || (err != nil) != (recorded.Err != nil) {
			t.Errorf("%s: recorded %v", tc.name, recorded)
		}
		var changes []string
		for _, s := range report.Steps {
			changes = append(changes, s.Name+" false", s.Name+" true")
		}
		if diff := cmp.Diff(changes, seen); diff != "" {
			t.Errorf("%s: observed (-want +got):\n%s", tc.name, diff)
		}
		if tc.left == 0 {
			continue
		}
		left := 0
		for range tc.fake.List(t.Context(), snapshot.Filter{}) {
			left++
		}
		if left != tc.left {
			t.Errorf("%s: %d are left, want %d", tc.name, left, tc.left)
		}
	}
}

// changing is a repository that shows, when it is asked for one, not the snapshot that was made.
type changing struct {
	*snapshottest.Fake
	shows func(*snapshot.Snapshot) error
}

func (c changing) Get(ctx context.Context, name string) (*snapshot.Snapshot, error) {
	s, err := c.Fake.Get(ctx, name)
	if err == nil {
		err = c.shows(s)
	}
	return s, err
}

func TestNothingIsPrunedForASnapshotThatIsNotFoundAsItWasMade(t *testing.T) {
	for name, tc := range map[string]struct {
		shows func(*snapshot.Snapshot) error
		kind  error
	}{
		"as it was made": {func(s *snapshot.Snapshot) error { s.Bytes = 7; return nil }, nil},
		"another one":    {func(s *snapshot.Snapshot) error { s.UUID = "other"; return nil }, nuvlaops.ErrVerification},
		"incomplete":     {func(s *snapshot.Snapshot) error { s.State = snapshot.Partial; return nil }, nuvlaops.ErrVerification},
		"none":           {func(*snapshot.Snapshot) error { return nuvlaops.ErrNotFound }, nuvlaops.ErrNotFound},
	} {
		repo := changing{&snapshottest.Fake{Documents: map[string]int64{"nuvla-job": 1}}, tc.shows}
		if _, err := repo.Ensure(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}); err != nil {
			t.Fatal(err)
		}
		repo.Add(taken(day0), taken(day0.Add(time.Hour)))
		report, err := snapshot.Cycle(t.Context(), repo, snapshot.CycleOptions{Policy: &snapshot.Policy{Last: 1, MinComplete: 1}})
		if good := tc.kind == nil; good != (err == nil) || !good && !errors.Is(err, tc.kind) || report.Verified() != good || (len(report.Removed) == 2) != good {
			t.Errorf("%s: %v, verified %t, removed %v", name, err, report.Verified(), report.Removed)
		}
		if tc.kind == nil && report.Snapshot.Bytes != 7 { // which Create does not ask for
			t.Errorf("%s: %d bytes", name, report.Snapshot.Bytes)
		}
	}
}

func TestACycleThatIsAskedWronglyChangesNothing(t *testing.T) {
	fs := &snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}
	for name, opts := range map[string]snapshot.CycleOptions{
		"a policy without a rule": {Settings: fs, Policy: &snapshot.Policy{}},
		"a name of many":          {Settings: fs, Create: snapshot.CreateRequest{Name: "a*"}},
		"a negative time-out":     {Settings: fs, Create: snapshot.CreateRequest{BusyTimeout: -1}},
		"settings of no kind":     {Settings: &snapshot.Settings{}},
	} {
		fake := &snapshottest.Fake{Documents: map[string]int64{"nuvla-job": 1}}
		recorded := false
		opts.Record = func(context.Context, *snapshot.CycleReport) error { recorded = true; return nil }
		report, err := snapshot.Cycle(t.Context(), fake, opts)
		var e *nuvlaops.Error
		if !errors.Is(err, nuvlaops.ErrInvalid) || !errors.As(err, &e) || e.Op != "snapshot.Cycle" || !recorded {
			t.Errorf("%s: got %v, recorded %v", name, err, recorded)
		}
		if fake.Registered() != nil || report.Snapshot != nil {
			t.Errorf("%s: registered %+v, taken %+v", name, fake.Registered(), report.Snapshot)
		}
	}
}

func TestARecordThatFailsFailsAGoodCycle(t *testing.T) {
	fake := &snapshottest.Fake{Documents: map[string]int64{"nuvla-job": 1}}
	full := errors.New("disk full")
	report, err := snapshot.Cycle(t.Context(), fake, snapshot.CycleOptions{Settings: &snapshot.Settings{FS: &snapshot.FS{Location: "/x"}},
		Record: func(context.Context, *snapshot.CycleReport) error { return full }})
	if !errors.Is(err, full) || report.Snapshot == nil || !report.Snapshot.Complete() {
		t.Errorf("%v, %+v", err, report)
	}
}

func TestCyclesOnARealServerKeepWhatThePolicyKeeps(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.fill(b.index("job"), 4)
	settings := b.settings()
	var manifest bytes.Buffer
	opts := snapshot.CycleOptions{Settings: &settings, Policy: &snapshot.Policy{Last: 2, MinComplete: 1},
		Create: snapshot.CreateRequest{Indices: []string{b.index("*")}, Manifest: &manifest}}
	var last *snapshot.CycleReport
	for i := range 4 {
		opts.Create.RunID = fmt.Sprint("run-", i)
		opts.Create.Name = fmt.Sprint("s-", i)
		for range 2 { // each twice, as after a crash
			manifest.Reset()
			var err error
			if last, err = snapshot.Cycle(t.Context(), b.repo, opts); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(250 * time.Millisecond) // the server's clock has steps
	}
	if diff := cmp.Diff([]string{"s-2", "s-3"}, b.snapshots()); diff != "" {
		t.Error(diff)
	}
	if last.Snapshot.Name != "s-3" || last.Snapshot.Manifest == nil || manifest.Len() == 0 || last.Change.Changed() {
		t.Errorf("%+v", last)
	}
}

// TestACyclePrunesBesideCleanups: Elasticsearch deletes nothing while a repository of the cluster is cleaned up. As all that
// clean up, it runs beside no other test.
func TestACyclePrunesBesideCleanups(t *testing.T) {
	b, other := places[1].bench(t), places[1].bench(t)
	b.fill(b.index("job"), 4)
	if _, err := other.repo.Ensure(t.Context(), other.settings()); err != nil {
		t.Fatal(err)
	}
	var refused, cleanups atomic.Int64
	stop := make(chan struct{})
	var cleaning sync.WaitGroup
	cleaning.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := other.repo.Cleanup(t.Context()); err == nil {
				cleanups.Add(1)
			} else if !errors.Is(err, nuvlaops.ErrBusy) {
				t.Error(err)
				return
			}
		}
	})
	settings := b.settings()
	opts := snapshot.CycleOptions{Settings: &settings, Policy: &snapshot.Policy{Last: 1, MinComplete: 1},
		Create: snapshot.CreateRequest{Indices: []string{b.index("*")}, Progress: func(p nuvlaops.Progress) {
			if p.Phase == "waiting to remove snapshots" {
				refused.Add(1)
			}
		}}}
	want := []string{}
	for i := 0; i < 40 && (i < 3 || refused.Load() == 0); i++ {
		opts.Create.RunID, opts.Create.Name = fmt.Sprint("run-", i), fmt.Sprint("s-", i)
		want = []string{opts.Create.Name}
		if _, err := snapshot.Cycle(t.Context(), b.repo, opts); err != nil {
			t.Error(err)
			break
		}
		time.Sleep(250 * time.Millisecond) // the server's clock has steps
	}
	close(stop)
	cleaning.Wait()
	t.Logf("%d deletions refused beside %d cleanups, last %v", refused.Load(), cleanups.Load(), want)
	if diff := cmp.Diff(want, b.snapshots()); diff != "" {
		t.Error(diff)
	}
	if refused.Load() == 0 {
		t.Errorf("%d cleanups, and no deletion was refused: this shows nothing", cleanups.Load())
	}
}

func TestCleanupRemovesWhatNoSnapshotRefersTo(t *testing.T) {
	b := places[1].bench(t)
	b.slow("40kb", 60)
	cleanup := func() (snapshot.Cleaned, error) { return b.repo.Cleanup(t.Context()) }
	if c, err := cleanup(); err != nil || c.Blobs != 0 {
		t.Errorf("%+v, %v of a clean repository", c, err)
	}
	ended := b.begin("running")
	_, err := b.repo.Cleanup(t.Context())
	mustSay(t, err, nuvlaops.ErrBusy, "snapshot running of run")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	stale := b.settings().FS.Location + "/indices/nobody-refers-to-this"
	if out, err := b.server.Exec(t.Context(), "sh", "-c", "mkdir -p "+stale+"/0 && echo stale > "+stale+"/0/__x && chown -R 1000 "+stale); err != nil {
		t.Fatal(out, err)
	}
	c, err := cleanup()
	if err != nil || c.Blobs != 1 || c.Bytes != 6 {
		t.Errorf("%+v, %v", c, err)
	}
	if s, err := b.repo.Get(t.Context(), "running"); err != nil || !s.Complete() {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestCleanupIsBusyWhileASnapshotRunsInAnotherRepository(t *testing.T) {
	b, other := places[1].bench(t), places[1].bench(t)
	b.slow("40kb", 60)
	other.slow("40kb", 60)
	ended := other.begin("beside")
	_, err := b.repo.Cleanup(t.Context())
	mustSay(t, err, nuvlaops.ErrBusy, "while no snapshot is taken or deleted")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestAManifestIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	n := int64(7)
	m := &snapshot.Manifest{Repository: "r", Snapshot: "s", Indices: map[string]snapshot.IndexManifest{"nuvla-job": {UUID: "u", Before: 5, After: &n}}, Documents: 5}
	for range 2 { // over the one before
		if err := m.WriteFile(dir + "/manifest.json"); err != nil {
			t.Fatal(err)
		}
	}
	for _, none := range []*snapshot.Manifest{nil, {}} { // a snapshot of another tool has none
		if err := none.WriteFile(dir + "/manifest.json"); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%v was written: %v", none, err)
		}
	}
	got, err := snapshot.ReadManifest(dir + "/manifest.json")
	if diff := cmp.Diff(m, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v is in the folder, %v", files, err)
	}
	if err := m.WriteFile(dir + "/no/such/folder/manifest.json"); err == nil {
		t.Error("a folder that is not there is no error")
	}
	if err := os.WriteFile(dir+"/other.json", []byte(`{"bucket":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.ReadManifest(dir + "/other.json"); !errors.Is(err, nuvlaops.ErrInvalid) {
		t.Errorf("a file that is no manifest: %v", err)
	}
}
