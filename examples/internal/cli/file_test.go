package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
)

// A device never ends; a file by mistake may be as large as a disk.
func TestAFileOfAFlagIsReadToItsEndOrRefused(t *testing.T) {
	for _, path := range []string{"/dev/zero", t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if raw, err := cli.ReadFile(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %d bytes, %v, want an error with the path", path, len(raw), err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if raw, err := cli.ReadFile(fmt.Sprint("/dev/fd/", r.Fd())); err != nil || string(raw) != "x" {
		t.Errorf("a pipe: %q, %v", raw, err)
	}
}

func TestARepositoryFileThatIsNoneIsAUsageErrorThatNamesIt(t *testing.T) {
	for _, text := range []string{"", "{", "null", "[]", "7", `{"type":"s3"}`, `{"type":"s3","settings":{"bucket":7}}`, `{"type":"fs","settings":[]}`, `{"type":"\u001b[2J"}`, "\x00\xff", `{"type":"fs","settings":{"location":"/a","loaction":"/b"}}`, strings.Repeat("[", 100_000)} {
		path := filepath.Join(t.TempDir(), "repo.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := cli.ReadRepository(path, false); cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%.40q: %+v, %v", text, s, err)
		}
	}
}
