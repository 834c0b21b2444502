package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// OwnEngine is a Docker engine of one test's own, in a network namespace and with a host name of its own: what happens to it
// does not touch the machine's, but for the processor.
type OwnEngine struct {
	// Name is that of the namespace, and of the host as the engine sees it.
	Name string
	// Dir holds its socket, data and pid.
	Dir string
	API *client.Client

	t       testing.TB
	log     Buffer
	process *exec.Cmd
	exited  chan struct{}
}

// engineMark is in the folder of each such engine, and names the process whose test made it.
const engineMark = "owner"

// SkipWithoutOwnEngine skips a test on a machine, or for a user, that cannot start an OwnEngine.
func SkipWithoutOwnEngine(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("dockerd"); err != nil || os.Geteuid() != 0 {
		t.Skip("an engine of its own needs root and the program dockerd on this machine")
	}
}

// NewOwnEngine makes a namespace whose name begins with nv and kind, and removes it with its engine at the test's end. The
// engine is to be started. What tests have left that were killed is removed first; one that is told to end removes its own.
// Where none can be started, the test is skipped (SkipWithoutOwnEngine).
func NewOwnEngine(t testing.TB, kind string) *OwnEngine {
	t.Helper()
	SkipWithoutOwnEngine(t)
	sweepOwnEngines(t)
	own().onSignal()
	name := "nv" + kind + strings.ToLower(rand.Text()[:6])
	e := &OwnEngine{Name: name, Dir: filepath.Join(os.TempDir(), name), t: t} // short: the path of a socket has 107 bytes
	err := os.Mkdir(e.Dir, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(e.Dir, engineMark), []byte(self().String()), 0o600)
	}
	if err == nil {
		e.API, err = client.New(client.WithHost(e.Host()))
	}
	if err != nil {
		t.Fatal(err)
	}
	own().engines.Store(e.Name, e.Dir)
	t.Cleanup(func() {
		own().holdOn()
		_ = e.API.Close()
		e.Kill()
		removeOwnEngine(t, e.Name, e.Dir)
		own().engines.Delete(e.Name)
	})
	if err := shell(t, "ip netns add "+name+" && ip -n "+name+" link set lo up"); err != nil {
		t.Fatal(err)
	}
	return e
}

// Host is its address, as DOCKER_HOST wants it.
func (e *OwnEngine) Host() string { return "unix://" + filepath.Join(e.Dir, "s") }

// Start returns when the engine answers. It may be called again when the engine has ended, and finds its data.
func (e *OwnEngine) Start() error {
	e.process = e.command(context.Background())
	if err := e.process.Start(); err != nil {
		return err
	}
	process, exited := e.process, make(chan struct{})
	e.exited = exited
	go func() { _ = process.Wait(); close(exited) }()
	return e.answers(exited)
}

// KeepRunning starts the engine, and again whenever it ends, until the test's end. It returns when the engine answers.
func (e *OwnEngine) KeepRunning() error {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	e.t.Cleanup(func() { cancel(); <-over })
	go func() {
		defer close(over)
		for ctx.Err() == nil && !own().ending.Load() {
			_ = e.command(ctx).Run()
		}
	}()
	return e.answers(nil)
}

func (e *OwnEngine) command(ctx context.Context) *exec.Cmd {
	_ = os.Remove(filepath.Join(e.Dir, "pid"))
	cmd := exec.CommandContext(ctx, "nsenter", "--net=/run/netns/"+e.Name, "unshare", "--uts", "sh", "-c", "hostname "+e.Name+` && exec dockerd "$@"`,
		"dockerd", "--data-root", filepath.Join(e.Dir, "data"), "--exec-root", filepath.Join(e.Dir, "x"), "--pidfile", filepath.Join(e.Dir, "pid"),
		"-H", e.Host(), "--bridge", "none")
	cmd.Stdout, cmd.Stderr = &e.log, &e.log
	return cmd
}

func (e *OwnEngine) answers(exited <-chan struct{}) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if _, err := e.API.Ping(context.Background(), client.PingOptions{}); err == nil {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("engine %s ended:\n%s", e.Name, e.log.String())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("engine %s does not answer:\n%s", e.Name, e.Log(30))
		}
	}
}

// Kill ends the engine that Start started, at once.
func (e *OwnEngine) Kill() {
	if e.process != nil && e.process.Process != nil {
		_ = e.process.Process.Kill()
		<-e.exited
	}
}

// Restart does what an upgrade does: the engine ends its containers and itself, and starts again.
func (e *OwnEngine) Restart() error {
	if err := e.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-e.exited
	return e.Start()
}

// Load copies images of the machine's engine, layers that they share once.
func (e *OwnEngine) Load(images ...string) {
	e.t.Helper()
	load(e.t, images, e)
}

// load copies images of the machine's engine into others.
func load(t testing.TB, images []string, engines ...*OwnEngine) {
	t.Helper()
	var said Buffer
	var loads []*exec.Cmd
	var into []io.Writer
	var ends []io.Closer
	for _, e := range engines {
		cmd := Command(t, "docker", "--host", e.Host(), "load", "--quiet")
		cmd.Stdout, cmd.Stderr = &said, &said
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		loads, into, ends = append(loads, cmd), append(into, in), append(ends, in)
	}
	save := Command(t, "docker", append([]string{"save"}, images...)...)
	save.Stdout, save.Stderr = io.MultiWriter(into...), &said
	err := save.Run()
	for i, cmd := range loads {
		_ = ends[i].Close()
		err = errors.Join(err, cmd.Wait())
	}
	if err != nil {
		t.Fatalf("load images into engines of its own: %v: %s", err, said.String())
	}
}

// Log is the last lines that it has written.
func (e *OwnEngine) Log(lines int) string {
	all := strings.Split(strings.TrimSpace(e.log.String()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// sweepOwnEngines removes the engines of tests that were killed, which live on.
func sweepOwnEngines(t testing.TB) {
	t.Helper()
	marks, _ := filepath.Glob(filepath.Join(os.TempDir(), "nv*", engineMark))
	for _, mark := range marks {
		raw, _ := os.ReadFile(mark)
		if o, ok := parseOwner(string(raw)); ok && o.dead(self(), true) {
			dir := filepath.Dir(mark)
			removeOwnEngine(t, filepath.Base(dir), dir)
		}
	}
}

// removeOwnEngine removes the namespace and all that runs in it, the shims of an engine that was killed with their containers,
// the mounts below its folder, and the folder. What goes wrong is logged.
func removeOwnEngine(t testing.TB, name, dir string) {
	t.Helper()
	if out, err := endEngine(name, dir); err != nil {
		t.Logf("clean up of engine %s: %v: %s", name, err, out)
	}
}

func endEngine(name, dir string) (output []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), removalTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", `for p in $(ip netns pids "$NAME" 2>/dev/null); do kill -9 $p; done 2>/dev/null
		for p in $(grep -ls -- "$DIR" /proc/[0-9]*/cmdline | cut -d/ -f3); do kill -9 $p; done 2>/dev/null
		sleep 0.5
		grep -o " $DIR/[^ ]*" /proc/mounts | sort -r | xargs -r umount -l
		! ip netns list | grep -qw "$NAME" || ip netns del "$NAME"
		rm -rf "$DIR"`)
	cmd.Env = append(os.Environ(), "NAME="+name, "DIR="+dir) // not among the arguments, or it kills itself
	cmd.WaitDelay = 10 * time.Second
	return cmd.CombinedOutput()
}
