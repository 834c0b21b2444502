package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
)

// FuzzRead: a file is read, or is a usage error that shows no value, which may be a password.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{"", "A=b", "export A='b c' # d", "A=\"x\\\"y\"", "A=$(id)", "A=`id`", "A", "=b", "1A=b", "A=b\x00c", "\ufeffA=b",
		"A='", "A=b\\", "A=b c", "A=b;c", "A=b\r\nC=d\r\n", "A=\x1b[2J", "\x1b[2J=b"} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(dir, "conf")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		values, err := read(path, true)
		if err != nil && (cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), path+", line ")) {
			t.Errorf("%q: %v", raw, err)
		}
		for name := range values {
			if !isName(name) {
				t.Errorf("%q: the name %q", raw, name)
			}
		}
	})
}
