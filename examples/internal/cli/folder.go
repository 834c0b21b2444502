package cli

import (
	"os"
	"path/filepath"
)

// InFolder is a usage error when the folder of a flag's file is not there: what is to be written would fail at the end, and
// what is read, such as pins, look as if nobody had written any.
func InFolder(flagName, path string) error {
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return Usagef("-%s %s: the folder is not there", flagName, path)
	}
	return nil
}
