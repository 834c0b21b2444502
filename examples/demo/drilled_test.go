package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/testenv"
)

// drilled: the whole is recovered beside production, and production is what it was.
func (d *demo) drilled(t *testing.T) {
	network := d.platform.db + "-drillnet"
	if _, err := docker(t.Context(), "", "network", "create", "--driver", "overlay", "--attachable", "--label", testenv.Label+"="+testenv.OwnerLabelValue(), network); err != nil {
		t.Fatal(err)
	}
	if _, err := docker(t.Context(), "", "network", "connect", network, d.platform.s3.Name()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = docker(context.Background(), "", "network", "disconnect", "--force", network, d.platform.s3.Name())
		if _, err := docker(context.Background(), "", "network", "rm", network); err != nil {
			t.Errorf("the drill's network is still in use: %v", err)
		}
	})
	before, registered := d.production(t), d.registered(t)
	file, drill := d.platform.file, d.platform.db+"-drill"
	args := []string{"-drill", "-drill-network", network, "-yes", drill, "-api", "", "-journal", file("drill.json"),
		"-report", file("drill-report.json"), "-html", file("drill.html"), "-metrics", file("drill.prom"), "-budget", "10m,start-core=5m",
		"-drill-services", "all", "-drill-api", ":8200/api/cloud-entry-point"}
	killed := d.recovery(t.Context(), args...)
	if out := watched(t, killed, begins("start-core"), func() { _ = killed.Process.Kill() }); !killed.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
		t.Fatalf("want it killed, it ended with %v:\n%s", killed.ProcessState, out)
	}
	out, code := d.runRecovery(t, args...) // which removes both copies, makes them anew, and removes them
	if code != cli.ExitOK {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	if diff := cmp.Diff(before, d.production(t)); diff != "" {
		t.Errorf("production (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(registered, d.registered(t)); diff != "" {
		t.Errorf("production's repository (-before +after):\n%s", diff)
	}
	d.nothingOfADrill(t)
	r, err := report.Read(file("drill-report.json"))
	if err != nil || r.Mode != report.ModeDrill || r.Jobs == nil {
		t.Fatalf("report %+v, %v", r, err)
	}
	if err := errors.Join(d.checkDocuments(r), d.checkJobs(r)); err != nil {
		t.Error(err)
	}
	if !slices.ContainsFunc(r.Steps, func(s report.Step) bool { return s.Name == "start-core" && s.State == "done" && s.Seconds > 0 }) {
		t.Errorf("the drill has not measured the start of the core: %+v", r.Steps)
	}
	told, err := os.ReadFile(file("drill.prom"))
	if err != nil || !strings.Contains(string(told), `nuvla_recovery_last_success_timestamp_seconds{mode="drill",repository="s3_backup"}`) {
		t.Errorf("metrics %v:\n%s", err, told)
	}
}

// nothingOfADrill: neither of the databases' copy nor of the core's.
func (d *demo) nothingOfADrill(t *testing.T) {
	t.Helper()
	for _, stack := range []string{d.platform.db, d.platform.core} {
		for kind, ask := range map[string][]string{"service": {"service", "ls"}, "network": {"network", "ls"}, "volume": {"volume", "ls"}, "container": {"ps", "--all"}} {
			for _, docker := range d.enginesThatKnow(kind) {
				left, err := docker(t.Context(), append(ask, "--quiet", "--filter", "label=com.docker.stack.namespace="+stack+"-drill")...)
				if err != nil || left != "" {
					t.Errorf("of the drill there is left: %s %q, %v", kind, left, err)
				}
			}
		}
	}
}

// enginesThatKnow run the docker program against the engines that know of things of a kind: any node has containers and volumes
// of its own.
func (d *demo) enginesThatKnow(kind string) []func(context.Context, ...string) (string, error) {
	here := func(ctx context.Context, args ...string) (string, error) { return docker(ctx, "", args...) }
	if d.node == "" || kind == "service" || kind == "network" {
		return []func(context.Context, ...string) (string, error){here}
	}
	return []func(context.Context, ...string) (string, error){here, d.atDatabases}
}

// production is all that a drill must leave as it is: services, containers and volumes, each with its version or its time.
func (d *demo) production(t *testing.T) []string {
	t.Helper()
	return d.thereOf(t, "service", "container", "volume")
}

func (d *demo) servicesAndVolumes(t *testing.T) []string {
	t.Helper()
	return d.thereOf(t, "service", "volume")
}

// thereOf is without the time of volumes: engines give that of the last file made in it, and Elasticsearch tries its disk every
// two minutes. A volume whose container still runs, or that holds what it held, is the same.
func (d *demo) thereOf(t *testing.T, kinds ...string) (all []string) {
	t.Helper()
	list := map[string][]string{"service": {"service", "ls", "--quiet"}, "container": {"ps", "--all", "--quiet", "--no-trunc"}, "volume": {"volume", "ls", "--quiet"}}
	tells := map[string]string{"service": "{{.Version.Index}} {{.UpdatedAt}}", "container": "{{.State.StartedAt}}", "volume": "{{.Name}}"}
	for _, stack := range []string{d.platform.db, d.platform.core} {
		for _, kind := range kinds {
			for _, docker := range d.enginesThatKnow(kind) {
				ids, err := docker(t.Context(), append(list[kind], "--filter", "label=com.docker.stack.namespace="+stack)...)
				if err != nil {
					t.Fatal(err)
				}
				for id := range strings.FieldsSeq(ids) {
					told, err := docker(t.Context(), kind, "inspect", "--format", tells[kind], id)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, id+" "+told)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}
