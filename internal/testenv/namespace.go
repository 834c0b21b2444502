package testenv

import (
	"os"
	"testing"
)

// RemoveNamespace removes a network namespace in which a test ran an engine of its own, and the engine's folder: also what one
// that was killed leaves, its shims with their containers, and mounts below the folder. What goes wrong is logged.
func RemoveNamespace(t testing.TB, name, dir string) {
	t.Helper()
	cmd := Command(t, "sh", "-c", `for p in $(ip netns pids "$NAME"); do kill -9 $p; done 2>/dev/null
		for p in $(grep -ls -- "$DIR" /proc/[0-9]*/cmdline | cut -d/ -f3); do kill -9 $p; done 2>/dev/null
		sleep 0.5
		grep -o " $DIR/[^ ]*" /proc/mounts | sort -r | xargs -r umount -l
		ip netns del "$NAME"; rm -rf "$DIR"`)
	cmd.Env = append(os.Environ(), "NAME="+name, "DIR="+dir) // not among the arguments, or it kills itself
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Logf("clean up of engine %s: %v: %s", name, err, out)
	}
}
