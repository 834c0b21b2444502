package main

import (
	"testing"

	"github.com/nuvla/nuvlaops/stack"
)

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
