package stack_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"

	"github.com/nuvla/nuvlaops/stack"
)

// largeEngine answers as an engine with one stack of many services, each with one volume, at nothing, and with tasks that
// have ended. It counts requests.
func largeEngine(t testing.TB, services, tasksEach int) (host string, requests *atomic.Int64) {
	requests = new(atomic.Int64)
	server := httptest.NewServer(fakeEngine(t, services, tasksEach, requests))
	t.Cleanup(server.Close)
	return "tcp://" + server.Listener.Addr().String(), requests
}

func fakeEngine(t testing.TB, services, tasksEach int, requests *atomic.Int64) http.Handler {
	zero := uint64(0)
	var list []swarm.Service
	var tasks []swarm.Task
	var volumes []volume.Volume
	labels := map[string]string{"com.docker.stack.namespace": "big"}
	for i := range services {
		name, id := fmt.Sprintf("big_s%03d", i), fmt.Sprintf("service%03d", i)
		v := swarm.Service{ID: id}
		v.Spec.Name, v.Spec.Labels = name, labels
		v.Spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: &zero}
		v.Spec.TaskTemplate.ContainerSpec = &swarm.ContainerSpec{Image: "image:1", Mounts: []mount.Mount{{Type: mount.TypeVolume,
			Source: name, Target: "/data", VolumeOptions: &mount.VolumeOptions{Labels: labels}}}}
		list = append(list, v)
		volumes = append(volumes, volume.Volume{Name: name, Driver: "local", Scope: "local", Labels: labels, CreatedAt: "2026-01-02T15:04:05Z"})
		for j := range tasksEach {
			tasks = append(tasks, swarm.Task{ID: fmt.Sprintf("%s-%d", id, j), ServiceID: id, NodeID: "self", DesiredState: swarm.TaskStateShutdown,
				Status: swarm.TaskStatus{State: swarm.TaskStateShutdown}})
		}
	}
	info := system.Info{Name: "one"}
	info.Swarm.NodeID, info.Swarm.ControlAvailable = "self", true
	answers := map[string]any{"/info": info, "/services": list, "/tasks": tasks, "/containers/json": []container.Summary{},
		"/nodes": []swarm.Node{{ID: "self"}}, "/networks": []network.Summary{}, "/volumes": map[string]any{"Volumes": volumes}}
	for _, v := range volumes {
		answers["/volumes/"+v.Name] = v
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("Api-Version", "1.41")
		path := strings.TrimPrefix(r.URL.Path, "/v1.41")
		if path == "/_ping" {
			return
		}
		answer, known := answers[path]
		if !known || r.Method != http.MethodGet {
			t.Errorf("unexpected request %s %s", r.Method, r.URL)
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
}

// said is where an engine is that answers at these paths as told; nothing happens, no task has written a log, and all else is
// asked of the one behind it.
func said(t testing.TB, engine http.Handler, answers map[string]func() string) (host string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/v1.41")
		answer, told := answers[path]
		switch {
		case told:
			_, _ = io.WriteString(w, answer())
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

// always is the same answer each time.
func always(answer string) func() string { return func() string { return answer } }

// stoppable is a fakeEngine with one service of so many replicas, which can be scaled down. It counts how often that is asked.
func stoppable(t testing.TB, replicas uint64, updated *atomic.Int64) http.Handler {
	engine := fakeEngine(t, 1, 1, new(atomic.Int64))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch strings.TrimPrefix(r.URL.Path, "/v1.41") {
		case "/events":
			<-r.Context().Done()
		case "/services/service000":
			v := swarm.Service{ID: "service000"}
			v.Spec.Name, v.Spec.Mode.Replicated = "big_s000", &swarm.ReplicatedService{Replicas: &replicas}
			_ = json.NewEncoder(w).Encode(v)
		case "/services/service000/update":
			updated.Add(1)
			_, _ = io.WriteString(w, `{}`)
		default:
			engine.ServeHTTP(w, r)
		}
	})
}

func TestPlanOfALargeStackAsksLittleMoreThanOneRequestAVolume(t *testing.T) {
	host, requests := largeEngine(t, 100, 10)
	s, err := stack.NewSwarm(&stack.Options{Host: host})
	must(t, err)
	defer s.Close()
	plan, err := s.PlanWipe(t.Context(), "big", stack.WipeOptions{})
	must(t, err)
	if len(plan.Volumes) != 100 || len(plan.Obstacles) > 0 {
		t.Errorf("planned %d volumes, in the way: %v", len(plan.Volumes), plan.Obstacles)
	}
	if n := requests.Load(); n > 120 {
		t.Errorf("%d requests for 100 services with 1,000 tasks", n)
	}
}

// A plan for 100 services with 1,000 tasks shall take less than a second.
func BenchmarkPlanOfALargeStack(b *testing.B) {
	host, _ := largeEngine(b, 100, 10)
	s, err := stack.NewSwarm(&stack.Options{Host: host})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		if _, err := s.PlanWipe(b.Context(), "big", stack.WipeOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
