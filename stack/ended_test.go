package stack_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := strings.TrimPrefix(r.URL.Path, "/v1.41"); {
		case path == "/services":
			_, _ = io.WriteString(w, "["+service()+"]")
		case path == "/services/app":
			_, _ = io.WriteString(w, service())
		case path == "/services/app/update":
			started.Store(true)
			_, _ = io.WriteString(w, "{}")
		case path == "/tasks":
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
			_, _ = io.WriteString(w, "["+strings.Join(tasks, ",")+"]")
		case path == "/events":
			<-r.Context().Done()
		case strings.HasSuffix(path, "/logs"):
			w.WriteHeader(http.StatusNotFound)
		default:
			engine.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return "tcp://" + server.Listener.Addr().String()
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

// An engine that was restarted says that tasks run which it ran before, until its node has looked at their containers.
func TestATaskWhoseContainerDoesNotRunIsNotHealthy(t *testing.T) {
	t.Parallel()
	for containers, want := range map[string]error{
		`[]`: context.DeadlineExceeded,
		`[{"Id":"c","State":"exited","Names":["/c"],"Labels":{"com.docker.swarm.service.id":"app","com.docker.swarm.service.name":"big_app"}}]`:  context.DeadlineExceeded,
		`[{"Id":"c","State":"running","Names":["/c"],"Labels":{"com.docker.swarm.service.id":"app","com.docker.swarm.service.name":"big_app"}}]`: nil,
	} {
		engine := fakeEngine(t, 0, 0, new(atomic.Int64))
		const service = `{"ID":"app","Spec":{"Name":"big_app","Labels":{"com.docker.stack.namespace":"big"},"Mode":{"Replicated":{"Replicas":1}}}}`
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer, known := map[string]string{"/services": "[" + service + "]", "/services/app": service, "/containers/json": containers,
				"/tasks": `[{"ID":"t","ServiceID":"app","NodeID":"self","DesiredState":"running","Status":{"State":"running","ContainerStatus":{"ContainerID":"c"}}}]`,
			}[strings.TrimPrefix(r.URL.Path, "/v1.41")]
			switch {
			case known:
				_, _ = io.WriteString(w, answer)
			case r.URL.Path == "/v1.41/events":
				<-r.Context().Done()
			default:
				engine.ServeHTTP(w, r)
			}
		}))
		t.Cleanup(server.Close)
		s, err := stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String()})
		must(t, err)
		defer s.Close()
		limit := time.Second
		if want == nil {
			limit = time.Minute
		}
		err = s.Start(t.Context(), "big", stack.StartOptions{Stable: time.Millisecond, Limit: limit})
		if !errors.Is(err, want) {
			t.Errorf("containers %s: %v, want %v", containers, err, want)
		}
	}
}
