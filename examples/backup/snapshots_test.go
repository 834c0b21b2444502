package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/testenv"
)

// What the program snapshots says and does to what this one took, on a real server.
func TestTheSnapshotsProgramLooksAfterWhatWasBackedUp(t *testing.T) {
	r := newRig(t, "")
	r.fill("job", 6, 10)
	for range 3 {
		if _, code := r.run(); code != cli.ExitOK {
			t.Fatal("no backup")
		}
		time.Sleep(250 * time.Millisecond) // the server's clock has steps
	}
	names := r.names()
	path, err := testenv.Build(t.Context(), t.TempDir(), "../snapshots")
	if err != nil {
		t.Fatal(err)
	}
	snapshots := func(want int, args ...string) string {
		t.Helper()
		out, err := exec.Command(path, append(args, "-es", r.server.URL(), "-repository", r.repo.Name(), "-timestamp", r.path("timestamp"))...).CombinedOutput()
		if code := exitCode(err); code != want {
			t.Errorf("%v: code %d, want %d: %s", args, code, want, out)
		}
		return string(out)
	}
	if list := snapshots(0, "list"); strings.Count(list, "SUCCESS") != 3 || !strings.Contains(list, names[2]) {
		t.Errorf("list\n%s", list)
	}
	if shown := snapshots(0, "show", names[0]); !strings.Contains(shown, "documents") || !strings.Contains(shown, "KiB") {
		t.Errorf("show\n%s", shown)
	}
	if verified := snapshots(0, "verify", names[0], names[2]); strings.Count(verified, "1 of 1 shards") != 2 {
		t.Errorf("verify\n%s", verified)
	}
	snapshots(0, "pin", names[0], "-reason", "before the upgrade")
	rules := []string{"prune", "-keep-last", "1", "-keep-min", "1"}
	if dry := snapshots(0, append(rules, "-dry-run")...); !strings.Contains(dry, "2 kept, 1 to remove, 0 removed") || len(r.names()) != 3 {
		t.Errorf("prune -dry-run\n%s", dry)
	}
	snapshots(0, append(rules, "-yes", r.repo.Name())...)
	if diff := cmp.Diff([]string{names[0], names[2]}, r.names()); diff != "" {
		t.Error(diff)
	}
	snapshots(cli.ExitRefused, "delete", names[0], "-yes", r.repo.Name())
	snapshots(0, "unpin", names[0])
	snapshots(0, "delete", names[0], "-yes", r.repo.Name())
	if diff := cmp.Diff([]string{names[2]}, r.names()); diff != "" {
		t.Error(diff)
	}
}
