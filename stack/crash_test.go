package stack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

// stepEnv makes the test binary run one step and nothing else, so that it can be killed.
const stepEnv = "NUVLAOPS_STACK_STEP"

type step struct {
	Name  string
	Stack string
	Plan  *stack.WipePlan
	File  string
}

func runStep(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var s step
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	swarm, err := stack.NewSwarm(nil)
	if err != nil {
		return err
	}
	switch s.Name {
	case "stop":
		return swarm.Stop(ctx, s.Stack, stack.StopOptions{Groups: [][]string{{"app"}, {"db"}}})
	case "wipe":
		return swarm.Wipe(ctx, s.Plan, stack.Unguarded)
	case "keep":
		err := swarm.KeepVolumes(ctx, s.Plan, stack.KeepOptions{Suffix: "-kept"})
		if errors.Is(err, nuvlaops.ErrExists) {
			return nil // killed when the copy was whole
		}
		return err
	case "deploy":
		return swarm.Deploy(ctx, s.Stack, stack.DeployOptions{Files: []string{s.File}, CreateNetworks: true})
	case "start":
		return swarm.Start(ctx, s.Stack, stack.StartOptions{Groups: [][]string{{"db"}, {"app"}}, Stable: 100 * time.Millisecond})
	}
	return fmt.Errorf("unknown step %q", s.Name)
}

// killer stands between a step and the engine. It kills the step's processes at their first request that changes
// something: before the engine gets it, or when the engine has carried it out and the reply is lost.
type killer struct {
	t      *testing.T
	socket string
	mu     sync.Mutex
	after  bool
	spare  int // changes that are let through before
	victim int // process group
	kills  int
}

func newKiller(t *testing.T) *killer {
	k := &killer{t: t, socket: filepath.Join(t.TempDir(), "engine.sock")}
	engine := &url.URL{Scheme: "http", Host: "docker"}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(engine) }, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		Transport:    &http.Transport{DialContext: dialEngine}}
	listener, err := net.Listen("unix", k.socket)
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { k.serve(forward, w, r) })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return k
}

func (k *killer) serve(forward http.Handler, w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		forward.ServeHTTP(w, r)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.victim == 0 {
		return // killed a moment ago
	}
	if k.spare > 0 {
		k.spare--
		forward.ServeHTTP(w, r)
		return
	}
	if k.after {
		forward.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
	}
	_ = syscall.Kill(-k.victim, syscall.SIGKILL)
	k.victim = 0
	k.kills++
}

// until runs a step again and again, killed each time at its first change, until one run has nothing left to change and
// ends well.
func (k *killer) until(s step) {
	k.t.Helper()
	for run := range 60 {
		if k.run(s, run%2 == 1, 0) {
			return
		}
	}
	k.t.Fatalf("step %s does not end", s.Name)
}

// deeper runs a step that begins anew each time, killed at each of its changes in turn, until one run ends well.
func (k *killer) deeper(s step) {
	k.t.Helper()
	for run := range 60 {
		if k.run(s, run%2 == 1, run/2) {
			return
		}
	}
	k.t.Fatalf("step %s does not end", s.Name)
}

// run runs a step that is killed at a change, after some that are let through. It says whether the step ended well.
func (k *killer) run(s step, after bool, spare int) (ended bool) {
	k.t.Helper()
	text, err := json.Marshal(s)
	must(k.t, err)
	var out bytes.Buffer
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), stepEnv+"="+string(text), "DOCKER_HOST=unix://"+k.socket)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	k.mu.Lock()
	err = cmd.Start()
	if err == nil {
		k.victim, k.after, k.spare = cmd.Process.Pid, after, spare
	}
	k.mu.Unlock()
	must(k.t, err)
	err = cmd.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil && k.victim != 0 {
		k.t.Fatalf("step %s: %v\n%s", s.Name, err, out.String())
	}
	k.victim = 0
	return err == nil
}

func TestKilledAtEveryChangeTheSameCallsStillEndRight(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	k := newKiller(t)
	external := "default: {external: true, name: " + b.stack + "-net}\n  other: {"
	file := b.file(strings.Replace(dbStack, "default: {", external, 1))
	b.atEnd(func(ctx context.Context) {
		_, _ = b.api.NetworkRemove(ctx, b.stack+"-net", client.NetworkRemoveOptions{})
	})
	for _, text := range []string{"deploy", "start"} {
		k.until(step{Name: text, Stack: b.stack, File: file})
	}
	if k.kills < 6 {
		t.Errorf("killed %d times while deploying a network and two services, want 6 at least", k.kills)
	}
	if n := b.marks(b.stack + "_data"); n != 1 {
		t.Fatalf("%d starts on the volume, want 1", n)
	}
	k.kills = 0
	k.until(step{Name: "stop", Stack: b.stack})
	for name, want := range map[string]int{"app": 2, "db": 1} {
		if v := b.look().Service(name); !v.Stopped || v.Remembered != want || b.containers(b.stack+"_"+name) != 0 {
			t.Errorf("after stop: %+v, want it stopped with %d remembered and no container", v, want)
		}
	}
	if k.kills < 4 {
		t.Errorf("killed %d times while stopping, want 4 at least", k.kills)
	}
	k.kills = 0
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
	must(t, err)
	b.atEnd(func(ctx context.Context) {
		_, _ = b.api.VolumeRemove(ctx, b.stack+"_data-kept", client.VolumeRemoveOptions{})
	})
	k.deeper(step{Name: "keep", Plan: plan})
	if n := b.marks(b.stack + "_data-kept"); n != 1 || k.kills < 9 {
		t.Errorf("%d starts in the copy of the volume after %d kills, want 1 after 9 at least", n, k.kills)
	}
	k.kills = 0
	k.until(step{Name: "wipe", Stack: b.stack, Plan: plan})
	k.until(step{Name: "start", Stack: b.stack})
	if k.kills < 6 {
		t.Errorf("killed %d times while wiping and starting, want 6 at least", k.kills)
	}
	s := b.look()
	if s.Service("db").Running != 1 || s.Service("app").Running != 2 || s.Service("app").Stopped {
		t.Errorf("in the end:\n%s", s)
	}
	if n := b.marks(b.stack + "_data"); n != 1 {
		t.Errorf("%d starts on the new volume, want 1", n)
	}
}
