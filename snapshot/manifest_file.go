package snapshot

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/atomicfile"
)

// WriteFile writes the manifest as JSON. The file is whole or, after a failure, what it was.
func (m *Manifest) WriteFile(path string) error {
	return nuvlaops.Wrap("snapshot.WriteFile", path, atomicfile.Write(path, m.write))
}

// ReadManifest reads what WriteFile, or Create to CreateRequest.Manifest, has written.
func ReadManifest(path string) (*Manifest, error) {
	m, err := readManifest(path)
	return m, nuvlaops.Wrap("snapshot.ReadManifest", path, err)
}

func readManifest(path string) (*Manifest, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", nuvlaops.ErrInvalid, err)
	}
	if m.Snapshot == "" || m.Indices == nil {
		return nil, invalid("the file is no manifest of a snapshot", "")
	}
	return &m, nil
}
