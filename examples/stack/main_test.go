package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/stack"
	"github.com/nuvla/nuvlaops/stack/stacktest"
)

// call runs the program's command on an orchestrator in memory.
func call(t *testing.T, f stack.StackController, typed string, args ...string) (out string, code int) {
	t.Helper()
	cfg, err := parse(args, io.Discard)
	if err != nil {
		return err.Error(), cli.ExitCode(err)
	}
	var stdout bytes.Buffer
	err = execute(t.Context(), cfg, f, strings.NewReader(typed), &stdout, io.Discard)
	if err != nil {
		return err.Error(), cli.ExitCode(err)
	}
	return stdout.String(), 0
}

func deployed(t *testing.T) *stacktest.Fake {
	t.Helper()
	f := stacktest.NewFake()
	f.AddFile("db.yml", stacktest.Service{Name: "es", Replicas: 1, Volumes: []string{"esdata"}}, stacktest.Service{Name: "zk", Replicas: 1})
	f.AddFile("kibana.yml", stacktest.Service{Name: "kibana", Replicas: 1})
	if out, code := call(t, f, "", "deploy", "db", "-file", "db.yml"); code != 0 {
		t.Fatal(out)
	}
	return f
}

func TestWipeRemovesOnlyWhenTheNameIsGiven(t *testing.T) {
	for _, c := range []struct {
		name, typed string
		args        []string
		code, left  int
	}{
		{"nothing typed", "", nil, cli.ExitRefused, 1},
		{"another name typed", "nuvla\n", nil, cli.ExitRefused, 1},
		{"another name given", "db\n", []string{"-yes", "nuvla"}, cli.ExitRefused, 1},
		{"the name typed", "db\n", nil, 0, 0},
		{"the name given", "", []string{"-yes", "db"}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := deployed(t)
			if out, code := call(t, f, "", "stop", "db", "-groups", "zk;es"); code != 0 {
				t.Fatal(out)
			}
			if out, code := call(t, f, c.typed, append([]string{"wipe", "db"}, c.args...)...); code != c.code {
				t.Errorf("exit code %d, want %d: %s", code, c.code, out)
			}
			s, err := f.Look(t.Context(), "db")
			if err != nil || len(s.Volumes) != c.left {
				t.Errorf("%d volumes left, want %d (%v)", len(s.Volumes), c.left, err)
			}
		})
	}
}

func TestCommandsAndTheirExitCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		args string
		code int
		says string
	}{
		{"ps shows replicas", "ps db", 0, "1/1"},
		{"ps as JSON", "ps db -json", 0, `"name":"es"`},
		{"volumes shows what is in the way", "volumes db", 0, "in the way"},
		{"wipe of a running stack is refused", "wipe db -yes db", cli.ExitRefused, "in use"},
		{"wait for what runs", "wait db", 0, ""},
		{"start of an unknown service", "start db -groups nope", cli.ExitFailed, "no such service"},
		{"volumes of a service that is gone", "volumes db -services kibana", cli.ExitFailed, "kibana"},
		{"volumes of a service that is gone, with its file", "volumes db -services kibana -file kibana.yml", 0, "REMOVE VOLUME"},
		{"start of an unknown stack", "start dbb", cli.ExitFailed, "no stack of this name"},
		{"wait for an unknown stack", "wait dbb", cli.ExitFailed, "no stack of this name"},
		{"stop of a stack that is gone", "stop dbb", 0, ""},
		{"wipe of a stack that is gone", "wipe dbb -yes dbb", 0, ""},
		{"no command", "", cli.ExitUsage, "wipe"},
		{"unknown command", "remove db", cli.ExitUsage, "unknown command"},
		{"no stack", "ps", cli.ExitUsage, "name the stack"},
		{"flags before the stack", "wipe -yes db db", cli.ExitUsage, "before the flags"},
		{"no file", "deploy db", cli.ExitUsage, "-file"},
		{"a probe of an unknown kind", "start db -probe es=ftp://x", cli.ExitUsage, "neither"},
		{"two ways to keep", "wipe db -keep /tmp -keep-as -old", cli.ExitUsage, "one of them"},
		{"an image and nothing to keep", "wipe db -keep-image x", cli.ExitUsage, "-keep-as"},
		{"a probe inside of nowhere", "start db -inside es=true", cli.ExitUsage, "-network"},
		{"a probe of an unknown service", "start db -probe elasticsearch=http://localhost:1", cli.ExitFailed, "no such service"},
		{"a network and no probe inside", "wait db -network nuvla-backend", cli.ExitUsage, "-inside"},
		{"two probes of one service", "wait db -probe es=http://es -probe es=zk://es", cli.ExitUsage, "already"},
		{"two commands of one service", "wait db -inside es=true -inside es=false", cli.ExitUsage, "already"},
		{"a probe here and inside", "wait db -probe es=http://es -inside es=true -network n -image i", cli.ExitUsage, "-inside for es"},
		{"a socket without a job", "ps db -job-socket /run/docker.sock", cli.ExitUsage, "-job-image"},
		{"a limit below zero", "start db -limit -1m", cli.ExitUsage, "-limit"},
		{"a time-out below zero", "stop db -timeout -1m", cli.ExitUsage, "-timeout"},
		{"a stability below zero", "wait db -stable -1s", cli.ExitUsage, "-stable"},
		{"a group without a name", "stop db -groups es;", cli.ExitUsage, "empty name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, code := call(t, deployed(t), "", strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(out, c.says) {
				t.Errorf("exit code %d and %q, want %d and something with %q", code, out, c.code, c.says)
			}
		})
	}
}

// looks counts how often it is looked, which may take a job on each node, and the sizes of all volumes.
type looks struct {
	*stacktest.Fake
	n int
}

func (l *looks) Look(ctx context.Context, name string) (*stack.Stack, error) {
	l.n++
	return l.Fake.Look(ctx, name)
}

func TestNothingIsLookedAtTwice(t *testing.T) {
	f := &looks{Fake: deployed(t)}
	for _, c := range []struct {
		args string
		want int
	}{{"ps db", 1}, {"wait db", 1}, {"start db", 0}, {"volumes db", 0}, {"stop db", 1}, {"wipe db -yes db", 0}, {"volumes db", 1}} {
		f.n = 0
		if out, code := call(t, f, "", strings.Fields(c.args)...); code != 0 || f.n != c.want {
			t.Errorf("%s: exit code %d, looked %d times, want %d: %s", c.args, code, f.n, c.want, out)
		}
	}
}

func TestHelpIsGivenForTheProgramAndForEachCommand(t *testing.T) {
	for args, want := range map[string]string{"-h": "-host address", "ps -h": "-sizes", "wipe -help": "-keep folder", "wipe db --help": "-keep folder", "stop -groups es -h": "-groups services"} {
		var stderr bytes.Buffer
		if _, err := parse(strings.Fields(args), &stderr); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v, want flag.ErrHelp, which ends the program with 0", args, err)
		}
		for _, want := range []string{want, "stack wipe    STACK", "Exit codes:"} {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%s: %q is not in\n%s", args, want, stderr.String())
			}
		}
	}
}

func TestWaitForAStoppedServiceIsRefused(t *testing.T) {
	f := deployed(t)
	if err := f.Stop(context.Background(), "db", stack.StopOptions{Groups: [][]string{{"es"}}}); err != nil {
		t.Fatal(err)
	}
	if out, code := call(t, f, "", "wait", "db"); code != cli.ExitRefused || !strings.Contains(out, "db_es") {
		t.Errorf("exit code %d and %q, want it refused", code, out)
	}
	if out, code := call(t, f, "", "wait", "db", "-groups", "zk"); code != 0 {
		t.Errorf("wait for the other one: %s", out)
	}
}

// able is an orchestrator that can also keep volumes and probe from a container.
type able struct {
	*stacktest.Fake
	did []string
}

func (a *able) KeepVolumes(_ context.Context, plan *stack.WipePlan, opts stack.KeepOptions) error {
	a.did = append(a.did, fmt.Sprintf("keep %s in %q or as %q through %q", plan.Volumes[0].Name, opts.Dir, opts.Suffix, opts.Image))
	if opts.Dir == "/full" {
		return errors.New("no space left")
	}
	return nil
}

func (a *able) ProbeFrom(network, image string, command ...string) func(context.Context) error {
	return func(context.Context) error {
		a.did = append(a.did, fmt.Sprintf("probe on %s with %s: %q", network, image, command))
		return nil
	}
}

func TestWipeKeepsTheDataFirstWhenAsked(t *testing.T) {
	for _, c := range []struct {
		name, typed string
		args        []string
		code, left  int
		did         []string
	}{
		{"archived", "db\n", []string{"-keep", "/backup"}, 0, 0, []string{`keep db_esdata in "/backup" or as "" through ""`}},
		{"copied", "db\n", []string{"-keep-as", "-old", "-keep-image", "x"}, 0, 0, []string{`keep db_esdata in "" or as "-old" through "x"`}},
		{"not before the name is typed", "no\n", []string{"-keep", "/backup"}, cli.ExitRefused, 1, nil},
		{"what cannot be kept is not removed", "db\n", []string{"-keep", "/full"}, cli.ExitRefused, 1, []string{`keep db_esdata in "/full" or as "" through ""`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &able{Fake: deployed(t)}
			if out, code := call(t, a, "", "stop", "db"); code != 0 {
				t.Fatal(out)
			}
			if out, code := call(t, a, c.typed, append([]string{"wipe", "db"}, c.args...)...); code != c.code {
				t.Errorf("exit code %d, want %d: %s", code, c.code, out)
			}
			if diff := cmp.Diff(c.did, a.did); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			if s, err := a.Look(t.Context(), "db"); err != nil || len(s.Volumes) != c.left {
				t.Errorf("%d volumes left, want %d (%v)", len(s.Volumes), c.left, err)
			}
		})
	}
}

func TestProbesRunInsideWhenAsked(t *testing.T) {
	a := &able{Fake: deployed(t)}
	out, code := call(t, a, "", "start", "db", "-inside", "es=curl -fs http://es:9200", "-network", "nuvla-backend", "-image", "curl")
	if code != 0 {
		t.Fatal(out)
	}
	if diff := cmp.Diff([]string{`probe on nuvla-backend with curl: ["curl" "-fs" "http://es:9200"]`}, a.did); diff != "" {
		t.Errorf("probes (-want +got):\n%s", diff)
	}
}
