package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

// TestTheDemoLeavesNothing ends a demo with kill -9 and others with signals, at one moment by default and at many with
// NUVLAOPS_FULL=1. Each next start removes what the one before could not; what belongs to others stays, and since a service of
// theirs runs in the swarm, the demo takes names of its own.
func TestTheDemoLeavesNothing(t *testing.T) {
	testenv.UseSwarm(t) // it outlives the demo's use of it, so that what is left in it can be looked at
	others := foreign(t)
	moments, signals := []string{"deploying stack nuvlaops-demo-db"}, []syscall.Signal{syscall.SIGTERM}
	if full() {
		signals = append(signals, syscall.SIGINT)
		moments = append(moments, "writing", "== start the core", "== back up", "data deleted", " look | stop-db .*", " start-es ", " restore ", " start-core ")
	}
	for _, moment := range moments {
		killed := endedAt(t, moment, syscall.SIGKILL)
		if left := allMadeBy(t, killed.ProcessState.Pid()); len(left) == 0 {
			t.Errorf("%s: kill -9 left nothing to sweep: this test shows nothing", moment)
		}
		for _, s := range signals {
			cmd := endedAt(t, moment, s)
			if code := cmd.ProcessState.ExitCode(); code != cli.ExitInterrupted {
				t.Errorf("%s, %v: exit code %d, want %d", moment, s, code, cli.ExitInterrupted)
			}
			if left := allMadeBy(t, cmd.ProcessState.Pid()); len(left) > 0 {
				t.Errorf("%s, %v: left %v", moment, s, left)
			}
		}
		if left := allMadeBy(t, killed.ProcessState.Pid()); len(left) > 0 {
			t.Errorf("%s: the next start has not swept %v", moment, left)
		}
	}
	if left := folders(t); len(left) > 0 {
		t.Errorf("folders left: %v", left)
	}
	others()
}

// endedAt sends a signal to a demo when it says something.
func endedAt(t *testing.T, moment string, s syscall.Signal) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program(t, "demo"), "-documents", "2000", "-jobs", "100", "-program", program(t, "disaster-recovery"))
	sent := false
	out := watched(t, cmd, regexp.MustCompile(moment), func() { sent = true; _ = cmd.Process.Signal(s) })
	if !sent {
		t.Fatalf("it never said %q:\n%s", moment, out)
	}
	return cmd
}

// foreign makes what belongs to somebody else, and returns the check that it is as it was.
func foreign(t *testing.T) (same func()) {
	t.Helper()
	resolver, err := images.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	image, err := resolver.Resolve(t.Context(), images.Spec{Name: images.Consumer})
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("somebody-%d", os.Getpid())
	t.Cleanup(func() {
		_, _ = docker(context.Background(), "", "service", "rm", name)
		_, _ = docker(context.Background(), "", "rm", "--force", "--volumes", name)
		_, _ = docker(context.Background(), "", "volume", "rm", name)
		_, _ = docker(context.Background(), "", "secret", "rm", name)
		_, _ = docker(context.Background(), "", "config", "rm", name)
		for range 50 { // until the service's task has left it
			if _, err := docker(context.Background(), "", "network", "rm", name); err == nil {
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
	})
	run := func(args ...string) string {
		out, err := docker(t.Context(), "secret", args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	run("run", "--detach", "--name", name, "--volume", name+":/data", image.Ref, "sleep", "3600")
	run("secret", "create", name, "-")
	run("config", "create", name, "-")
	run("network", "create", "--driver", "overlay", name)
	run("service", "create", "--quiet", "--name", name, "--network", name, "--secret", name, "--config", name,
		"--endpoint-mode", "dnsrr", "--no-resolve-image", image.Ref, "sleep", "3600") // until its task runs
	look := func() []string {
		return []string{run("inspect", "--format", "{{.Id}} {{.State.Status}} {{.State.StartedAt}}", name),
			run("volume", "inspect", "--format", "{{.CreatedAt}}", name),
			run("secret", "inspect", "--format", "{{.ID}} {{.Version}}", name),
			run("config", "inspect", "--format", "{{.ID}} {{.Version}}", name),
			run("network", "inspect", "--format", "{{.Id}}", name),
			run("service", "inspect", "--format", "{{.ID}} {{.Version}}", name),
			run("service", "ps", "--no-trunc", "--format", "{{.ID}} {{.DesiredState}}", name),
			run("ps", "--no-trunc", "--quiet", "--filter", "label=com.docker.swarm.service.name="+name)}
	}
	before := look()
	return func() {
		t.Helper()
		if diff := cmp.Diff(before, look()); diff != "" {
			t.Errorf("container, volume, secret, config, network, service, task of others (-before +after):\n%s", diff)
		}
	}
}

// folders of demos that no live one holds.
func folders(t *testing.T) (left []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(os.TempDir(), folderPattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range all {
		if lock, err := lockFolder(folder); err == nil {
			left = append(left, folder)
			_ = lock.Close()
		}
	}
	return left
}

func allMadeBy(t *testing.T, pid int) (left []string) {
	t.Helper()
	for _, kind := range []string{"container", "service", "volume", "secret", "config", "network"} {
		for _, id := range madeBy(t, kind, pid) {
			left = append(left, kind+" "+id)
		}
	}
	return left
}

// madeBy lists what a process has made and what is still there, by the label that names its maker.
func madeBy(t *testing.T, kind string, pid int) (left []string) {
	t.Helper()
	list := []string{kind, "ls", "--quiet", "--filter", "label=" + testenv.Label}
	if kind == "container" {
		list = append(list, "--all")
	}
	ids, err := docker(t.Context(), "", list...)
	if err != nil {
		t.Fatal(err)
	}
	for id := range strings.FieldsSeq(ids) {
		text, err := docker(t.Context(), "", kind, "inspect", id)
		if err == nil && strings.Contains(text, fmt.Sprintf(`"%s": "%d-`, testenv.Label, pid)) {
			left = append(left, id)
		}
	}
	return left
}

func TestNamesOfOthersAreLeftAlone(t *testing.T) {
	if _, err := docker(t.Context(), "", "volume", "create", "db_of_somebody"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = docker(context.Background(), "", "volume", "rm", "db_of_somebody") })
	d := &demo{screen: cli.NewScreen(t.Output()), platform: platform{swarm: testenv.UseSwarm(t)}}
	if err := d.name(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := []string{d.platform.db, d.platform.core, d.platform.network}
	if diff := cmp.Diff([]string{"nuvlaops-demo-db", "nuvlaops-demo-nuvla", "nuvlaops-demo-backend"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// A report that cannot be written would end the demo at its last act.
func TestAReportInNoFolderIsFoundBeforeAnythingIsMade(t *testing.T) {
	if _, err := parse([]string{"-program", "true", "-report", "/no/such/report.json"}, io.Discard); cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), "-report") {
		t.Errorf("%v, want a usage error that names the flag", err)
	}
}
