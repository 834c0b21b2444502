package testenv_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

func TestAnEngineOfAKilledTestIsSweptWithAllThatRunsInIt(t *testing.T) {
	sparedOne := testenv.NewOwnEngine(t, "s")
	dead, name := child(t, "engine")
	dir := filepath.Join(os.TempDir(), name)
	if err := dead.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = dead.Wait()
	if got := remains(t, name, dir); !strings.Contains(got, "dockerd") || !strings.Contains(got, "namespace") || !strings.Contains(got, "folder") {
		t.Errorf("a killed test has left only: %s", got)
	}
	testenv.NewOwnEngine(t, "n")
	if got := remains(t, name, dir); got != "" {
		t.Errorf("left of it: %s", got)
	}
	if got := remains(t, sparedOne.Name, sparedOne.Dir); got != "namespace folder" {
		t.Errorf("of one whose test is alive is left: %s", got)
	}
}

func TestAnEngineOfATestThatIsToldToEndEndsWithIt(t *testing.T) {
	testenv.SkipWithoutOwnEngine(t)
	told, name := child(t, "engine")
	if err := told.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = told.Wait()
	if got := remains(t, name, filepath.Join(os.TempDir(), name)); got != "" {
		t.Errorf("left of it: %s", got)
	}
}

// remains lists what there is of an engine.
func remains(t *testing.T, name, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `for p in $(ip netns pids "$NAME" 2>/dev/null); do cat /proc/$p/comm; done
		ip netns list | grep -qw "$NAME" && echo namespace; [ ! -e "$DIR" ] || echo folder`)
	cmd.Env = append(os.Environ(), "NAME="+name, "DIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}
