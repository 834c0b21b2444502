package cli

import (
	"fmt"

	"github.com/nuvla/nuvlaops/internal/atomicfile"
)

// mostOfAFile is more than any file holds that a person writes.
const mostOfAFile = 16 << 20

// ReadFile reads a file that a flag names, which may be a pipe that a shell has made, and no more of it than such a file holds.
func ReadFile(path string) ([]byte, error) {
	raw, whole, err := atomicfile.ReadAtMost(path, mostOfAFile)
	if !whole && err == nil {
		return nil, fmt.Errorf("%s is larger than %d MiB: want another file", path, mostOfAFile>>20)
	}
	return raw, err
}
