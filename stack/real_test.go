package stack_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops/internal/poll"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/stack"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(stepEnv); text != "" {
		if err := runStep(text); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	// The tests wait for the engine more than they compute.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	testenv.Main(m)
}

// bench is a real Swarm with an image to run services of, and a stack name of the test's own.
type bench struct {
	*stack.Swarm
	t     testing.TB
	api   *client.Client
	stack string
	image string
	dir   string
	ends  []func(context.Context)
}

// shared is made once for all tests, which run side by side; Main takes it down.
var shared = sync.OnceValues(func() (image string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := testenv.StartSwarm(ctx); err != nil {
		return "", err
	}
	return testenv.ProgramImage(ctx, "testservice", "./internal/testservice")
})

func newBench(t testing.TB) *bench {
	t.Helper()
	image, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	swarm, err := stack.NewSwarm(nil)
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Swarm: swarm, t: t, api: api, stack: "st" + random(), image: image, dir: t.TempDir()}
	t.Cleanup(func() {
		b.removeStack(b.stack)
		for _, end := range b.ends {
			end(context.Background())
		}
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

// file writes a compose file; %OWNER% stands for the labels of the test, %OWNED% for them among others.
func (b *bench) file(text string) string {
	b.t.Helper()
	owned := fmt.Sprintf("%s: %q", testenv.Label, testenv.OwnerLabelValue())
	text = strings.NewReplacer("%STACK%", b.stack, "%IMAGE%", b.image, "%OWNER%", "{"+owned+"}", "%OWNED%", owned).Replace(text)
	path := filepath.Join(b.dir, "compose-"+random()+".yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// forgotten waits until the swarm has no task of a service that was stopped: an engine (20.10) that deletes one while it marks
// those of a removed service for removal panics, in swarmkit's SetServiceTasksRemove.
func (b *bench) forgotten(ctx context.Context, service string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = poll.Until(ctx, poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		tasks, err := b.api.TaskList(ctx, client.TaskListOptions{Filters: make(client.Filters).Add("service", service)})
		return err == nil && len(tasks.Items) == 0, "", nil
	})
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
		b.forgotten(ctx, v.Spec.Name)
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

func (b *bench) deployStopped(text string) {
	b.t.Helper()
	must(b.t, b.Deploy(b.t.Context(), b.stack, stack.DeployOptions{Stopped: true, Files: []string{b.file(text)}}))
}

func (b *bench) look() *stack.Stack {
	b.t.Helper()
	s, err := b.Look(b.t.Context(), b.stack)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// containers counts the containers of a service, running or stopped, by its full name.
func (b *bench) containers(service string) int {
	b.t.Helper()
	list, err := b.api.ContainerList(b.t.Context(), client.ContainerListOptions{All: true,
		Filters: make(client.Filters).Add("label", "com.docker.swarm.service.name="+service)})
	if err != nil {
		b.t.Fatal(err)
	}
	return len(list.Items)
}

// scale does what docker service scale does.
func (b *bench) scale(service string, n uint64) {
	b.t.Helper()
	v, err := b.api.ServiceInspect(b.t.Context(), b.stack+"_"+service, client.ServiceInspectOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	v.Service.Spec.Mode.Replicated.Replicas = &n
	_, err = b.api.ServiceUpdate(b.t.Context(), v.Service.ID, client.ServiceUpdateOptions{Version: v.Service.Version, Spec: v.Service.Spec})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) eventually(what string, is func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("%s does not come", what)
		}
	}
}

// atEnd runs when the stack has been removed, since what it uses cannot be removed before.
func (b *bench) atEnd(remove func(context.Context)) { b.ends = append(b.ends, remove) }
