package examples_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

// theImage is built once, as make image does it, under a name of this process.
var theImage = sync.OnceValues(func() (string, error) {
	name := fmt.Sprintf("nuvlaops-test/programs:%d", os.Getpid())
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	if _, err := testenv.Sweep(ctx); err != nil { // also makes the engine known to Main
		return "", err
	}
	cmd := exec.CommandContext(ctx, "bash", "image/build.sh", name)
	cmd.Env = append(os.Environ(), "NUVLAOPS_OWNER="+testenv.OwnerLabelValue()) // testenv.Main removes it then
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build the image: %w: %s", err, out)
	}
	return name, err
})

func image(t *testing.T) string {
	t.Helper()
	name, err := theImage()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// docker returns what was printed on standard output, all that was said, and the exit code.
func docker(t *testing.T, args ...string) (stdout, said string, code int) {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd := testenv.Command(t, "docker", args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), out.String() + complaints.String(), cmd.ProcessState.ExitCode()
}

// must is docker where nothing may go wrong.
func must(t *testing.T, args ...string) string {
	t.Helper()
	out, said, code := docker(t, args...)
	if code != 0 {
		t.Fatalf("docker %s: %d: %s", strings.Join(args, " "), code, said)
	}
	return strings.TrimSpace(out)
}

// programs are those of the folder, but for the demo.
func programs(t *testing.T) []string {
	t.Helper()
	mains, err := filepath.Glob("*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range mains {
		if name := filepath.Dir(m); name != "demo" {
			names = append(names, name)
		}
	}
	return names
}

func TestEachProgramRunsInTheImageWithoutRightsToWrite(t *testing.T) {
	run := []string{"run", "--rm", "--read-only", "--network", "none", "--cap-drop", "ALL", image(t)}
	for _, program := range programs(t) {
		if _, said, code := docker(t, append(run, program, "--help")...); code != 0 || !strings.Contains(said, program) {
			t.Errorf("%s --help: exit code %d: %s", program, code, said)
		}
		if _, said, code := docker(t, append(run, program, "-no-such-flag")...); code != 2 {
			t.Errorf("%s with a flag that it does not know: exit code %d, want 2: %s", program, code, said)
		}
	}
}

// Also the file that is read since nobody has named another.
func TestAnErrorInTheDefaultFileOfSettingsNamesIt(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "nuvla")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{
		"BACKUP_KEEP_DALY=7":     "/etc/nuvla/nuvla-es-backup.conf: nobody knows BACKUP_KEEP_DALY",
		"BACKUP_KEEP_DAILY=many": "BACKUP_KEEP_DAILY=many in /etc/nuvla/nuvla-es-backup.conf",
	} {
		if err := os.WriteFile(filepath.Join(folder, "nuvla-es-backup.conf"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		id := must(t, "create", "--network", "none", image(t), "backup")
		defer docker(t, "rm", id)
		must(t, "cp", folder, id+":/etc/")
		if _, said, code := docker(t, "start", "--attach", id); code != 2 || !strings.Contains(said, says) {
			t.Errorf("%s: exit code %d: %s", text, code, said)
		}
	}
}

// The image holds the programs, certificates, and two folders of its user; no shell, no library, no file that its user may change.
func TestTheImageHoldsNothingElse(t *testing.T) {
	id := must(t, "create", image(t), "none")
	defer docker(t, "rm", id)
	archive, _, _ := docker(t, "export", id)
	got := map[string]string{}
	for files := tar.NewReader(strings.NewReader(archive)); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := path.Clean("/" + h.Name)
		if h.Size > 0 || h.Uid != 0 {
			got[name] = fmt.Sprintf("%d %04o", h.Uid, h.Mode&0o7777)
		}
	}
	want := map[string]string{
		"/etc/ssl/certs/ca-certificates.crt": "0 0644",
		"/var/lib/nuvlaops":                  "65532 0755",
		"/var/log":                           "65532 0755",
	}
	for _, program := range programs(t) {
		want["/usr/local/bin/"+program] = "0 0755"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files with owner and mode (-want +got):\n%s", diff)
	}
	if user := must(t, "image", "inspect", "--format", "{{.Config.User}}", image(t)); user != "65532:65532" {
		t.Errorf("user %q", user)
	}
}

// A few megabytes beside the programs: here their sizes are those of this machine's compiler.
func TestTheImageIsNotLargerThanItsPrograms(t *testing.T) {
	id := must(t, "create", image(t), "none")
	defer docker(t, "rm", id)
	dir := t.TempDir()
	must(t, "cp", id+":/usr/local/bin", dir)
	alone := int64(0)
	for _, program := range programs(t) {
		info, err := os.Stat(filepath.Join(dir, "bin", program))
		if err != nil {
			t.Fatal(err)
		}
		alone += info.Size()
	}
	whole := filepath.Join(dir, "whole.tar") // the size that the engine tells is not that of the files, with the containerd image store
	must(t, "export", "--output", whole, id)
	info, err := os.Stat(whole)
	if err != nil {
		t.Fatal(err)
	}
	size := info.Size()
	t.Logf("programs %.1f MB, image %.1f MB", float64(alone)/1e6, float64(size)/1e6)
	if size > alone+1_000_000 {
		t.Errorf("%d bytes beside the programs, want a megabyte at most", size-alone)
	}
}

func TestTheImageSaysWhatItIs(t *testing.T) {
	format := "{{range $k, $v := .Config.Labels}}{{println $k $v}}{{end}}"
	labels := map[string]string{}
	for line := range strings.Lines(must(t, "image", "inspect", "--format", format, image(t))) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), " "); found {
			labels[key] = value
		}
	}
	for _, key := range []string{"title", "source", "licenses", "revision"} {
		if labels["org.opencontainers.image."+key] == "" {
			t.Errorf("%s is not among %v", key, slices.Sorted(maps.Keys(labels)))
		}
	}
	if labels[testenv.Label] != testenv.OwnerLabelValue() {
		t.Errorf("labels %v: make clean would leave it", labels)
	}
}
