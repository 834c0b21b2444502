package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/client"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

// swarmOf is the swarm of an engine that answers so.
func swarmOf(t *testing.T, engine http.HandlerFunc) *stack.Swarm {
	t.Helper()
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	s, err := stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String()})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestAPlanWhoseNodeWentDarkRemovesNothing(t *testing.T) {
	engine := fakeEngine(t, 1, 1, new(atomic.Int64))
	s := swarmOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1.41/nodes" {
			_, _ = io.WriteString(w, `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"down"}}]`)
			return
		}
		engine.ServeHTTP(w, r)
	})
	plan, err := s.PlanWipe(t.Context(), "big", stack.WipeOptions{})
	must(t, err)
	plan.Volumes = append(plan.Volumes, stack.Volume{Name: "big_s000", Node: "far", NodeID: "f"}) // as when it was up
	err = s.Wipe(t.Context(), plan, func(context.Context) error { t.Error("the guard was asked"); return nil })
	mustBe(t, err, nuvlaops.ErrRefused, "node far of the plan cannot be looked at any more")
}

// A service that comes back makes its volume again, in the moment in which it is removed.
func TestAVolumeThatIsThereAfterItsRemovalIsNotGone(t *testing.T) {
	engine := fakeEngine(t, 2, 1, new(atomic.Int64))
	for again, want := range map[bool]error{false: nil, true: nuvlaops.ErrVerification} {
		removed := map[string]bool{}
		s := swarmOf(t, func(w http.ResponseWriter, r *http.Request) {
			switch name := strings.TrimPrefix(r.URL.Path, "/v1.41/volumes/"); {
			case r.Method == http.MethodDelete && name == "big_s000":
				removed[name] = true
				w.WriteHeader(http.StatusNoContent)
			case removed[name] && !again:
				w.WriteHeader(http.StatusNotFound)
			default:
				engine.ServeHTTP(w, r)
			}
		})
		plan, err := s.PlanWipe(t.Context(), "big", stack.WipeOptions{Services: []string{"s000"}})
		must(t, err)
		if err := s.Wipe(t.Context(), plan, stack.Unguarded); !errors.Is(err, want) || want == nil && err != nil || !removed["big_s000"] {
			t.Errorf("there again: %t: %v, want %v", again, err, want)
		}
		if _, err := s.PlanWipe(t.Context(), "big", stack.WipeOptions{Services: []string{"s000", "gone"}}); !errors.Is(err, nuvlaops.ErrNotFound) {
			t.Errorf("of a service that is not there, and of no file: %v", err)
		}
	}
}

// Where a service ran that is gone, nobody knows: its volume may be on the node that cannot be looked at, too.
func TestAVolumeOfAServiceThatIsGoneMayBeOnEveryNode(t *testing.T) {
	state := "ready"
	engine := fakeEngine(t, 1, 1, new(atomic.Int64))
	s := swarmOf(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1.41/nodes":
			_, _ = io.WriteString(w, `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"`+state+`"}}]`)
		case "/v1.41/services":
			_, _ = io.WriteString(w, `[{"ID":"service000","Spec":{"Name":"big_s000","Labels":{"com.docker.stack.namespace":"big"},"Mode":{"Replicated":{"Replicas":0}},
				"TaskTemplate":{"Placement":{"Constraints":["node.id==self"]},"ContainerSpec":{"Mounts":[{"Type":"volume","Source":"big_s000","Target":"/data",
				"VolumeOptions":{"Labels":{"com.docker.stack.namespace":"big"}}}]}}}}]`)
		case "/v1.41/volumes/big_gone":
			w.WriteHeader(http.StatusNotFound)
		default:
			engine.ServeHTTP(w, r)
		}
	})
	for volume, want := range map[string]int{"big_s000": 0, "big_gone": 1} {
		plan, err := s.PlanWipe(t.Context(), "big", stack.WipeOptions{Volumes: []string{volume}})
		must(t, err)
		if len(plan.Obstacles) != want {
			t.Errorf("%s: in the way %q, want %d", volume, plan.Obstacles, want)
		}
	}
	state = "down" // and its machine may have been made anew, under the same name
	plan, err := s.PlanWipe(t.Context(), "big", stack.WipeOptions{Volumes: []string{"big_gone"}})
	must(t, err)
	if len(plan.Obstacles) != 1 || !strings.Contains(plan.Obstacles[0], "docker node rm --force f") {
		t.Errorf("in the way %q, want how to leave a machine behind that is gone", plan.Obstacles)
	}
}

// What is left alone may have run anywhere.
func TestANodeThatHoldsOnlyVolumesThatAreNotMeantIsNotInTheWay(t *testing.T) {
	engine := fakeEngine(t, 3, 1, new(atomic.Int64))
	s := swarmOf(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1.41/nodes":
			_, _ = io.WriteString(w, `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"ready"}}]`)
		case "/v1.41/services":
			service := func(name, place, volume string) string {
				return `{"ID":"` + name + `","Spec":{"Name":"big_` + name + `","Labels":{"com.docker.stack.namespace":"big"},"Mode":{"Replicated":{"Replicas":0}},
					"TaskTemplate":{"Placement":{"Constraints":["` + place + `"]},"ContainerSpec":{"Mounts":[{"Type":"volume","Source":"` + volume + `","Target":"/data","ReadOnly":true,
					"VolumeOptions":{"Labels":{"com.docker.stack.namespace":"big"}}}]}}}}`
			}
			_, _ = io.WriteString(w, "["+service("es", "node.id==self", "big_s000")+","+service("exporter", "node.id!=none", "big_s001")+","+service("reader", "node.id!=none", "big_s002")+
				","+service("written", "node.id==self", "big_s002")+"]")
		default:
			engine.ServeHTTP(w, r)
		}
	})
	for _, tt := range []struct {
		opts stack.WipeOptions
		dark int
	}{
		{stack.WipeOptions{Services: []string{"es"}}, 0},
		{stack.WipeOptions{Volumes: []string{"big_s000"}}, 0},
		{stack.WipeOptions{Services: []string{"exporter"}}, 1},
		{stack.WipeOptions{Services: []string{"written"}}, 1}, // another one has its volume there
		{stack.WipeOptions{}, 1},
	} {
		plan, err := s.PlanWipe(t.Context(), "big", tt.opts)
		must(t, err)
		if len(plan.Dark) != tt.dark || len(plan.Obstacles) != tt.dark {
			t.Errorf("%+v: in the way %q, want %d", tt.opts, plan.Obstacles, tt.dark)
		}
	}
}

// The compose file of a service that is gone says what it has mounted, and where it may have run.
func TestAServiceThatIsGoneIsSeenInItsComposeFile(t *testing.T) {
	engine := fakeEngine(t, 2, 1, new(atomic.Int64)) // of which there are the volumes
	s := swarmOf(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1.41/nodes":
			_, _ = io.WriteString(w, `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"ready"}}]`)
		case "/v1.41/services":
			_, _ = io.WriteString(w, `[]`)
		default:
			engine.ServeHTTP(w, r)
		}
	})
	for name, tt := range map[string]struct {
		services, volumes, kept, unseen, dark []string
		place                                 string
	}{
		"pinned to this node":   {[]string{"one"}, []string{"big_s000"}, []string{"big_s002"}, []string{"far"}, nil, "node.id==self"},
		"pinned to another one": {[]string{"one"}, []string{"big_s000"}, []string{"big_s002"}, nil, []string{"far"}, "node.hostname==far"},
		"all of them":           {nil, []string{"big_s000", "big_s001"}, []string{"big_s002"}, nil, []string{"far"}, "node.id!=self"},
	} {
		file := filepath.Join(t.TempDir(), "big.yml")
		must(t, os.WriteFile(file, []byte(`version: "3.7"
services:
  one:
    image: one
    volumes: ["s000:/data", "foreign:/foreign"]
    deploy: {placement: {constraints: ["`+tt.place+`"]}}
volumes:
  s000: {}
  foreign: {external: true, name: big_s002}
networks:
  default: {}
`), 0o600))
		plan, err := s.PlanWipe(t.Context(), "big", stack.WipeOptions{Services: tt.services, Files: []string{file}})
		must(t, err)
		var kept []string
		for _, k := range plan.Kept {
			kept = append(kept, k.Source)
		}
		want := [][]string{tt.volumes, tt.kept, tt.unseen, tt.dark}
		if diff := cmp.Diff(want, [][]string{names(plan.Volumes), kept, plan.Unseen, plan.Dark}); diff != "" || len(plan.Obstacles) != len(tt.dark) {
			t.Errorf("%s: removed, kept, not looked at, dark (-want +got):\n%s\n%s", name, diff, plan)
		}
	}
}

// What Deploy has read with variables must be read with them again, or other volumes are looked for.
func TestVariablesOfAComposeFileAreThoseOfTheCall(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	text := strings.NewReplacer("data: {labels", "data: {name: '%STACK%_${WHOSE}', labels", "command: [run]", "command: [run]\n    environment: ['OF=${WHOSE}']").Replace(dbStack)
	files, env := []string{b.file(text)}, map[string]string{"WHOSE": "ours"}
	must(t, b.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: files, Env: env}))
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	_, err := b.api.ServiceRemove(t.Context(), b.stack+"_db", client.ServiceRemoveOptions{})
	must(t, err)
	c, err := b.RunCopy(t.Context(), b.stack, "db", stack.CopyOptions{Aside: true, Files: files, Env: env})
	must(t, err)
	v, err := b.api.ServiceInspect(t.Context(), b.stack+"_db-copy", client.ServiceInspectOptions{})
	must(t, err)
	if diff := cmp.Diff([]string{"OF=ours"}, v.Service.Spec.TaskTemplate.ContainerSpec.Env); diff != "" {
		t.Errorf("environment of the copy (-want +got):\n%s", diff)
	}
	must(t, c.Remove(t.Context()))
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Services: []string{"db"}, Files: files, Env: env})
	must(t, err)
	if diff := cmp.Diff([]string{b.stack + "_ours"}, names(plan.Volumes)); diff != "" {
		t.Errorf("volumes to remove (-want +got):\n%s", diff)
	}
	must(t, b.KeepVolumes(t.Context(), plan, stack.KeepOptions{Dir: b.dir}))
	plain, err := json.Marshal(plan)
	must(t, err)
	var written stack.WipePlan
	must(t, json.Unmarshal(plain, &written))
	mustBe(t, b.Wipe(t.Context(), &written, stack.Unguarded), nuvlaops.ErrConflict, b.stack+"_ours", "is not meant any more")
	written.Options.Env = env
	must(t, b.Wipe(t.Context(), &written, stack.Unguarded))
	if left := b.look().Volumes; len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
