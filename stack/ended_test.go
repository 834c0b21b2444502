package stack_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

const endingStack = `
version: "3.7"
services:
  once:
    image: %IMAGE%
    command: [ok]
    deploy: {endpoint_mode: dnsrr, restart_policy: {condition: on-failure}, labels: %OWNER%}
  agent:
    image: %IMAGE%
    command: [run]
    deploy: {mode: global, endpoint_mode: dnsrr, placement: {constraints: [node.labels.none == such]}, labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`

func (b *bench) starts(name string) error {
	return b.Start(b.t.Context(), b.stack, stack.StartOptions{Groups: [][]string{{name}}, Stable: 10 * time.Second, Limit: 2 * time.Minute})
}

// Its orchestrator makes no other task after one that ended well.
func TestStartOfAServiceThatEndsIsNotWaitedForInVain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(endingStack)
	mustBe(t, b.starts("once"), nuvlaops.ErrVerification, "a task has ended, and no other is made")
	mustBe(t, b.starts("once"), nuvlaops.ErrVerification, "a task has ended, and no other is made") // which was so before
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	mustBe(t, b.starts("once"), nuvlaops.ErrVerification, "a task has ended, and no other is made")
}

func TestAGlobalServiceThatNoNodeMayRunIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(endingStack)
	must(t, b.starts("agent"))
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	must(t, b.starts("agent"))
	err := b.Start(t.Context(), b.stack, stack.StartOptions{Groups: [][]string{{"agent"}}, Limit: time.Second,
		Probes: map[string]func(context.Context) error{"agent": func(context.Context) error { return nil }}})
	mustBe(t, err, context.DeadlineExceeded, "agent: 0 of 0 tasks run, no active node meets its constraints")
}

// A task that is told to end may end well before its node hears that it shall, and then counts as one that needs no other.
func TestServicesThatRestartOnFailureComeBackAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(`
version: "3.7"
services:
  app: {image: %IMAGE%, command: [run], deploy: {replicas: 3, endpoint_mode: dnsrr, restart_policy: {condition: on-failure}, labels: %OWNER%}}
  agent: {image: %IMAGE%, command: [run], deploy: {mode: global, endpoint_mode: dnsrr, restart_policy: {condition: on-failure}, labels: %OWNER%}}
networks:
  default: {labels: %OWNER%}
`)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	for range 3 {
		must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
		must(t, b.Start(t.Context(), b.stack, stack.StartOptions{Limit: time.Minute}))
	}
}

// lateEngine has a stopped service, whose tasks have ended although their node has not yet told how: they failed, as those do
// that exit with an error when they are told to end. Or its first tasks fail, one of each replica.
func lateEngine(t *testing.T, stopped bool) (host string) {
	t.Helper()
	engine := fakeEngine(t, 0, 0, new(atomic.Int64))
	var started atomic.Bool
	service := func() string {
		spec := `"Labels":{"com.docker.stack.namespace":"big","org.nuvla.ops.replicas":"5"},"Mode":{"Replicated":{"Replicas":0}}`
		if started.Load() {
			spec = `"Labels":{"com.docker.stack.namespace":"big"},"Mode":{"Replicated":{"Replicas":5}}`
		}
		return `{"ID":"app","Spec":{"Name":"big_app",` + spec + `}}`
	}
	tasks := func() string {
		var tasks []string
		for i := range 5 {
			was := "running"
			if started.Load() {
				was = "failed"
				tasks = append(tasks, fmt.Sprintf(`{"ID":"new%d","ServiceID":"app","DesiredState":"running","Status":{"State":"running"}}`, i))
			}
			if stopped || started.Load() {
				tasks = append(tasks, fmt.Sprintf(`{"ID":"old%d","Slot":%d,"ServiceID":"app","DesiredState":"remove","Status":{"State":%q}}`, i, i+1, was))
			}
		}
		return "[" + strings.Join(tasks, ",") + "]"
	}
	return said(t, engine, map[string]func() string{"/services": func() string { return "[" + service() + "]" }, "/services/app": service, "/tasks": tasks,
		"/services/app/update": func() string { started.Store(true); return "{}" }})
}

func TestTasksThatStopHasEndedAreNoFailuresOfTheStart(t *testing.T) {
	t.Parallel()
	s, err := stack.NewSwarm(&stack.Options{Host: lateEngine(t, true)})
	must(t, err)
	defer s.Close()
	must(t, s.Start(t.Context(), "big", stack.StartOptions{Limit: time.Minute}))
}

// Whether one replica waits for a dependency or five do, is the same.
func TestEachReplicaMayFailAsOftenAsOne(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]error{0: nil, 1: nuvlaops.ErrVerification} {
		s, err := stack.NewSwarm(&stack.Options{Host: lateEngine(t, false)})
		must(t, err)
		defer s.Close()
		err = s.Start(t.Context(), "big", stack.StartOptions{Failures: failures, Limit: time.Minute})
		if !errors.Is(err, want) {
			t.Errorf("with %d failures: %v, want %v", failures, err, want)
		}
	}
}

// What needs a service of the first group fails until that one is healthy.
func TestWhatFailedBeforeItsGroupWasStartedIsForgiven(t *testing.T) {
	t.Parallel()
	engine := fakeEngine(t, 0, 0, new(atomic.Int64))
	var failed atomic.Bool
	const service = `{"ID":%q,"Spec":{"Name":"big_%[1]s","Labels":{"com.docker.stack.namespace":"big"},"Mode":{"Replicated":{"Replicas":1}}}}`
	db, app := fmt.Sprintf(service, "db"), fmt.Sprintf(service, "app")
	host := said(t, engine, map[string]func() string{"/services": always("[" + db + "," + app + "]"), "/services/db": always(db), "/services/app": always(app),
		"/tasks": func() string {
			tasks := []string{`{"ID":"d","Slot":1,"ServiceID":"db","DesiredState":"running","Status":{"State":"running"}}`,
				`{"ID":"a","Slot":1,"ServiceID":"app","DesiredState":"running","Status":{"State":"running"}}`}
			for i := 0; failed.Load() && i < 3; i++ {
				tasks = append(tasks, fmt.Sprintf(`{"ID":"a%d","Slot":1,"ServiceID":"app","DesiredState":"shutdown","Status":{"State":"failed"}}`, i))
			}
			return "[" + strings.Join(tasks, ",") + "]"
		}})
	s, err := stack.NewSwarm(&stack.Options{Host: host})
	must(t, err)
	defer s.Close()
	must(t, s.Start(t.Context(), "big", stack.StartOptions{Groups: [][]string{{"db"}, {"app"}}, Stable: time.Millisecond, Limit: time.Minute,
		Healthy: func([]string) { failed.Store(true) }}))
}

// An engine that was restarted says that tasks run which it ran before, until its node has looked at their containers.
func TestATaskWhoseContainerDoesNotRunIsNotHealthy(t *testing.T) {
	t.Parallel()
	for containers, want := range map[string]error{
		`[]`: context.DeadlineExceeded,
		`[{"Id":"c","State":"paused","Names":["/c"],"Labels":{"com.docker.swarm.service.id":"app","com.docker.swarm.service.name":"big_app"}}]`:  context.DeadlineExceeded,
		`[{"Id":"c","State":"exited","Names":["/c"],"Labels":{"com.docker.swarm.service.id":"app","com.docker.swarm.service.name":"big_app"}}]`:  context.DeadlineExceeded,
		`[{"Id":"c","State":"running","Names":["/c"],"Labels":{"com.docker.swarm.service.id":"app","com.docker.swarm.service.name":"big_app"}}]`: nil,
	} {
		engine := fakeEngine(t, 0, 0, new(atomic.Int64))
		const service = `{"ID":"app","Spec":{"Name":"big_app","Labels":{"com.docker.stack.namespace":"big"},"Mode":{"Replicated":{"Replicas":1}}}}`
		host := said(t, engine, map[string]func() string{"/services": always("[" + service + "]"), "/services/app": always(service), "/containers/json": always(containers),
			"/tasks": always(`[{"ID":"t","ServiceID":"app","NodeID":"self","DesiredState":"running","Status":{"State":"running","ContainerStatus":{"ContainerID":"c"}}}]`)})
		s, err := stack.NewSwarm(&stack.Options{Host: host})
		must(t, err)
		defer s.Close()
		there, err := s.Look(t.Context(), "big")
		must(t, err)
		if v := there.Services[0]; (v.Health == stack.HealthHealthy) != (want == nil) {
			t.Errorf("containers %s: app looks %s", containers, v.Health)
		}
		limit := time.Second
		if want == nil {
			limit = time.Minute
		}
		err = s.Start(t.Context(), "big", stack.StartOptions{Stable: time.Millisecond, Limit: limit})
		if !errors.Is(err, want) {
			t.Errorf("containers %s: %v, want %v", containers, err, want)
		}
		if strings.Contains(containers, "paused") && !strings.Contains(err.Error(), "container c is paused") {
			t.Errorf("%v does not name the container that only people can let go on", err)
		}
	}
}
