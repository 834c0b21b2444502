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

// The child of the test below has the folders of the two engines on which it runs, the worker as options.node has it, and an
// image for jobs on it.
const (
	ownEnginesVar = "NUVLAOPS_DEMO_ENGINES"
	ownNodeVar    = "NUVLAOPS_DEMO_NODE"
	jobImageVar   = "NUVLAOPS_DEMO_JOB_IMAGE"
)

// TestOnTwoNodes runs the demo's platform on a swarm of two engines of its own, each in a network namespace, the databases on
// the one that is no manager. A drill makes its copy there, and leaves nothing. Then both engines are restarted while a step
// runs: in the middle of the restore, and with NUVLAOPS_FULL=1 in each of the others, which takes a quarter of an hour. The
// machine's engine is not touched, so that it runs beside the tests that use that one.
func TestOnTwoNodes(t *testing.T) {
	if folders := os.Getenv(ownEnginesVar); folders != "" {
		onTwoNodes(t, filepath.SplitList(folders))
		return
	}
	t.Parallel()
	p := startOwnEngines(t)
	job, err := testenv.ProgramImage(t.Context(), "usr/local/bin/stack", "../stack")
	if err != nil {
		t.Fatal(err)
	}
	p.Worker.Load(job)
	child := exec.CommandContext(t.Context(), "nsenter", "--net=/run/netns/"+p.Manager.Name, os.Args[0],
		"-test.run", "^TestOnTwoNodes$", "-test.v", "-test.timeout", "50m")
	child.Env = append(os.Environ(), "DOCKER_HOST="+p.Manager.Host(), programsVar+"="+filepath.Dir(program(t, "demo")), jobImageVar+"="+job,
		ownEnginesVar+"="+p.Manager.Dir+string(filepath.ListSeparator)+p.Worker.Dir, ownNodeVar+"="+p.Worker.Name+"="+p.Worker.Host())
	child.Stdout, child.Stderr = t.Output(), t.Output()
	child.Cancel = func() error { return child.Process.Signal(syscall.SIGTERM) }
	if err := child.Run(); err != nil {
		t.Errorf("on engines of its own: %v; the last lines of the manager's:\n%s\nand of the worker's:\n%s", err, p.Manager.Log(30), p.Worker.Log(30))
	}
}

func onTwoNodes(t *testing.T, folders []string) {
	d := newDemo(t, options{documents: 2000, jobs: 1000, node: os.Getenv(ownNodeVar)})
	for _, service := range []string{"es", "zk"} {
		d.container(t, service) // on that node
	}
	t.Run("drilled beside production", d.drilled)
	t.Run("recovered through a job on the node", d.recoveredByJob)
	steps := []string{"restore"}
	if full() {
		steps = inEachRecovery
	}
	restart := fault{"the engines are restarted", func(_ *demo, ctx context.Context) error { return restartEngines(ctx, folders) }}
	for _, step := range steps {
		t.Run(step, func(t *testing.T) { d.struck(t, step, restart) })
	}
	if full() {
		t.Run("look", func(t *testing.T) { d.struckInLook(t, restart) })
	}
}

// recoveredByJob: the program is not told of the node's engine. A job of ours looks at the volumes there, and removes them.
func (d *demo) recoveredByJob(t *testing.T) {
	if err := d.destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := d.volumesMade(t)
	d.recovered(t, func(t *testing.T) (out string, code int) {
		_, socket, _ := strings.Cut(d.node, "=unix://")
		blind := *d
		blind.node = ""
		return blind.runRecovery(t, "-job-image", os.Getenv(jobImageVar), "-job-socket", socket)
	})
	for name, made := range d.volumesMade(t) {
		if made == before[name] {
			t.Errorf("volume %s was not wiped", name)
		}
	}
}

// restartEngines ends the engines in order, as an upgrade does; the parent starts them again. What is no service of the Swarm
// does not come back by itself: the S3 server and the ways in.
func restartEngines(ctx context.Context, folders []string) error {
	var pids []int
	for _, folder := range folders {
		raw, err := os.ReadFile(filepath.Join(folder, "pid"))
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
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		for syscall.Kill(pid, 0) == nil {
			time.Sleep(100 * time.Millisecond)
		}
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

// startOwnEngines starts two engines that have all the images that the demo takes, and that are started again whenever they end.
func startOwnEngines(t *testing.T) *testenv.OwnPair {
	t.Helper()
	p := testenv.NewOwnPair(t, (*testenv.OwnEngine).KeepRunning)
	if err := p.LabelWorker(t, "type", "worker-db"); err != nil {
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
	p.Load(t, refs...)
	return p
}
