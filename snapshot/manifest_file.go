package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nuvla/nuvlaops"
)

// WriteFile writes the manifest as JSON. The file is whole or, after a failure, what it was.
func (m *Manifest) WriteFile(path string) error {
	return nuvlaops.Wrap("snapshot.WriteFile", path, m.writeFile(path))
}

func (m *Manifest) writeFile(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = m.write(f)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
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
