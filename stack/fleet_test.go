package stack_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/stack"
)

// twoNodes is a fakeEngine on node one, with a second node far.
func twoNodes(t *testing.T, nodes string) (host string) {
	t.Helper()
	engine := fakeEngine(t, 1, 1, new(atomic.Int64))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1.41/nodes" {
			_, _ = io.WriteString(w, nodes)
			return
		}
		engine.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return "tcp://" + server.Listener.Addr().String()
}

func TestAnEngineThatNeverAnswersLeavesItsNodeDark(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	must(t, err)
	defer silent.Close()
	host := twoNodes(t, `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"ready"}}]`)
	s, err := stack.NewSwarm(&stack.Options{Host: host, Engines: map[string]string{"far": "tcp://" + silent.Addr().String()}})
	must(t, err)
	defer s.Close()
	s.AnswerWithin(200 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	plan, err := s.PlanWipe(ctx, "big", stack.WipeOptions{})
	must(t, err)
	if len(plan.Obstacles) != 1 || len(plan.Lasting) != 1 {
		t.Errorf("in the way: %q, when all is stopped %q; want the node", plan.Obstacles, plan.Lasting)
	}
}

func TestAnEngineThatStillJoinsTheSwarmLeavesItsNodeDark(t *testing.T) {
	t.Parallel()
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		_, _ = io.WriteString(w, `{"Name":"far","Swarm":{"NodeID":"","LocalNodeState":"pending"}}`)
	}))
	defer far.Close()
	host := twoNodes(t, `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"ready"}}]`)
	s, err := stack.NewSwarm(&stack.Options{Host: host, Engines: map[string]string{"far": "tcp://" + far.Listener.Addr().String()}})
	must(t, err)
	defer s.Close()
	plan, err := s.PlanWipe(t.Context(), "big", stack.WipeOptions{})
	must(t, err)
	if len(plan.Obstacles) != 1 || !strings.Contains(plan.Obstacles[0], "still joins it (pending)") {
		t.Errorf("in the way: %q, want the node", plan.Obstacles)
	}
}

// The same engines may be named on each manager.
func TestTheEngineOfTheManagerItselfMayBeNamed(t *testing.T) {
	for _, key := range []string{"one", "self"} {
		host := twoNodes(t, `[{"ID":"self","Description":{"Hostname":"one"}}]`)
		s, err := stack.NewSwarm(&stack.Options{Host: host, Engines: map[string]string{key: host}})
		must(t, err)
		defer s.Close()
		if _, err := s.Look(t.Context(), "big"); err != nil {
			t.Errorf("engine named by %q: %v", key, err)
		}
	}
}

// A task of a service that was removed, on a node whose engine is out of reach. The node goes down while its end is waited for.
func TestANodeThatGoesDownIsWaitedForNoMore(t *testing.T) {
	t.Parallel()
	engine := fakeEngine(t, 0, 0, new(atomic.Int64))
	var looks atomic.Int64
	host := said(t, engine, map[string]func() string{
		"/nodes": func() string {
			state := "ready"
			if looks.Load() > 1 {
				state = "down"
			}
			return fmt.Sprintf(`[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":%q}}]`, state)
		},
		"/tasks": func() string {
			looks.Add(1)
			return `[{"ID":"t","ServiceID":"gone","NodeID":"f","DesiredState":"remove","Status":{"State":"running"},
				"Spec":{"ContainerSpec":{"Labels":{"com.docker.stack.namespace":"big"}}}}]`
		}})
	s, err := stack.NewSwarm(&stack.Options{Host: host})
	must(t, err)
	defer s.Close()
	must(t, s.Stop(t.Context(), "big", stack.StopOptions{Limit: 5 * time.Second}))
	if looks.Load() < 2 {
		t.Error("it was not waited for while its node was there")
	}
}

// A node that was made anew joins under its old host name, and the one that it was stays listed, down, until it is removed.
func TestANodeThatWasMadeAnewIsReachedByItsHostName(t *testing.T) {
	t.Parallel()
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		switch r.URL.Path {
		case "/v1.41/info":
			_, _ = io.WriteString(w, `{"Name":"far","Swarm":{"NodeID":"new"}}`)
		case "/v1.41/volumes":
			_, _ = io.WriteString(w, `{"Volumes":[{"Name":"big_far","Driver":"local"}]}`)
		case "/v1.41/containers/json":
			_, _ = io.WriteString(w, `[]`)
		}
	}))
	defer far.Close()
	const was = `{"ID":"old","Description":{"Hostname":"far"},"Status":{"State":"down"}}`
	const is = `{"ID":"new","Description":{"Hostname":"far"},"Status":{"State":"ready"}}`
	for _, nodes := range []string{was + "," + is, is + "," + was} {
		s, err := stack.NewSwarm(&stack.Options{Host: twoNodes(t, `[{"ID":"self"},`+nodes+`]`),
			Engines: map[string]string{"far": "tcp://" + far.Listener.Addr().String()}})
		must(t, err)
		defer s.Close()
		there, err := s.Look(t.Context(), "big")
		must(t, err)
		if !slices.ContainsFunc(there.Volumes, func(v stack.Volume) bool { return v.NodeID == "new" }) {
			t.Errorf("volumes %v, want one of the new node", there.Volumes)
		}
	}
}

// Two machines may have one host name; the identifier tells them apart.
func TestAnEngineIsFoundByItsIdentifierBesideOneOfTheSameHostName(t *testing.T) {
	t.Parallel()
	far := func(id string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Api-Version", "1.41")
			switch r.URL.Path {
			case "/v1.41/info":
				_, _ = io.WriteString(w, `{"Name":"far","Swarm":{"NodeID":"`+id+`"}}`)
			case "/v1.41/volumes":
				_, _ = io.WriteString(w, `{"Volumes":[{"Name":"big_far","Driver":"local"}]}`)
			case "/v1.41/containers/json":
				_, _ = io.WriteString(w, `[]`)
			}
		}))
		t.Cleanup(server.Close)
		return "tcp://" + server.Listener.Addr().String()
	}
	engines := map[string]string{"far": far("a"), "b": far("b")}
	const a, b = `{"ID":"a","Description":{"Hostname":"far"},"Status":{"State":"ready"}}`, `{"ID":"b","Description":{"Hostname":"far"},"Status":{"State":"ready"}}`
	for _, nodes := range []string{a + "," + b, b + "," + a} {
		s, err := stack.NewSwarm(&stack.Options{Host: twoNodes(t, `[{"ID":"self"},`+nodes+`]`), Engines: engines})
		must(t, err)
		defer s.Close()
		there, err := s.Look(t.Context(), "big")
		must(t, err)
		for _, id := range []string{"a", "b"} {
			if !slices.ContainsFunc(there.Volumes, func(v stack.Volume) bool { return v.NodeID == id }) {
				t.Errorf("volumes %v, want one of node %s", there.Volumes, id)
			}
		}
	}
}

// Its task is not known to have ended before the node is back, or is removed from the swarm.
func TestAStopThatWaitsForANodeThatIsDownSaysSo(t *testing.T) {
	t.Parallel()
	host := twoNodes(t, `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"down"}}]`)
	at, err := url.Parse(host)
	must(t, err)
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: at.Host})
	s, err := stack.NewSwarm(&stack.Options{Host: said(t, behind, map[string]func() string{
		"/tasks":               always(`[{"ID":"t","Slot":1,"ServiceID":"service000","NodeID":"f","DesiredState":"shutdown","Status":{"State":"running"}}]`),
		"/services/service000": always(`{"ID":"service000","Spec":{"Name":"big_s000","Mode":{"Replicated":{"Replicas":0}}}}`)})})
	must(t, err)
	defer s.Close()
	err = s.Stop(t.Context(), "big", stack.StopOptions{Limit: 3 * time.Second})
	mustBe(t, err, context.DeadlineExceeded, "task s000.1 on node far (running), which is down")
}
