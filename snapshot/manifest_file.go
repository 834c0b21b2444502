package snapshot

import (
	"encoding/json"
	"fmt"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/atomicfile"
)

// WriteFile writes the manifest as JSON. The file is whole or, after a failure, what it was. Error: ErrInvalid (there is no
// manifest to write).
func (m *Manifest) WriteFile(path string) error {
	if m.none() {
		return nuvlaops.Wrap("snapshot.WriteFile", path, invalid("no manifest", "a snapshot that another tool has taken has none"))
	}
	return nuvlaops.Wrap("snapshot.WriteFile", path, atomicfile.Write(path, m.write))
}

// none reports whether there is nothing that a restore could be checked by.
func (m *Manifest) none() bool { return m == nil || m.Snapshot == "" || m.Indices == nil }

// mostOfAManifest is what a hundred thousand indices of the longest names take.
const mostOfAManifest = 64 << 20

// ReadManifest reads what WriteFile, or Create to CreateRequest.Manifest, has written. Error: ErrInvalid (it is something else).
func ReadManifest(path string) (*Manifest, error) {
	m, err := readManifest(path)
	return m, nuvlaops.Wrap("snapshot.ReadManifest", path, err)
}

func readManifest(path string) (*Manifest, error) {
	raw, whole, err := atomicfile.ReadAtMost(path, mostOfAManifest)
	switch {
	case err != nil:
		return nil, err
	case !whole:
		return nil, invalid("the file is larger than any manifest of a snapshot", "")
	}
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", nuvlaops.ErrInvalid, err)
	}
	if m.none() {
		return nil, invalid("the file is no manifest of a snapshot", "")
	}
	return &m, nil
}
