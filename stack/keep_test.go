package stack_test

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

func TestDataIsKeptAsideBeforeItIsWiped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(dbStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
	must(t, err)
	must(t, b.KeepVolumes(t.Context(), plan, b.image, b.dir))
	mustBe(t, b.KeepVolumes(t.Context(), plan, b.image, b.dir), nuvlaops.ErrExists, "move it away")
	must(t, b.Wipe(t.Context(), plan, stack.Unguarded)) // nothing holds the volume

	files, err := filepath.Glob(filepath.Join(b.dir, b.stack+"_data@*.tar*"))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("archives: %v, want one", files)
	}
	marks := 0
	for _, name := range entries(t, files[0]) {
		if strings.HasPrefix(name, "volume/mark-") {
			marks++
		}
	}
	if marks != 1 {
		t.Errorf("%d marks in the archive, want the one that was in the volume", marks)
	}
	must(t, os.Remove(files[0]))
	mustBe(t, b.KeepVolumes(t.Context(), plan, b.image, b.dir), nuvlaops.ErrNotFound, "gone")
	if s := b.look(); len(s.Volumes) > 0 {
		t.Errorf("keeping a volume that is gone made it anew: %v", s.Volumes)
	}
}

func entries(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	for r := tar.NewReader(file); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		must(t, err)
		names = append(names, h.Name)
	}
}
