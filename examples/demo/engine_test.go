package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

// ownEngineVar is the folder of the engine on which the test runs, set for the child of the test below.
const ownEngineVar = "NUVLAOPS_DEMO_ENGINE"

// TestTheEngineRestartsInEachStep runs the demo's platform on an engine of its own, in a network namespace, and restarts that
// engine while a step runs: in the middle of the restore, and with NUVLAOPS_FULL=1 in each of the others, which takes a
// quarter of an hour. The machine's engine is not touched, so that it runs beside the tests that use that one.
func TestTheEngineRestartsInEachStep(t *testing.T) {
	if dir := os.Getenv(ownEngineVar); dir != "" {
		restartInEachStep(t, dir)
		return
	}
	t.Parallel()
	e := startOwnEngine(t)
	child := exec.CommandContext(t.Context(), "nsenter", "--net=/run/netns/"+e.Name, os.Args[0],
		"-test.run", "^TestTheEngineRestartsInEachStep$", "-test.v", "-test.timeout", "50m")
	child.Env = append(os.Environ(), "DOCKER_HOST="+e.Host(), ownEngineVar+"="+e.Dir, programsVar+"="+filepath.Dir(program(t, "demo")))
	child.Stdout, child.Stderr = t.Output(), t.Output()
	child.Cancel = func() error { return child.Process.Signal(syscall.SIGTERM) }
	if err := child.Run(); err != nil {
		t.Errorf("on an engine of its own: %v; the engine's last lines:\n%s", err, e.Log(30))
	}
}

func restartInEachStep(t *testing.T, dir string) {
	d := newDemo(t, options{documents: 2000, jobs: 1000})
	steps := []string{"restore"}
	if full() {
		steps = inEachRecovery
	}
	restart := fault{"the engine is restarted", func(d *demo, ctx context.Context) error { return d.restartEngine(ctx, dir) }}
	for _, step := range steps {
		t.Run(step, func(t *testing.T) { d.struck(t, step, restart) })
	}
	if full() {
		t.Run("look", func(t *testing.T) { d.struckInLook(t, restart) })
	}
}

// restartEngine ends the engine in order, as an upgrade does; the parent starts it again. What is no service of the Swarm
// does not come back by itself: the S3 server and the ways in.
func (d *demo) restartEngine(ctx context.Context, dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	for syscall.Kill(pid, 0) == nil {
		time.Sleep(100 * time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		ids, err := docker(ctx, "", "ps", "--all", "--quiet", "--filter", "status=exited", "--filter", "name=^nuvlaops-(s3|gateway)-")
		if err == nil && ids != "" {
			_, err = docker(ctx, "", append([]string{"start"}, strings.Fields(ids)...)...) // its overlay may not be back yet
		}
		if err == nil && len(strings.Fields(ids)) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start what the restart has ended: %w", err)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// startOwnEngine starts an engine that has all the images that the demo takes, and that is started again whenever it ends.
func startOwnEngine(t *testing.T) *testenv.OwnEngine {
	t.Helper()
	e := testenv.NewOwnEngine(t, "d")
	if err := e.KeepRunning(); err != nil {
		t.Fatal(err)
	}
	resolver, err := images.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := resolver.ResolveAll(t.Context(), images.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	var refs []string
	for _, image := range all {
		refs = append(refs, image.Ref)
	}
	e.Load(refs...)
	return e
}
