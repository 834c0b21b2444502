package main

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/poll"
)

// plannedWithoutElasticsearch: none lives, and the plan starts a throw-away one beside what is there, also after one whose
// program was killed, and removes it.
func (d *demo) plannedWithoutElasticsearch(t *testing.T) {
	d.scaledToNothing(t)
	d.noContainerOf(t, "es")
	before := d.production(t)
	if ended := d.planEndedBy(t, syscall.SIGINT); ended.ExitStatus() != cli.ExitInterrupted {
		t.Errorf("exit code %d of an interrupted plan, want %d", ended.ExitStatus(), cli.ExitInterrupted)
	}
	d.nothingOfACopy(t)
	if ended := d.planEndedBy(t, syscall.SIGKILL); !ended.Signaled() {
		t.Errorf("want it killed, it ended with exit code %d", ended.ExitStatus())
	}
	got, code := d.plan(t)
	if code != cli.ExitOK || !got.Ready || got.Restore.Indices != int64(len(d.seeded.documents)) || !strings.Contains(got.SeenThrough, "throw-away") {
		t.Errorf("exit code %d, plan %+v", code, got)
	}
	if !slices.ContainsFunc(got.Checks, func(c plannedCheck) bool { return c.Name == "room" && c.State == "ok" }) {
		t.Errorf("nothing says that there is room: %+v", got.Checks)
	}
	if diff := cmp.Diff(before, d.production(t)); diff != "" {
		t.Errorf("services, containers and volumes (-before +after):\n%s", diff)
	}
	d.nothingOfACopy(t)
}

// scaledToNothing: somebody has ended Elasticsearch by hand, and says how many are to come back when the plan asks for it.
func (d *demo) scaledToNothing(t *testing.T) {
	t.Helper()
	es := d.platform.db + "_es"
	if _, err := docker(t.Context(), "", "service", "scale", "--detach", es+"=0"); err != nil {
		t.Fatal(err)
	}
	hint := "docker service update --label-add org.nuvla.ops.replicas=1 " + es
	if out, code := d.runRecovery(t, "-plan"); code != cli.ExitRefused || !strings.Contains(out, hint) {
		t.Errorf("exit code %d, want it refused with %q:\n%s", code, hint, out)
	}
	if _, err := docker(t.Context(), "", append(strings.Fields(hint)[1:], "--detach")...); err != nil {
		t.Fatal(err)
	}
}

// planEndedBy sends a signal to a plan while its throw-away one boots.
func (d *demo) planEndedBy(t *testing.T, signal syscall.Signal) syscall.WaitStatus {
	t.Helper()
	cmd := d.recovery(t.Context(), "-plan")
	watched(t, cmd, regexp.MustCompile("starting a throw-away one"), func() {
		d.waitForCopy(t)
		_ = cmd.Process.Signal(signal)
	})
	return cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// plannedWithNothingToRestore: the database stack is gone, and the repository has no snapshot.
func (d *demo) plannedWithNothingToRestore(t *testing.T) {
	before := append(d.servicesAndVolumes(t), d.volumeContents(t)) // the core without databases ends and is started, again and again
	got, code := d.plan(t, "-repository", "of_nobody", "-repository-file", d.anotherStore(t))
	if code != cli.ExitRefused || got.Ready {
		t.Errorf("exit code %d, plan %+v", code, got)
	}
	if diff := cmp.Diff(before, append(d.servicesAndVolumes(t), d.volumeContents(t))); diff != "" {
		t.Errorf("services and volumes (-before +after):\n%s", diff)
	}
	d.nothingOfACopy(t)
}

// plannedPage is what a test reads of a plan.
type plannedPage struct {
	Ready       bool
	SeenThrough string `json:"seen_through"`
	Snapshot    struct{ Name string }
	Restore     struct{ Indices, Bytes, Documents int64 }
	Checks      []plannedCheck
	Stop        map[string]string
	Broken      []struct{ Step string } `json:"broken_off"`
}

type plannedCheck struct{ Name, State, Text string }

func (d *demo) plan(t *testing.T, more ...string) (got plannedPage, code int) {
	t.Helper()
	cmd := d.recovery(t.Context(), append([]string{"-plan", "-json"}, more...)...)
	raw, _ := cmd.Output()
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%v:\n%s", err, raw)
	}
	return got, cmd.ProcessState.ExitCode()
}

// noContainerOf waits until none runs, and removes those that have ended: Swarm keeps them for a time of its own.
func (d *demo) noContainerOf(t *testing.T, service string) {
	t.Helper()
	filter := "label=com.docker.swarm.service.name=" + d.platform.db + "_" + service
	if err := poll.Until(t.Context(), poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		ended, err := docker(ctx, "", "ps", "--all", "--quiet", "--filter", filter, "--filter", "status=exited")
		for id := range strings.FieldsSeq(ended) {
			_, _ = docker(ctx, "", "rm", "--volumes", id) // Swarm may be faster, and removes volumes without a name, too
		}
		if err != nil {
			return false, "", err
		}
		left, err := docker(ctx, "", "ps", "--all", "--quiet", "--filter", filter)
		return left == "", left, err
	}); err != nil {
		t.Fatal(err)
	}
}

// waitForCopy waits until the throw-away one runs.
func (d *demo) waitForCopy(t *testing.T) {
	t.Helper()
	if err := poll.Until(t.Context(), poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		id, err := docker(ctx, "", "ps", "--quiet", "--filter", "name=^"+d.platform.db+"_es-copy")
		return id != "", "", err
	}); err != nil {
		t.Fatal(err)
	}
}

// nothingOfACopy: no throw-away server, and nothing that was made for one.
func (d *demo) nothingOfACopy(t *testing.T) {
	t.Helper()
	for _, ask := range [][]string{
		{"ps", "--all", "--quiet", "--filter", "name=^" + d.platform.db + "_es-copy"},
		{"service", "ls", "--quiet", "--filter", "name=" + d.platform.db + "_es-copy"},
		{"service", "ls", "--quiet", "--filter", "label=com.docker.stack.namespace=nuvlaops-copy-" + d.platform.db},
		{"network", "ls", "--quiet", "--filter", "label=com.docker.stack.namespace=nuvlaops-copy-" + d.platform.db},
		{"config", "ls", "--quiet", "--filter", "name=nuvlaops-claim-" + d.platform.db},
	} {
		if left, err := docker(t.Context(), "", ask...); err != nil || left != "" {
			t.Errorf("left: %v %q, %v", ask, left, err)
		}
	}
}
