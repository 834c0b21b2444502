package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// mostRead is more than any file of ours holds.
const mostRead = 64 << 20

// ErrNoFile is what Read says of a folder, a pipe or a device, or of a file that is none that Write has written, by its size.
var ErrNoFile = errors.New("want a file")

// Read reads a file that Write has written. What stands in its place is an error: a pipe would never be read to its end.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is a folder, a pipe or a device: %w", path, ErrNoFile)
	}
	raw, whole, err := ReadAtMost(path, mostRead)
	if !whole && err == nil {
		return nil, fmt.Errorf("%s is larger than %d MiB: %w", path, mostRead>>20, ErrNoFile)
	}
	return raw, err
}

// ReadAtMost reads a file, or a pipe, of so many bytes. One that holds more is not whole, and nothing of it is returned.
func ReadAtMost(path string, most int64) (raw []byte, whole bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	raw, err = io.ReadAll(io.LimitReader(f, most+1))
	if err != nil || int64(len(raw)) > most {
		return nil, false, err
	}
	return raw, true, nil
}
