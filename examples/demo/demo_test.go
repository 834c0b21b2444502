package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

func TestMain(m *testing.M) {
	testenv.Main(m, func() { _ = os.RemoveAll(builtHere) })
}

// programsVar is the folder of programs that the parent of this test has built.
const programsVar = "NUVLAOPS_DEMO_PROGRAMS"

// builtHere is the folder of the programs when this process has built them.
var builtHere string

// programs are built once, as those of the container image are: the very programs that an operator runs.
var programs = sync.OnceValues(func() (dir string, err error) {
	if dir = os.Getenv(programsVar); dir != "" {
		return dir, nil
	}
	if dir, err = os.MkdirTemp("", "nuvlaops-programs-"); err != nil {
		return "", err
	}
	builtHere = dir
	for _, name := range []string{"demo", "disaster-recovery", "rebuild-queue"} {
		if _, err := testenv.Build(context.Background(), dir, "../"+name); err != nil {
			return "", err
		}
	}
	return dir, nil
})

func program(t testing.TB, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// newDemo is a demo whose story the test tells, up to the backup.
func newDemo(t testing.TB, size options) *demo {
	t.Helper()
	size.seed, size.program = 7, program(t, "disaster-recovery")
	d := &demo{options: size, screen: cli.NewScreen(t.Output()), stdout: t.Output(), stderr: t.Output(), now: time.Now}
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
	t.Parallel() // with the one that has an engine of its own, and no other
	d := newDemo(t, options{documents: 5000, jobs: 1000})
	t.Run("refused without a complete snapshot, and nothing is touched", d.refused("snapshot.of.another.night", "-snapshot", "snapshot.of.another.night"))
	t.Run("refused under the wrong name, and nothing is touched", d.refused("nothing was touched", "-yes", "production"))
	d.withAnExporter(t, func() { t.Run("planned, and nothing is touched", d.planned) })
	if full() || os.Geteuid() != 0 { // else on two nodes, see TestOnTwoNodes
		t.Run("drilled beside production", d.drilled)
	}
	t.Run("refused without a good snapshot in the repository, and nothing is touched", d.withoutAGoodSnapshot)
	t.Run("refused with another store under the name that is registered, and nothing is touched",
		d.refused("no complete snapshot", "-repository-file", d.anotherStore(t)))
	t.Run("refused beside a core that is not stopped, and nothing is touched", d.refused("runs, and would write beside", "-skip", "stop-core"))
	d.withAnExporter(t, func() { t.Run("killed in the middle of each of its steps, and called again", d.killedAndCalledAgain) })
	t.Run("the queue alone", d.onlyTheQueue)
	t.Run("the queue alone, when the service is gone", d.onlyTheQueueOfNoService)
	t.Run("typed by hand, the operations page gives what it says", d.byHand)
	t.Run("with no Elasticsearch alive, planned through a throw-away one", d.plannedWithoutElasticsearch)
	t.Run("with no Elasticsearch alive and the stack gone, no volume goes without a snapshot", d.nothingToRestore)
	t.Run("with no Elasticsearch alive, nor an address that leads to the throw-away one", d.lookedThroughItsContainer)
	t.Run("with no Elasticsearch alive, the stack gone, and a second call beside it", func(t *testing.T) { d.recovered(t, d.besideAnother) })
	if full() {
		t.Run("from a step on", d.fromAStepOn)
		t.Run("the documents alone", d.onlyTheDocuments)
		t.Run("the documents alone, when the service is gone", d.onlyTheDocumentsOfNoService)
		t.Run("killed at each step's begin and end, and at 30 random moments", d.tortured)
		t.Run("each fault in each step", d.everyFaultInEveryStep)
	}
	t.Run("all in one stack, which is gone", d.allInOneStack) // the last one, since it stays one
}

func (d *demo) refused(want string, args ...string) func(*testing.T) {
	return func(t *testing.T) {
		before := d.volumes(t) + d.registered(t)
		out, code := d.runRecovery(t, args...)
		if code != cli.ExitRefused || !strings.Contains(out, want) {
			t.Errorf("exit code %d, want %d and %q in:\n%s", code, cli.ExitRefused, want, out)
		}
		d.untouched(t, before)
	}
}

// killedAndCalledAgain kills the program with SIGKILL at a random moment, and when a step has just begun, again and again, one
// step further each time, and then lets it end.
func (d *demo) killedAndCalledAgain(t *testing.T) {
	if err := d.destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("refused when the latest backup is of the empty one", d.backedUpEmpty)
	d.interruptAt(t, "stop-db")
	d.killAtRandom(t, dice(t), 1, 12*time.Second)
	d.killAt(t, "wipe", begins("wipe"))
	d.killAfter(t, "start-es", begins("start-es"), time.Second) // when the journal knows of it
	d.brokenOffIn(t, "start-es")
	for _, step := range []string{"repository", "restore", "queue", "start-core"} {
		d.killAt(t, step, begins(step))
	}
	d.recovered(t, d.alone)
}

// brokenOffIn: a plan says in which step an earlier call was ended.
func (d *demo) brokenOffIn(t *testing.T, step string) {
	t.Helper()
	got, code := d.plan(t)
	if code != cli.ExitOK || !slices.ContainsFunc(got.Broken, func(b struct{ Step string }) bool { return b.Step == step }) {
		t.Errorf("exit code %d, and the plan does not say that step %s was broken off: %+v", code, step, got)
	}
}

// nothingToRestore takes the database stack away altogether, and gives the program a repository that has no snapshot: it is
// looked at through a throw-away Elasticsearch, and that is the end.
func (d *demo) nothingToRestore(t *testing.T) {
	d.takeAway(t)
	t.Run("refused without its secrets", d.withoutSecrets)
	t.Run("planned, and refused without a good snapshot", d.plannedWithNothingToRestore)
	before, made := d.volumeContents(t), d.volumesMade(t)
	out, code := d.runRecovery(t, "-repository", "of_nobody", "-repository-file", d.anotherStore(t))
	if code != cli.ExitRefused || !strings.Contains(out, "no complete snapshot") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if diff := cmp.Diff([]any{before, made}, []any{d.volumeContents(t), d.volumesMade(t)}); diff != "" {
		t.Errorf("volumes (-before +after):\n%s\n%s", diff, out)
	}
	if left, err := docker(t.Context(), "", "ps", "--all", "--quiet", "--filter", "name=^"+d.platform.db+"_es-copy"); err != nil || left != "" {
		t.Errorf("the throw-away Elasticsearch is still there: %q, %v", left, err)
	}
}

// lookedThroughItsContainer: -es is a port that only the stack's own Elasticsearch would publish. The throw-away one is asked all the
// same, and what it shows is the ground to go on from. The next call goes on with an address that leads to it.
func (d *demo) lookedThroughItsContainer(t *testing.T) {
	cmd := d.recovery(t.Context(), "-es", "http://127.0.0.1:9")
	out := watched(t, cmd, begins("wipe"), func() { _ = cmd.Process.Kill() })
	if !ends("look").MatchString(out) || !begins("wipe").MatchString(out) {
		t.Fatalf("the throw-away one was not asked through its container:\n%s", out)
	}
}

// alone runs the program to its end.
func (d *demo) alone(t *testing.T) (out string, code int) {
	t.Helper()
	return d.runRecovery(t)
}

// recovered runs the program to its end and compares what came back.
func (d *demo) recovered(t *testing.T, run func(*testing.T) (out string, code int)) {
	t.Helper()
	out, code := run(t)
	if code != cli.ExitOK {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	d.recoveredExactly(t)
	d.secretsAreNowhere(t, out)
}

func (d *demo) runRecovery(t testing.TB, more ...string) (out string, code int) {
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

// interruptAt sends SIGTERM when a step begins: the program says how to go on, writes its report, and ends with its own code.
func (d *demo) interruptAt(t *testing.T, step string) {
	t.Helper()
	cmd := d.recovery(t.Context())
	out := watched(t, cmd, begins(step), func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
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
	return watchedSince(t, cmd, func() {}, sign, then)
}

// watchedSince is watched, and calls started when cmd has started.
func watchedSince(t *testing.T, cmd *exec.Cmd, started func(), sign *regexp.Regexp, then func()) string {
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
	started()
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
	if diff := cmp.Diff(before, d.volumes(t)+d.registered(t)); diff != "" {
		t.Errorf("volumes, containers and repositories (-before +after):\n%s", diff)
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
