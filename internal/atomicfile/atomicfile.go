// Package atomicfile writes files that are whole or, after a failure, what they were before.
package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Write writes a file that its owner alone may read, to a temporary name in the same folder, fsyncs and renames it. After
// an error nothing is left of it.
func Write(path string, write func(io.Writer) error) error { return WriteMode(path, 0o600, write) }

// WriteMode is Write with the permissions of the file, whatever the umask says.
func WriteMode(path string, mode os.FileMode, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = f.Chmod(mode)
	if err == nil {
		err = write(f)
	}
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

// RemoveParts removes what writers of path have left that were killed while they wrote. Only a process that nobody writes
// path beside may call it.
func RemoveParts(path string) error {
	parts, err := filepath.Glob(filepath.Join(escape(filepath.Dir(path)), escape(filepath.Base(path))+".*.part"))
	for _, part := range parts {
		err = errors.Join(err, os.Remove(part))
	}
	return err
}

// escape makes a name stand for itself in a pattern.
func escape(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}
