package stack_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

// pair is a swarm of two engines of our own, each in a network namespace, joined by a virtual cable. Nothing of the
// machine's own engine is touched.
type pair struct {
	t               testing.TB
	manager, worker *ownEngine
}

type ownEngine struct {
	t         testing.TB
	name, dir string
	api       *client.Client
	process   *exec.Cmd
	log       bytes.Buffer
	exited    chan struct{}
}

func newPair(t testing.TB) *pair {
	t.Helper()
	if _, err := exec.LookPath("dockerd"); err != nil || os.Geteuid() != 0 {
		t.Skip("engines of our own need root and the program dockerd on this machine")
	}
	id := random()[:6]
	p := &pair{t: t, manager: newEngine(t, "nvm"+id), worker: newEngine(t, "nvw"+id)}
	shell(t, fmt.Sprintf("ip link add %[1]s netns %[1]s type veth peer name %[2]s netns %[2]s", p.manager.name, p.worker.name))
	for i, e := range []*ownEngine{p.manager, p.worker} {
		shell(t, fmt.Sprintf("ip -n %[1]s addr add 10.213.77.%[2]d/24 dev %[1]s && ip -n %[1]s link set %[1]s up && ip -n %[1]s link set lo up", e.name, i+1))
		must(t, e.start())
	}
	ctx := t.Context()
	_, err := p.manager.api.SwarmInit(ctx, client.SwarmInitOptions{ListenAddr: "10.213.77.1:2377", AdvertiseAddr: "10.213.77.1:2377"})
	must(t, err)
	info, err := p.manager.api.SwarmInspect(ctx, client.SwarmInspectOptions{})
	must(t, err)
	_, err = p.worker.api.SwarmJoin(ctx, client.SwarmJoinOptions{ListenAddr: "10.213.77.2:2377", AdvertiseAddr: "10.213.77.2:2377",
		RemoteAddrs: []string{"10.213.77.1:2377"}, JoinToken: info.Swarm.JoinTokens.Worker})
	must(t, err)
	p.labelWorker()
	return p
}

func newEngine(t testing.TB, name string) *ownEngine {
	t.Helper()
	dir, err := os.MkdirTemp("", name) // short: the path of a socket has 107 bytes
	must(t, err)
	shell(t, "ip netns add "+name)
	e := &ownEngine{t: t, name: name, dir: dir}
	e.api, err = client.New(client.WithHost(e.host()))
	must(t, err)
	t.Cleanup(func() {
		_ = e.api.Close()
		e.kill()
		testenv.RemoveNamespace(t, name, dir)
	})
	return e
}

func (e *ownEngine) host() string { return "unix://" + filepath.Join(e.dir, "s") }

// start starts the engine, again with the same data.
func (e *ownEngine) start() error {
	_ = os.Remove(filepath.Join(e.dir, "pid"))
	e.process = exec.Command("nsenter", "--net=/run/netns/"+e.name, "unshare", "--uts", "sh", "-c",
		"hostname "+e.name+` && exec dockerd "$@"`, "dockerd", "--data-root", filepath.Join(e.dir, "data"), "--exec-root", filepath.Join(e.dir, "x"),
		"--pidfile", filepath.Join(e.dir, "pid"), "-H", e.host(), "--bridge", "none")
	e.process.Stdout, e.process.Stderr = &e.log, &e.log
	if err := e.process.Start(); err != nil {
		return err
	}
	e.exited = make(chan struct{})
	go func() { _ = e.process.Wait(); close(e.exited) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if _, err := e.api.Ping(context.Background(), client.PingOptions{}); err == nil {
			return nil
		}
		select {
		case <-e.exited:
			return fmt.Errorf("engine %s ended:\n%s", e.name, e.log.String())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("engine %s does not come up", e.name)
		}
	}
}

func (e *ownEngine) kill() {
	if e.process != nil {
		_ = e.process.Process.Kill()
		<-e.exited
	}
}

// restart does what an upgrade does: the engine ends its containers and itself, and starts again.
func (e *ownEngine) restart() error {
	if err := e.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-e.exited
	return e.start()
}

// load copies an image of the machine's engine.
func (e *ownEngine) load(image string) {
	e.t.Helper()
	shell(e.t, fmt.Sprintf("docker save %s | docker -H %s load", image, e.host()))
}

func (p *pair) labelWorker() {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		nodes, err := p.manager.api.NodeList(p.t.Context(), client.NodeListOptions{})
		must(p.t, err)
		for _, n := range nodes.Items {
			if n.Description.Hostname == p.worker.name && n.Status.State == swarm.NodeStateReady {
				n.Spec.Labels = map[string]string{"type": "worker-db"}
				_, err := p.manager.api.NodeUpdate(p.t.Context(), n.ID, client.NodeUpdateOptions{Version: n.Version, Spec: n.Spec})
				must(p.t, err)
				return
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatal("the worker does not join")
		}
	}
}

func shell(t testing.TB, command string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.SplitN(command, "\n", 2)[0], err, out)
	}
}
