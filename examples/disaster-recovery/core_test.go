package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/stack"
)

// Services that nobody here has heard of may need all others.
func TestServicesAreStartedInOrderAndUnknownOnesLast(t *testing.T) {
	wanted := [][]string{{"api", "ui"}, {"job-executor", "job-distributor"}}
	for there, want := range map[string][][]string{
		"job-distributor job-executor ui api": wanted,
		"api cleanup job-executor proxy":      {{"api"}, {"job-executor"}, {"cleanup", "proxy"}},
		"cleanup":                             {{"cleanup"}},
		"":                                    nil,
	} {
		s := &stack.Stack{Name: "nuvla"}
		for name := range strings.FieldsSeq(there) {
			s.Services = append(s.Services, stack.Service{Name: name})
		}
		if diff := cmp.Diff(want, groups(s, wanted...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", there, diff)
		}
	}
}

func TestAnAPIAnswersWith200AndNothingElse(t *testing.T) {
	for status, want := range map[int]bool{http.StatusOK: true, http.StatusNoContent: false, http.StatusBadGateway: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		defer server.Close()
		if err := answers(server.URL)(t.Context()); (err == nil) != want {
			t.Errorf("with %d: %v", status, err)
		}
	}
}

// Of one stack, each part is looked at by itself; a database stack of its own is seen with all that is in it.
func TestOfOneStackTheDatabasesAndTheCoreAreToldApart(t *testing.T) {
	for _, tt := range []struct {
		core, stack string
		look        func(*recovery) (*stack.Stack, error)
		want        []string
	}{
		{"db", "db", func(r *recovery) (*stack.Stack, error) { return r.lookAtDB(t.Context(), "db") }, []string{"es", "zk"}},
		{"db", "db", func(r *recovery) (*stack.Stack, error) { return r.lookAtCore(t.Context()) }, []string{"api", "exporter"}},
		{"nuvla", "db", func(r *recovery) (*stack.Stack, error) { return r.lookAtDB(t.Context(), "db") }, []string{"api", "es", "exporter", "zk"}},
		{"nuvla", "nuvla", func(r *recovery) (*stack.Stack, error) { return r.lookAtCore(t.Context()) }, []string{"api", "es", "exporter", "zk"}},
	} {
		r := takenUp(t)
		r.cfg.core = tt.core
		r.stacks = swarmOf(t, map[string]string{"/services": "[" + servicesOf(tt.stack, "es", "zk", "api", "exporter") + "]", "/tasks": "[]", "/networks": "[]"})
		got, err := tt.look(r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, names(got.Services)); diff != "" {
			t.Errorf("-core %s, stack %s (-want +got):\n%s", tt.core, tt.stack, diff)
		}
	}
}
