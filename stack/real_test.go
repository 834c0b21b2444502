package stack_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/stack"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// bench is a real Swarm with an image to run services of, and a stack name of the test's own.
type bench struct {
	*stack.Swarm
	t     *testing.T
	api   *client.Client
	stack string
	image string
	dir   string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	testenv.UseSwarm(t)
	swarm, err := stack.NewSwarm(nil)
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Swarm: swarm, t: t, api: api, stack: "st" + random(), image: testImage(t, api), dir: t.TempDir()}
	t.Cleanup(func() {
		b.removeStack(b.stack)
		_ = swarm.Close()
		_ = api.Close()
	})
	return b
}

func random() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// testImage builds testservice and imports it as an image of one file.
func testImage(t *testing.T, api *client.Client) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "testservice")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", program, "./internal/testservice")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build testservice: %v\n%s", err, out)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "testservice", Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ref := "nuvlaops-stacktest:" + random()
	res, err := api.ImageImport(t.Context(), client.ImageImportSource{Source: &archive, SourceName: "-"}, ref,
		client.ImageImportOptions{Changes: []string{"LABEL " + testenv.Label + "=" + testenv.OwnerLabelValue(), `ENTRYPOINT ["/testservice"]`}})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res)
	_ = res.Close()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, _ = api.ImageRemove(ctx, ref, client.ImageRemoveOptions{Force: true})
	})
	return ref
}

// file writes a compose file; %OWNER% marks where the labels of the test go.
func (b *bench) file(text string) string {
	b.t.Helper()
	text = strings.NewReplacer("%IMAGE%", b.image, "%OWNER%", fmt.Sprintf("{%s: %q}", testenv.Label, testenv.OwnerLabelValue())).Replace(text)
	path := filepath.Join(b.dir, "compose-"+random()+".yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// removeStack removes what the test made, waiting for containers so that volumes go too.
func (b *bench) removeStack(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.Stop(ctx, name, stack.StopOptions{}); err != nil {
		b.t.Errorf("clean up: %v", err)
	}
	filter := make(client.Filters).Add("label", "com.docker.stack.namespace="+name)
	services, _ := b.api.ServiceList(ctx, client.ServiceListOptions{Filters: filter})
	for _, v := range services.Items {
		_, _ = b.api.ServiceRemove(ctx, v.ID, client.ServiceRemoveOptions{})
	}
	volumes, _ := b.api.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
	for _, v := range volumes.Items {
		if _, err := b.api.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{}); err != nil {
			b.t.Errorf("clean up: %v", err)
		}
	}
	secrets, _ := b.api.SecretList(ctx, client.SecretListOptions{Filters: filter})
	for _, v := range secrets.Items {
		_, _ = b.api.SecretRemove(ctx, v.ID, client.SecretRemoveOptions{})
	}
	networks, _ := b.api.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	for _, v := range networks.Items {
		_, _ = b.api.NetworkRemove(ctx, v.ID, client.NetworkRemoveOptions{})
	}
}

func (b *bench) deploy(text string) {
	b.t.Helper()
	if err := b.Deploy(b.t.Context(), b.stack, stack.DeployOptions{Files: []string{b.file(text)}}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) look() *stack.Stack {
	b.t.Helper()
	s, err := b.Look(b.t.Context(), b.stack)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// marks counts the files that the services of a volume left: how often they were started with this volume.
func (b *bench) marks(volume string) int {
	b.t.Helper()
	v, err := b.api.VolumeInspect(b.t.Context(), volume, client.VolumeInspectOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(v.Volume.Mountpoint, "mark-*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return len(files)
}
