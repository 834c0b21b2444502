package cli

import (
	"os"
	"path/filepath"
)

// InFolder is a usage error when the folder of a flag's file is not there: what is to be written would fail at the end, and
// what is read, such as pins, look as if nobody had written any. A flag that names no file is none.
func InFolder(flagName, path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return Usagef("-%s %s: there is no folder %s", flagName, path, filepath.Dir(path))
	}
	return nil
}
