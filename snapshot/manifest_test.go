package snapshot_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
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

func TestAFileThatIsNoManifestIsInvalid(t *testing.T) {
	const whole = `{"snapshot":"s","uuid":"u","indices":{"a":{"before":1}},"documents":1,"digest":"d"}`
	path := filepath.Join(t.TempDir(), "manifest.json")
	for name, text := range map[string]string{"empty": "", "cut": whole[:len(whole)-9], "twice": whole + whole, "null": "null", "a list": "[]", "settings": `{"type":"s3","settings":{}}`,
		"no indices": `{"snapshot":"s","indices":null}`, "other types": `{"snapshot":"s","indices":{"a":{"before":"1"}}}`, "huge": `{"snapshot":"s","indices":{"a":{"before":1e300}}}`, "binary": "\x00\xff"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := snapshot.ReadManifest(path); !errors.Is(err, nuvlaops.ErrInvalid) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v, want ErrInvalid with the path", name, m, err)
		}
	}
	if m, err := snapshot.ReadManifest("/dev/zero"); !errors.Is(err, nuvlaops.ErrInvalid) {
		t.Errorf("without an end: %v, %v, want ErrInvalid", m, err)
	}
}
