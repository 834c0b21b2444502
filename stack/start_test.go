package stack_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

const failingStack = `
version: "3.7"
services:
  bad:
    image: %IMAGE%
    command: [fail]
    deploy: {endpoint_mode: dnsrr, restart_policy: {condition: any, delay: 100ms}, labels: %OWNER%}
  once:
    image: %IMAGE%
    command: [fail]
    deploy: {endpoint_mode: dnsrr, restart_policy: {condition: none}, labels: %OWNER%}
  nowhere:
    image: %IMAGE%
    command: [run]
    deploy: {endpoint_mode: dnsrr, placement: {constraints: [node.labels.none == such]}, labels: %OWNER%}
  sick:
    image: %IMAGE%
    command: [run]
    healthcheck: {test: ["CMD", "/testservice", "dial", "localhost:1"], interval: 500ms, retries: 1000}
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
  noimage:
    image: nuvlaops-test/no-such-image:1
    deploy: {endpoint_mode: dnsrr, restart_policy: {condition: any, delay: 100ms}, labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`

func TestStartEndsEarlyWhenTasksKeepFailing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(failingStack)
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	const seldom = 10 * time.Second // on a machine that is busy, a task may need a second to fail
	start := func(name string) error {
		return b.Start(ctx, b.stack, stack.StartOptions{Groups: [][]string{{name}}, Stable: seldom})
	}
	mustBe(t, start("bad"), nuvlaops.ErrVerification, "3 tasks failed", "non-zero exit (3)",
		"starting | cannot open the database: no such luck", "docker service ps")
	mustBe(t, start("once"), nuvlaops.ErrVerification, "1 tasks failed", "cannot open the database")
	mustBe(t, start("noimage"), nuvlaops.ErrVerification, "tasks failed", "No such image")
	for name, want := range map[string]stack.Health{"once": stack.HealthFailing, "nowhere": stack.HealthStopped} {
		if v := b.look().Service(name); v.Health != want || want == stack.HealthFailing && !strings.Contains(v.Error, "non-zero exit (3)") {
			t.Errorf("%s is %s (%s), want %s", name, v.Health, v.Error, want)
		}
	}
	within := func(limit time.Duration, name string) error {
		return b.Start(ctx, b.stack, stack.StartOptions{Groups: [][]string{{name}}, Limit: limit})
	}
	mustBe(t, within(5*time.Second, "nowhere"), context.DeadlineExceeded, "0 of 1 tasks run", "no suitable node")
	mustBe(t, within(5*time.Second, "sick"), context.DeadlineExceeded, "sick: 0 of 1 tasks run")
	b.eventually("the container of sick", func() bool {
		return slices.ContainsFunc(running(t, b.api), func(c string) bool { return strings.Contains(c, b.stack+"_sick.1") })
	})
	mustBe(t, within(5*time.Second, "sick"), context.DeadlineExceeded, "sick: 0 of 1 tasks run, a task is starting")
}

// forgetful is an engine with one service, which fails twice between two looks. It remembers the last five tasks, as Swarm does.
func forgetful(t *testing.T) (host string) {
	t.Helper()
	engine := fakeEngine(t, 1, 1, new(atomic.Int64))
	const service = `{"ID":"bad","Spec":{"Name":"big_bad","Labels":{"com.docker.stack.namespace":"big"},"Mode":{"Replicated":{"Replicas":1}}}}`
	failed := 0
	return said(t, engine, map[string]func() string{"/services": always("[" + service + "]"), "/services/bad": always(service), "/tasks": func() string {
		failed += 2
		tasks := []string{`{"ID":"next","ServiceID":"bad","DesiredState":"ready","Status":{"State":"ready"}}`}
		for i := max(0, failed-5); i < failed; i++ {
			tasks = append(tasks, fmt.Sprintf(`{"ID":"%d","ServiceID":"bad","DesiredState":"shutdown","Status":{"State":"failed","Err":"network sandbox join failed: error creating vxlan interface: file exists"}}`, i))
		}
		return "[" + strings.Join(tasks, ",") + "]"
	}})
}

func TestFailedTasksCountAlsoWhenTheyAreForgotten(t *testing.T) {
	t.Parallel()
	s, err := stack.NewSwarm(&stack.Options{Host: forgetful(t)})
	must(t, err)
	defer s.Close()
	err = s.Start(t.Context(), "big", stack.StartOptions{Failures: 8, Limit: 10 * time.Second})
	mustBe(t, err, nuvlaops.ErrVerification, "8 tasks failed", "ip link delete")
}

const serverStack = `
version: "3.7"
services:
  server:
    image: %IMAGE%
    command: [serve, 2s]
    networks: [net]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
  next:
    image: %IMAGE%
    command: [run]
    networks: [net]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
networks:
  net: {attachable: true, driver: overlay, labels: %OWNER%}
`

func TestStartWaitsForAProbeFromTheOverlayNetwork(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(serverStack)
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	probe := b.ProbeFrom(b.stack+"_net", b.image, "/testservice", "dial", "server:8080")
	calls := 0
	opts := stack.StartOptions{Groups: [][]string{{"server"}, {"next"}}, Stable: 100 * time.Millisecond,
		Probes: map[string]func(context.Context) error{"server": func(ctx context.Context) error {
			if calls++; calls == 1 {
				return errors.New("not yet") // whether the server listens by now depends on the machine
			}
			return probe(ctx)
		}},
		Healthy: func(group []string) {
			if group[0] == "server" && b.look().Service("next").Replicas != 0 {
				t.Error("next was started before server was healthy")
			}
		}}
	must(t, b.Start(t.Context(), b.stack, opts))
	if calls < 2 {
		t.Errorf("the probe was called %d times, want again after a failure", calls)
	}
	list, err := b.api.ContainerList(t.Context(), client.ContainerListOptions{All: true,
		Filters: make(client.Filters).Add("label", "org.nuvla.ops.probe="+b.stack+"_net")})
	must(t, err)
	if len(list.Items) > 0 {
		t.Errorf("the probe left %d containers", len(list.Items))
	}
	if err := b.ProbeFrom(b.stack+"_net", b.image, "/testservice", "dial", "nobody:8080")(t.Context()); !errors.Is(err, nuvlaops.ErrUnavailable) {
		t.Errorf("probe of a service that is not there: %v", err)
	}
}

func TestStartThatIsCancelledIsFinishedByTheNextOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(dbStack)
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	ctx, cancel := context.WithCancel(t.Context())
	err := b.Start(ctx, b.stack, stack.StartOptions{Groups: [][]string{{"db"}, {"app"}}, Healthy: func([]string) { cancel() }})
	mustBe(t, err, context.Canceled)
	if v := b.look().Service("app"); !v.Stopped || v.Remembered != 2 {
		t.Errorf("app after the cancellation: %+v", v)
	}
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{Groups: [][]string{{"db"}, {"app"}}}))
	s := b.look()
	if s.Service("app").Running != 2 || s.Service("db").Running != 1 {
		t.Errorf("after the second start:\n%s", s)
	}
}

func TestOptionsThatCannotBeAreRefused(t *testing.T) {
	host, _ := largeEngine(t, 1, 1)
	s, err := stack.NewSwarm(&stack.Options{Host: host})
	must(t, err)
	defer s.Close()
	for field, opts := range map[string]stack.StartOptions{
		"Failures": {Failures: -1}, "Stable": {Stable: -1}, "ProbeTimeout": {ProbeTimeout: -1}, "Limit": {Limit: -1},
	} {
		mustBe(t, s.Start(t.Context(), "big", opts), nuvlaops.ErrInvalid, field)
	}
	mustBe(t, s.Stop(t.Context(), "big", stack.StopOptions{Limit: -1}), nuvlaops.ErrInvalid, "Limit")
	_, err = s.Claim(t.Context(), "big", stack.ClaimOptions{Beat: -1})
	mustBe(t, err, nuvlaops.ErrInvalid, "Beat")
	_, err = stack.NewSwarm(&stack.Options{Job: &stack.NodeJob{Image: "x", Limit: -1}})
	mustBe(t, err, nuvlaops.ErrInvalid, "Limit")
}

// The services of largeEngine are at nothing, and remember nothing.
func TestStartRefusesAProbeThatNothingWouldAnswer(t *testing.T) {
	host, _ := largeEngine(t, 1, 1)
	s, err := stack.NewSwarm(&stack.Options{Host: host})
	must(t, err)
	defer s.Close()
	probe := func(context.Context) error { return nil }
	for service, want := range map[string]error{"s000": nuvlaops.ErrRefused, "no-such-service": nuvlaops.ErrNotFound} {
		err := s.Start(t.Context(), "big", stack.StartOptions{Probes: map[string]func(context.Context) error{service: probe}})
		mustBe(t, err, want, service)
	}
}
