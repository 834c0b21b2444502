package filelock_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/filelock"
)

// The path of a lock is named by a person, who may mean another file.
func TestAFileOfSomethingElseIsLeftAsItIs(t *testing.T) {
	for name, text := range map[string]string{"settings": `{"type":"s3","settings":{}}`, "a script": "ES_HOST=es\n", "a process": "4711\n", "binary": "\x00\xff", "large": strings.Repeat("x", 2<<20)} {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := filelock.Take(path); !errors.Is(err, nuvlaops.ErrExists) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v, want ErrExists with the path", name, l, err)
		}
		got, err := os.ReadFile(path)
		if diff := cmp.Diff(text, string(got)); diff != "" || err != nil {
			t.Errorf("%s: %v (-before +after):\n%s", name, err, diff)
		}
	}
}

// A process that is killed may leave less than it meant to write.
func TestWhatIsLeftOfALockIsOne(t *testing.T) {
	for _, text := range []string{"", "\n", `{"pla`, `{"place":"P","holder":{"ho`, `{"place":"P","holder":{},"kept":{"a":"b"}}`, `{"place":"P","holder":null,"newer":[1]}`} {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := filelock.Take(path)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		_ = l.Close()
	}
}

func TestWhatIsNoFileIsNoLock(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, t.TempDir()} {
		if l, err := filelock.Take(path); !errors.Is(err, nuvlaops.ErrExists) {
			t.Errorf("%s: %v, %v, want ErrExists", path, l, err)
		}
	}
}
