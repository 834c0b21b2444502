package atomicfile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/atomicfile"
)

func says(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// folder is what is in one: the files by name, with mode and content.
func folder(t *testing.T, path string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(path, e.Name()))
		info, statErr := e.Info()
		if err := errors.Join(err, statErr); err != nil {
			t.Fatal(err)
		}
		found[e.Name()] = info.Mode().String() + " " + string(raw)
	}
	return found
}

func TestAFileIsWholeOrWhatItWas(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := atomicfile.Write(path, says("first")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := atomicfile.WriteMode(path, 0o644, func(w io.Writer) error { return errors.Join(says("half of the")(w), broken) })
	if diff := cmp.Diff(map[string]string{"file": "-rw------- first"}, folder(t, dir)); !errors.Is(err, broken) || diff != "" {
		t.Errorf("after a failure: %v (-want +got):\n%s", err, diff)
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(filepath.Join(dir, "taken"), says("x")); err == nil {
		t.Error("a file was put in the place of a folder")
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "taken")), atomicfile.WriteMode(path, 0o666, says("second"))); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]string{"file": "-rw-rw-rw- second"}, folder(t, dir)); diff != "" { // whatever the umask says
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFileInAFolderThatIsNotThereIsAnError(t *testing.T) {
	if err := atomicfile.Write(filepath.Join(t.TempDir(), "no", "file"), says("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
