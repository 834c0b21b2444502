package atomicfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nuvla/nuvlaops/internal/atomicfile"
)

func TestOnlyAFileIsRead(t *testing.T) {
	dir := t.TempDir()
	pipe, large, small := filepath.Join(dir, "pipe"), filepath.Join(dir, "large"), filepath.Join(dir, "small")
	err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.WriteFile(large, nil, 0o600), os.Truncate(large, 64<<20+1), os.WriteFile(small, []byte("x"), 0o600),
		os.Symlink(small, filepath.Join(dir, "link")))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, large, dir, os.DevNull} {
		if raw, err := atomicfile.Read(path); !errors.Is(err, atomicfile.ErrNoFile) {
			t.Errorf("%s: %d bytes, %v, want ErrNoFile", path, len(raw), err)
		}
	}
	for _, path := range []string{small, filepath.Join(dir, "link")} {
		if raw, err := atomicfile.Read(path); err != nil || string(raw) != "x" {
			t.Errorf("%s: %q, %v", path, raw, err)
		}
	}
	if _, err := atomicfile.Read(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
