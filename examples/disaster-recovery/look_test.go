package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

// hole is a way into a container at an address; err is why there is none.
type hole struct {
	addr string
	err  error
}

func (h hole) Addr() string                { return h.addr }
func (h hole) Reach(context.Context) error { return h.err }

// The throw-away one publishes no port: where -es is a port that the service publishes, nothing leads there but its container.
func TestTheThrowAwayOneIsReachedAlsoWhereItsNameIsNot(t *testing.T) {
	const dead = "http://127.0.0.1:1"
	serving := smallCluster(t)
	inside := hole{addr: strings.TrimPrefix(serving, "http://")}
	far := hole{"127.0.0.1:1", &nuvlaops.Error{Reason: "its node cannot be reached", Err: nuvlaops.ErrUnavailable}}
	for name, tt := range map[string]struct {
		es     string
		inside hole
		want   string // "" for none
	}{
		"by its name":                  {serving, far, "name"},
		"through its container":        {dead, inside, "container"},
		"neither":                      {dead, far, ""},
		"by its name, whichever works": {serving, hole{"127.0.0.1:1", nil}, "name"},
	} {
		r := takenUp(t)
		r.cfg.es, r.cfg.repository = tt.es, "r"
		if err := r.talkTo(tt.es); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if tt.want == "" {
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		}
		client, err := r.reach(ctx, tt.inside, 0)
		cancel()
		if tt.want == "" {
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "its node cannot be reached") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || client == nil || (client == r.client) != (tt.want == "name") {
			t.Errorf("%s: %v, want it reached by its %s", name, err, tt.want)
		}
	}
}

func TestTheThrowAwayOneBootsWhenNoOtherElasticsearchRuns(t *testing.T) {
	with := func(replicas int, states ...string) *stack.Service {
		s := &stack.Service{Name: "es", Replicas: replicas}
		for _, state := range states {
			s.Tasks = append(s.Tasks, stack.Task{State: state})
		}
		return s
	}
	for _, tt := range []struct {
		name string
		es   *stack.Service
		want bool
	}{
		{"no service", nil, true},
		{"wanted, and gone for now", with(1, "failed"), false},
		{"still running", with(0, "failed", "running"), false},
		{"being started", with(0, "starting"), false},
		{"killed, and waiting to be started again", with(0, "failed", "ready"), true},
		{"stopped", with(0, "shutdown", "complete", "failed"), true},
	} {
		if got := idleES(tt.es); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// What is deployed to look for the snapshot is stopped, and nobody starts what is no database.
func TestALookDeploysNothingOfTheStack(t *testing.T) {
	dir := t.TempDir()
	program, calls := filepath.Join(dir, "docker"), filepath.Join(dir, "calls")
	if err := os.WriteFile(program, []byte(`#!/bin/sh
case "$*" in
*config*) echo 'services: {es: {image: es}, zk: {image: zk}, exporter: {image: exporter}}' ;;
*version*) ;;
*) for last in "$@"; do :; done; echo "$last" >> `+calls+` ;;
esac
`), 0o700); err != nil {
		t.Fatal(err)
	}
	r := takenUp(t)
	swarmOf(t, map[string]string{"/tasks": "[]", "/networks": "[]", "/secrets": "[]", "/configs": "[]"})
	swarm, err := stack.NewSwarm(&stack.Options{Docker: program})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = swarm.Close() })
	r.stacks, r.found.db, r.cfg.dbCompose = swarm, &stack.Stack{Name: "db"}, file(t, "")
	_, _ = r.look(t.Context()) // no service is there, whatever was deployed
	said, err := os.ReadFile(calls)
	if err != nil || string(said) != "nuvlaops-copy-db\n" {
		t.Errorf("deployed were stacks %q, %v; want that of the copy alone", said, err)
	}
}
