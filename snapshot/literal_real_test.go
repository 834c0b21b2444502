package snapshot_test

import (
	"net/url"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/snapshot"
)

// Elasticsearch takes these names from whoever may write a snapshot. As a part of a request's path, the first one means all that
// begin with "a.", the second one two others.
func TestASnapshotIsMeantByItsNameWhateverThatIs(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.register()
	b.fill(b.index("job"), 5)
	all := []string{"a.one", "a.two"}
	for _, name := range all {
		if _, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Name: name, Indices: []string{b.index("*")}}); err != nil {
			t.Fatal(err)
		}
	}
	odd := []string{"a.%2a", "a.one%2ca.two", "100%", "a%3f", "a%", "b\x1b[2j\u009b\n"}
	for _, name := range odd {
		b.do("PUT", "/_snapshot/"+b.repo.Name()+"/"+url.PathEscape(name)+"?wait_for_completion=true", `{"indices":"`+b.index("*")+`"}`)
	}
	all = append(all, odd...)
	slices.Sort(all)
	var listed []string
	for s, err := range b.repo.List(t.Context(), snapshot.Filter{WithIndices: true}) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, s.Name)
	}
	slices.Sort(listed)
	if diff := cmp.Diff(all, listed); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	for _, name := range odd {
		if s, err := b.repo.Get(t.Context(), name); err != nil || s.Name != name {
			t.Errorf("Get %q: %v, %v", name, s, err)
		}
		if err := b.repo.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete %q: %v", name, err)
		}
	}
	if diff := cmp.Diff([]string{"a.one", "a.two"}, b.snapshots()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}
