package testenv_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

// A child that outlives its parent holds the output open, as the program docker does whose exec has lost its end.
func TestACommandThatHangsIsKilled(t *testing.T) {
	cmd := testenv.CommandWithin(t, 200*time.Millisecond, "sh", "-c", "echo begun; sleep 60")
	cmd.WaitDelay = 100 * time.Millisecond
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "begun") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestACommandMayRunInACleanup(t *testing.T) {
	t.Cleanup(func() {
		if out, err := testenv.Command(t, "echo", "done").Output(); err != nil || string(out) != "done\n" {
			t.Errorf("%q, %v", out, err)
		}
	})
}
