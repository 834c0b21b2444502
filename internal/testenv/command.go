package testenv

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"
)

// limit is how long one thing may take that a test asks of the engine, also on a machine that is busy: the longest, images
// that are assembled by the first test that needs them, take 4 min. An engine may lose the end of an exec, and whoever waits for it
// then waits forever: that fails its own test, which is run again, and not the whole run.
const limit = 10 * time.Minute

// Command is a command of a test that is killed after ten minutes, which makes it fail. It does not end with the test's context,
// so that clean-ups may use it.
func Command(t testing.TB, name string, args ...string) *exec.Cmd {
	return command(t, limit, name, args...)
}

func command(t testing.TB, limit time.Duration, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 10 * time.Second // a child of it may hold its outputs open
	cmd.Cancel = func() error {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Logf("%s has not ended within %s: killed", name, limit)
		}
		return cmd.Process.Kill()
	}
	return cmd
}
