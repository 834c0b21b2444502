package snapshottest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

// Target is what Conformance works on: a repository that is not registered yet, over indices with known documents.
type Target struct {
	Repo snapshot.SnapshotRepo
	// Settings to register with.
	Settings snapshot.Settings
	// Broken are settings that are valid, and whose verification fails.
	Broken snapshot.Settings
	// Indices are the patterns to snapshot, Documents what they hold. At least two indices.
	Indices   []string
	Documents map[string]int64
}

// Conformance checks that an implementation keeps the contract of snapshot.SnapshotRepo. open is called once for each
// part and cleans up after itself with t.Cleanup.
func Conformance(t *testing.T, open func(t *testing.T) Target) {
	parts := []struct {
		name string
		run  func(t *testing.T, target Target)
	}{
		{"Ensure registers once and says what changed", ensureChanges},
		{"Ensure refuses wrong settings before anything is sent", ensureRefuses},
		{"Ensure puts the registration back when verification fails", ensurePutsBack},
		{"an unregistered repository is not found", unregistered},
		{"Create returns a complete snapshot with its manifest", createWhole},
		{"Create with the same RunID adopts", createAdopts},
		{"Create does not take a name from another run", createKeepsNames},
		{"two runs of one second get two names", createTwoAtOnce},
		{"Create of nothing is refused", createNothing},
		{"Create on a context that has ended begins nothing", createDead},
		{"a read-only repository is neither written to nor emptied, and can be promoted", readOnly},
		{"List filters and sorts", lists},
		{"Delete deletes what is there and counts the rest as gone", deletes},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.run(t, open(t)) })
	}
}

func register(t *testing.T, target Target) {
	t.Helper()
	if _, err := target.Repo.Ensure(t.Context(), target.Settings); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
}

func take(t *testing.T, target Target, req snapshot.CreateRequest) *snapshot.Snapshot {
	t.Helper()
	req.Indices = target.Indices
	s, err := target.Repo.Create(t.Context(), req)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return s
}

func names(t *testing.T, target Target, f snapshot.Filter) []string {
	t.Helper()
	var out []string
	for s, err := range target.Repo.List(t.Context(), f) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		out = append(out, s.Name)
	}
	return out
}

func mustMatch(t *testing.T, err, kind error, op string) {
	t.Helper()
	var e *nuvlaops.Error
	if !errors.Is(err, kind) || !errors.As(err, &e) || e.Op != op || e.Resource == "" {
		t.Errorf("got %v, want an error of %s about a resource that matches %q", err, op, kind)
	}
}

func ensureChanges(t *testing.T, target Target) {
	first, err := target.Repo.Ensure(t.Context(), target.Settings)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Created || !first.Changed() || len(first.Settings) < 2 || len(first.Nodes) == 0 {
		t.Errorf("the first call says %+v", first)
	}
	second, err := target.Repo.Ensure(t.Context(), target.Settings)
	if err != nil {
		t.Fatal(err)
	}
	if second.Changed() || len(second.Nodes) == 0 {
		t.Errorf("the second call says %+v", second)
	}
	other := target.Settings
	other.ChunkSize = "1gb"
	third, err := target.Repo.Ensure(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	want := []snapshot.SettingChange{{Name: "chunk_size", After: "1gb"}}
	if diff := cmp.Diff(want, third.Settings); diff != "" || third.Created {
		t.Errorf("created %v, %s", third.Created, diff)
	}
	fourth, err := target.Repo.Ensure(t.Context(), target.Settings)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]snapshot.SettingChange{{Name: "chunk_size", Before: "1gb"}}, fourth.Settings); diff != "" {
		t.Error(diff)
	}
}

func ensureRefuses(t *testing.T, target Target) {
	for _, wrong := range []snapshot.Settings{
		{}, {S3: &snapshot.S3{}}, {FS: &snapshot.FS{}}, {S3: &snapshot.S3{Bucket: "b"}, FS: &snapshot.FS{Location: "/x"}},
	} {
		_, err := target.Repo.Ensure(t.Context(), wrong)
		mustMatch(t, err, nuvlaops.ErrInvalid, "snapshot.Ensure")
	}
	secret := target.Settings
	secret.Other = map[string]string{"access_key": "AKIA"}
	_, err := target.Repo.Ensure(t.Context(), secret)
	mustMatch(t, err, nuvlaops.ErrInvalid, "snapshot.Ensure")
	_, err = target.Repo.Get(t.Context(), "any")
	mustMatch(t, err, nuvlaops.ErrNotFound, "snapshot.Get") // nothing was registered
}

func ensurePutsBack(t *testing.T, target Target) {
	_, err := target.Repo.Ensure(t.Context(), target.Broken)
	mustMatch(t, err, nuvlaops.ErrRepository, "snapshot.Ensure")
	_, err = target.Repo.Get(t.Context(), "any")
	mustMatch(t, err, nuvlaops.ErrNotFound, "snapshot.Get")
	var e *nuvlaops.Error
	if change, err := target.Repo.Ensure(t.Context(), target.Settings); err != nil || !change.Created {
		t.Fatalf("the broken registration was left behind: %+v, %v", change, err)
	}
	s := take(t, target, snapshot.CreateRequest{})
	_, err = target.Repo.Ensure(t.Context(), target.Broken)
	mustMatch(t, err, nuvlaops.ErrRepository, "snapshot.Ensure")
	if errors.As(err, &e) && e.Hint == "" {
		t.Errorf("%v has no hint", err)
	}
	if change, err := target.Repo.Ensure(t.Context(), target.Settings); err != nil || change.Changed() {
		t.Errorf("the registration was not put back: %+v, %v", change, err)
	}
	if diff := cmp.Diff([]string{s.Name}, names(t, target, snapshot.Filter{})); diff != "" {
		t.Error(diff)
	}
}

func unregistered(t *testing.T, target Target) {
	_, err := target.Repo.Create(t.Context(), snapshot.CreateRequest{Indices: target.Indices})
	mustMatch(t, err, nuvlaops.ErrNotFound, "snapshot.Create")
	_, err = target.Repo.Get(t.Context(), "any")
	mustMatch(t, err, nuvlaops.ErrNotFound, "snapshot.Get")
	mustMatch(t, target.Repo.Delete(t.Context(), "any"), nuvlaops.ErrNotFound, "snapshot.Delete")
	n := 0
	for _, err := range target.Repo.List(t.Context(), snapshot.Filter{}) {
		n++
		mustMatch(t, err, nuvlaops.ErrNotFound, "snapshot.List")
	}
	if n != 1 {
		t.Errorf("List yielded %d times, want one error", n)
	}
}

func readOnly(t *testing.T, target Target) {
	register(t, target)
	s := take(t, target, snapshot.CreateRequest{})
	frozen := target.Settings
	frozen.ReadOnly = true
	if _, err := target.Repo.Ensure(t.Context(), frozen); err != nil {
		t.Fatal(err)
	}
	_, err := target.Repo.Create(t.Context(), snapshot.CreateRequest{Indices: target.Indices})
	mustMatch(t, err, nuvlaops.ErrRepository, "snapshot.Create")
	mustMatch(t, target.Repo.Delete(t.Context(), s.Name), nuvlaops.ErrRepository, "snapshot.Delete")
	if diff := cmp.Diff([]string{s.Name}, names(t, target, snapshot.Filter{})); diff != "" {
		t.Error(diff)
	}
	change, err := target.Repo.Ensure(t.Context(), target.Settings)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]snapshot.SettingChange{{Name: "readonly", Before: "true"}}, change.Settings); diff != "" {
		t.Error(diff)
	}
	take(t, target, snapshot.CreateRequest{Name: "promoted"})
}

func lists(t *testing.T, target Target) {
	register(t, target)
	if got := names(t, target, snapshot.Filter{}); len(got) != 0 {
		t.Errorf("%v in an empty repository", got)
	}
	for _, name := range []string{"c", "a", "b"} {
		take(t, target, snapshot.CreateRequest{Name: name})
		time.Sleep(250 * time.Millisecond) // the clock of Elasticsearch's threads has steps of 200 ms
	}
	middle, err := target.Repo.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	many := []string{"a", "b"}
	for i := range 400 {
		many = append(many, fmt.Sprintf("snapshot.of.a.night.that.never.was.%d", i))
	}
	for _, tc := range []struct {
		name   string
		filter snapshot.Filter
		want   []string
	}{
		{"all", snapshot.Filter{}, []string{"c", "a", "b"}},
		{"newest first", snapshot.Filter{NewestFirst: true}, []string{"b", "a", "c"}},
		{"by name", snapshot.Filter{Names: []string{"a", "b*"}}, []string{"a", "b"}},
		{"by more names than a request holds", snapshot.Filter{Names: many, NewestFirst: true}, []string{"b", "a"}},
		{"by a name that is not there", snapshot.Filter{Names: []string{"nope"}}, nil},
		{"by state", snapshot.Filter{States: []string{snapshot.Partial}}, nil},
		{"complete and ours", snapshot.Filter{Complete: true, Ours: true}, []string{"c", "a", "b"}},
		{"since", snapshot.Filter{Since: middle.Start}, []string{"a", "b"}},
		{"until", snapshot.Filter{Until: middle.Start}, []string{"c", "a"}},
	} {
		if diff := cmp.Diff(tc.want, names(t, target, tc.filter)); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
	for s, err := range target.Repo.List(t.Context(), snapshot.Filter{WithIndices: true}) {
		if err != nil || len(s.Indices) != len(target.Documents) {
			t.Errorf("%s has the indices %v, %v", s.Name, s.Indices, err)
		}
		break
	}
}

func deletes(t *testing.T, target Target) {
	register(t, target)
	for _, name := range []string{"a", "b", "c"} {
		take(t, target, snapshot.CreateRequest{Name: name})
	}
	for range 2 {
		if err := target.Repo.Delete(t.Context(), "a", "never-there", "c", "a"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"b"}, names(t, target, snapshot.Filter{})); diff != "" {
			t.Error(diff)
		}
	}
	mustMatch(t, target.Repo.Delete(t.Context(), "*"), nuvlaops.ErrInvalid, "snapshot.Delete")
	mustMatch(t, target.Repo.Delete(t.Context(), ""), nuvlaops.ErrInvalid, "snapshot.Delete")
	if err := target.Repo.Delete(t.Context()); err != nil {
		t.Errorf("deletion of nothing: %v", err)
	}
	if diff := cmp.Diff([]string{"b"}, names(t, target, snapshot.Filter{})); diff != "" {
		t.Error(diff)
	}
}
