package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
)

// A server that is newer than these programs has settings that they do not know: an operator must have a way on.
func TestASettingThatIsNotKnownIsSentWhenThatIsAskedFor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "repo.json")
	if err := os.WriteFile(file, []byte(`{"type": "s3", "settings": {"bucket": "nuvla", "buckett_of_tomorrow": "1"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := cli.ReadRepository(file, false)
	if cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), "buckett_of_tomorrow") || !strings.Contains(err.Error(), "allow unknown settings") {
		t.Errorf("got %v, want the setting's name and the way on", err)
	}
	if s, err := cli.ReadRepository(file, true); err != nil || s.Other["buckett_of_tomorrow"] != "1" {
		t.Errorf("got %+v, %v, want it as it is", s, err)
	}
}
