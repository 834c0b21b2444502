package snapshot_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/snapshot"
)

func TestWhatTheManifestHasCountedAndTheSnapshotDoesNotHoldIsNamed(t *testing.T) {
	counted := &snapshot.Manifest{Indices: map[string]snapshot.IndexManifest{"nuvla-a": {}, "nuvla-b": {}, "nuvla-c": {}, "nuvla-e": {}, "nuvla-f": {}}}
	for _, tc := range []struct {
		name     string
		snapshot snapshot.Snapshot
		want     []string
	}{
		{"all are there", snapshot.Snapshot{Manifest: counted, Indices: []string{"nuvla-f", "nuvla-e", "nuvla-c", "nuvla-b", "nuvla-a"}}, nil},
		{"more than was counted", snapshot.Snapshot{Manifest: counted, Indices: []string{"nuvla-a", "nuvla-b", "nuvla-c", "nuvla-d", "nuvla-e", "nuvla-f"}}, nil},
		{"some are missing", snapshot.Snapshot{Manifest: counted, Indices: []string{"nuvla-b"}}, []string{"nuvla-a", "nuvla-c", "nuvla-e", "nuvla-f"}},
		{"nothing was counted", snapshot.Snapshot{Indices: []string{"nuvla-a"}}, nil},
	} {
		if diff := cmp.Diff(tc.want, tc.snapshot.MissingIndices()); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}
