package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// programs are built once, as those of the container image are: the very programs that an operator runs.
var programs = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "nuvlaops-programs-"); err != nil {
		return "", err
	}
	for _, name := range []string{"demo", "disaster-recovery"} {
		cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, name), "../"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
})

func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// newDemo is a demo whose story the test tells, up to the backup.
func newDemo(t *testing.T) *demo {
	t.Helper()
	d := &demo{
		options: options{documents: 5000, jobs: 1000, seed: 7, program: program(t, "disaster-recovery")},
		screen:  cli.NewScreen(t.Output()), stdout: t.Output(), stderr: t.Output(), now: time.Now,
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := errors.Join(testenv.RemoveOwn(ctx), d.removeFolder(false)); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	for _, act := range []func(context.Context) error{d.bringUp, d.fill, d.startCore, d.backUp} {
		if err := act(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// One platform carries all that follows: each part leaves it recovered, for the next one to destroy again.
func TestARecoveryBringsEverythingBack(t *testing.T) {
	d := newDemo(t)
	t.Run("refused without a complete snapshot, and nothing is touched", d.refused("snapshot.of.another.night", "-snapshot", "snapshot.of.another.night"))
	t.Run("refused under the wrong name, and nothing is touched", d.refused("nothing was touched", "-yes", "production"))
	t.Run("planned, and nothing is touched", d.planned)
	t.Run("drilled beside production", d.drilled)
	t.Run("refused without a good snapshot in the repository, and nothing is touched", d.withoutAGoodSnapshot)
	t.Run("refused beside a core that is not stopped, and nothing is touched", d.refused("runs, and would write beside", "-skip", "stop-core"))
	t.Run("killed in the middle of each of its steps, and called again", d.killedAndCalledAgain)
	t.Run("the queue alone", d.onlyTheQueue)
	if os.Getenv("NUVLAOPS_FULL") != "" {
		t.Run("from a step on", d.fromAStepOn)
		t.Run("the documents alone", d.onlyTheDocuments)
	}
	t.Run("with no Elasticsearch alive, the stack gone, and a second call beside it", d.withNothingAlive)
}

func (d *demo) refused(want string, args ...string) func(*testing.T) {
	return func(t *testing.T) {
		before := d.volumes(t)
		out, code := d.runRecovery(t, args...)
		if code != cli.ExitRefused || !strings.Contains(out, want) {
			t.Errorf("exit code %d, want %d and %q in:\n%s", code, cli.ExitRefused, want, out)
		}
		d.untouched(t, before)
	}
}

// killedAndCalledAgain kills the program with SIGKILL when a step has just begun, again and again, one step further each
// time, and then lets it end.
func (d *demo) killedAndCalledAgain(t *testing.T) {
	if err := d.destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.interruptAt(t, "stop-db")
	for _, step := range []string{"wipe", "start-es", "repository", "restore", "queue", "start-core"} {
		d.killAt(t, step)
	}
	d.recovered(t, func(t *testing.T) (string, int) { return d.runRecovery(t) })
}

// withNothingAlive takes the database stack away altogether: the snapshot is looked at through a throw-away Elasticsearch.
func (d *demo) withNothingAlive(t *testing.T) {
	if _, err := docker(t.Context(), "", "stack", "rm", d.platform.db); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(d.platform.file("journal.json")); err != nil {
		t.Fatal(err)
	}
	t.Run("refused without its secrets", d.withoutSecrets)
	d.recovered(t, d.besideAnother)
	left, err := docker(t.Context(), "", "service", "ls", "--quiet", "--filter", "name="+d.platform.db+"_es-copy")
	if err != nil || left != "" {
		t.Errorf("the throw-away Elasticsearch is still there: %q, %v", left, err)
	}
}

// recovered runs the program to its end and compares what came back.
func (d *demo) recovered(t *testing.T, run func(*testing.T) (out string, code int)) {
	t.Helper()
	out, code := run(t)
	if code != cli.ExitOK {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	if err := d.check(t.Context()); err != nil {
		t.Error(err)
	}
	d.secretsAreNowhere(t, out)
}

func (d *demo) runRecovery(t *testing.T, more ...string) (out string, code int) {
	t.Helper()
	var b strings.Builder
	cmd := d.recovery(t.Context(), more...)
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// killAt runs the program and kills it as soon as it says that a step begins. One that was done before is passed over.
func (d *demo) killAt(t *testing.T, step string) {
	t.Helper()
	begins := regexp.MustCompile(`(?m) ` + step + ` .* \.\.\.$`)
	passed := regexp.MustCompile(`(?m) ` + step + ` .* done by the run before`)
	cmd := d.recovery(t.Context())
	out := watched(t, cmd, begins, func() { _ = cmd.Process.Kill() })
	switch status := cmd.ProcessState.Sys().(syscall.WaitStatus); {
	case status.Signaled(), passed.MatchString(out) && status.ExitStatus() == cli.ExitOK:
	default:
		t.Fatalf("want it killed at %s, it ended with %v:\n%s", step, cmd.ProcessState, out)
	}
}

// interruptAt sends SIGTERM when a step begins: the program says how to go on, writes its report, and ends with its own code.
func (d *demo) interruptAt(t *testing.T, step string) {
	t.Helper()
	cmd := d.recovery(t.Context())
	out := watched(t, cmd, regexp.MustCompile(`(?m) `+step+` .* \.\.\.$`), func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	if code := cmd.ProcessState.ExitCode(); code != cli.ExitInterrupted || !strings.Contains(out, "call the same command again") {
		t.Fatalf("interrupted at %s: exit code %d, want %d and how to go on:\n%s", step, code, cli.ExitInterrupted, out)
	}
	if r, err := report.Read(d.reportFile); err != nil || r.Outcome != "not recovered" {
		t.Errorf("report of an interrupted recovery: %+v, %v", r, err)
	}
}

// watched runs cmd to its end and calls then, once, when what it has printed matches.
func watched(t *testing.T, cmd *exec.Cmd, sign *regexp.Regexp, then func()) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	var out strings.Builder
	for buf := make([]byte, 4096); ; {
		n, err := read.Read(buf)
		out.Write(buf[:n])
		if then != nil && sign.MatchString(out.String()) {
			then()
			then = nil
		}
		if err != nil {
			break
		}
	}
	_ = cmd.Wait()
	return out.String()
}

func (d *demo) volumes(t *testing.T) string {
	t.Helper()
	out, err := docker(t.Context(), "", "volume", "ls", "--format", "{{.Name}}", "--filter", "name=^"+d.platform.db+"_")
	if err != nil {
		t.Fatal(err)
	}
	running, err := docker(t.Context(), "", "ps", "--quiet", "--no-trunc", "--filter", "label=com.docker.stack.namespace="+d.platform.db)
	if err != nil {
		t.Fatal(err)
	}
	return out + "\n" + running
}

// untouched: the same volumes and the same containers, and the documents still there.
func (d *demo) untouched(t *testing.T, before string) {
	t.Helper()
	if diff := cmp.Diff(before, d.volumes(t)); diff != "" {
		t.Errorf("volumes and containers (-before +after):\n%s", diff)
	}
	if n, err := d.openJobs(t.Context()); err != nil || n == 0 {
		t.Errorf("%d open jobs, %v", n, err)
	}
}

// secretsAreNowhere: not in what the program prints, nor in a file that it writes.
func (d *demo) secretsAreNowhere(t *testing.T, out string) {
	t.Helper()
	journal, err := os.ReadFile(d.platform.file("journal.json"))
	if err != nil {
		t.Fatal(err)
	}
	reported, err := os.ReadFile(d.reportFile)
	if err != nil {
		t.Fatal(err)
	}
	keys := d.platform.s3.Keys()
	for where, text := range map[string]string{"output": out, "journal": string(journal), "report": string(reported)} {
		if strings.Contains(text, keys.Access) || strings.Contains(text, keys.Secret) {
			t.Errorf("a secret is in the %s", where)
		}
	}
}

func TestTheDemoIsRemovedWhenItIsEnded(t *testing.T) {
	testenv.UseSwarm(t) // it outlives the demo's use of it, so that what is left in it can be looked at
	cmd := exec.Command(program(t, "demo"), "-documents", "2000", "-jobs", "100", "-program", program(t, "disaster-recovery"))
	out := watched(t, cmd, regexp.MustCompile("deploying stack"), func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	if code := cmd.ProcessState.ExitCode(); code != cli.ExitInterrupted {
		t.Errorf("exit code %d, want %d:\n%s", code, cli.ExitInterrupted, out)
	}
	for _, kind := range []string{"container", "service", "volume", "secret", "config", "network"} {
		if left := madeBy(t, kind, cmd.Process.Pid); len(left) > 0 {
			t.Errorf("%ss left: %v", kind, left)
		}
	}
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
