package cli

import (
	"fmt"
	"io"
	"os"
)

// mostOfAFile is more than any file holds that a person writes.
const mostOfAFile = 16 << 20

// ReadFile reads a file that a flag names, which may be a pipe that a shell has made, and no more of it than such a file holds.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, mostOfAFile+1))
	if len(raw) > mostOfAFile {
		return nil, fmt.Errorf("%s is larger than %d MiB: want another file", path, mostOfAFile>>20)
	}
	return raw, err
}
