package stack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/stack"
)

// jobOnWorker is the job that a program of ours does on the worker.
func (p *pair) jobOnWorker(t *testing.T) *stack.NodeJob {
	t.Helper()
	image, err := testenv.ProgramImage(t.Context(), "usr/local/bin/stack", "../examples/stack")
	must(t, err)
	p.Worker.Load(image)
	return &stack.NodeJob{Image: image, Sockets: map[string]string{p.Worker.Name: strings.TrimPrefix(p.Worker.Host(), "unix://")}}
}

// reachedByJob goes on from a stack that runs, one service of it with a volume on the worker.
func (p *pair) reachedByJob(t *testing.T, b, far *bench) {
	volume := b.stack + "_data"

	// An earlier task leaves a container that has ended, on the worker, which holds the volume.
	_, err := p.Worker.API.ContainerKill(t.Context(), b.look().Service("db").Tasks[0].Container, client.ContainerKillOptions{Signal: "KILL"})
	must(t, err)
	far.eventually("a second task of db", func() bool { return far.containers(b.stack+"_db") > 1 })
	must(t, far.Start(t.Context(), b.stack, stack.StartOptions{}))
	must(t, far.Stop(t.Context(), b.stack, stack.StopOptions{}))
	if n := far.containers(b.stack + "_db"); n != 0 {
		t.Errorf("%d containers of db are left on the second node after Stop", n)
	}

	holder, err := p.Worker.API.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "holder", Config: &container.Config{Image: b.image},
		HostConfig: &container.HostConfig{NetworkMode: "none", Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: volume, Target: "/data"}}}})
	must(t, err)
	foreign := b.stack + "2_data"
	far.volume(foreign, b.stack+"2", nil)
	plan, err := far.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Volumes: []string{volume, foreign}})
	must(t, err)
	mustBe(t, far.Wipe(t.Context(), plan, stack.Unguarded), nuvlaops.ErrRefused, "in use by container holder",
		foreign+" on node "+p.Worker.Name+" is not the stack's own")
	_, err = p.Worker.API.ContainerRemove(t.Context(), holder.ID, client.ContainerRemoveOptions{})
	must(t, err)

	plan, err = far.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
	must(t, err)
	if len(plan.Volumes) != 1 || plan.Volumes[0].Node != p.Worker.Name || plan.Volumes[0].Bytes < 0 || len(plan.Obstacles) > 0 {
		t.Fatalf("want a plan for the volume of node %s, with its size:\n%s", p.Worker.Name, plan)
	}
	if !plan.Volumes[0].ByJob {
		t.Error("the plan does not say that a job alone reaches the volume")
	}
	mustBe(t, far.KeepVolumes(t.Context(), plan, stack.KeepOptions{Dir: far.dir}), nuvlaops.ErrRefused, "name the engine of that node")
	for range 2 {
		must(t, far.Wipe(t.Context(), plan, stack.Unguarded))
	}
	if _, err := p.Worker.API.VolumeInspect(t.Context(), foreign, client.VolumeInspectOptions{}); err != nil {
		t.Errorf("the volume of stack %s2: %v", b.stack, err)
	}
	must(t, far.Start(t.Context(), b.stack, stack.StartOptions{}))
	if n := far.marks(volume); n != 1 {
		t.Errorf("%d starts on the new volume, want 1", n)
	}
	jobs, err := p.Manager.API.ServiceList(t.Context(), client.ServiceListOptions{Filters: make(client.Filters).Add("label", "org.nuvla.ops.job")})
	must(t, err)
	if len(jobs.Items) > 0 {
		t.Errorf("%d services of jobs are left", len(jobs.Items))
	}
}

// jobThatFails leaves the node in question.
func (p *pair) jobThatFails(t *testing.T, b, bad *bench) {
	plan, err := bad.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
	must(t, err)
	mustBe(t, bad.Wipe(t.Context(), plan, stack.Unguarded), nuvlaops.ErrRefused, p.Worker.Name+" (ready) may hold volumes",
		"cannot open the database: no such luck", "check the job's image")
}

func TestAnswersOfJobsAreWholeOrNotThere(t *testing.T) {
	text := []byte(strings.Repeat("a long answer ", 3000))
	var out bytes.Buffer
	must(t, stack.WriteLines(&out, text))
	lines := strings.SplitAfter(out.String(), "\n")
	if got, whole := stack.JoinLines("noise\n" + out.String() + "1/1 x\n"); !whole || !bytes.Equal(got, text) {
		t.Errorf("read %d bytes (whole: %v), want %d", len(got), whole, len(text))
	}
	for i := range len(lines) - 1 {
		if _, whole := stack.JoinLines(strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "")); whole {
			t.Errorf("whole without line %d", i+1)
		}
	}
	if _, whole := stack.JoinLines(""); whole {
		t.Error("whole before there is a line")
	}
	mustBe(t, stack.AnswerJob(t.Context(), "what?", &out), nuvlaops.ErrInvalid, "no request")
	_, err := stack.NewSwarm(&stack.Options{Job: &stack.NodeJob{}})
	mustBe(t, err, nuvlaops.ErrInvalid, "no image")
}

// The clock of the swarm is not ours: by it, jobs of others on the same stack are as new as our own.
func TestJobsOfOthersAreNotTakenForOldByOurClock(t *testing.T) {
	t.Parallel()
	engine := fakeEngine(t, 1, 1, new(atomic.Int64))
	now := time.Now().Add(-time.Hour)
	job := func(id string, age time.Duration) string {
		return fmt.Sprintf(`{"ID":%q,"CreatedAt":%q,"Spec":{"Name":%q}}`, id, now.Add(-age).Format(time.RFC3339Nano), id)
	}
	var removed sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := strings.TrimPrefix(r.URL.Path, "/v1.41"); {
		case path == "/nodes":
			_, _ = io.WriteString(w, `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"ready"},"Spec":{"Availability":"active"}}]`)
		case path == "/services/create":
			_, _ = io.WriteString(w, `{"ID":"ours"}`)
		case path == "/services" && strings.Contains(r.URL.RawQuery, "org.nuvla.ops.job"):
			_, _ = io.WriteString(w, "["+job("ours", 0)+","+job("theirs", time.Second)+","+job("old", time.Hour)+"]")
		case r.Method == http.MethodDelete:
			removed.Store(strings.TrimPrefix(path, "/services/"), true)
		case path == "/tasks" && strings.Contains(r.URL.RawQuery, "ours"):
			_, _ = io.WriteString(w, `[{"ID":"t","ServiceID":"ours","Status":{"State":"failed"}}]`)
		case strings.HasSuffix(path, "/logs"):
			w.WriteHeader(http.StatusNotFound)
		default:
			engine.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	s, err := stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String(), Job: &stack.NodeJob{Image: "job"}})
	must(t, err)
	defer s.Close()
	_, err = s.Look(t.Context(), "big")
	must(t, err)
	for name, want := range map[string]bool{"theirs": false, "old": true} {
		if _, is := removed.Load(name); is != want {
			t.Errorf("job %q removed: %v, want %v", name, is, want)
		}
	}
}

// Two machines may have one host name; the identifier tells them apart.
func TestASocketIsFoundByTheIdentifierOfItsNode(t *testing.T) {
	t.Parallel()
	engine := fakeEngine(t, 1, 1, new(atomic.Int64))
	var mounted sync.Map
	const node = `{"ID":%q,"Description":{"Hostname":"far"},"Status":{"State":"ready"},"Spec":{"Availability":"active"}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := strings.TrimPrefix(r.URL.Path, "/v1.41"); {
		case path == "/nodes":
			_, _ = fmt.Fprintf(w, `[{"ID":"self"},`+node+`,`+node+`]`, "a", "b")
		case path == "/services/create":
			var spec swarm.ServiceSpec
			if err := json.NewDecoder(r.Body).Decode(&spec); err != nil {
				t.Error(err)
			}
			mounted.Store(spec.TaskTemplate.Placement.Constraints[0], spec.TaskTemplate.ContainerSpec.Mounts[0].Source)
			w.WriteHeader(http.StatusBadRequest)
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNotFound)
		default:
			engine.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	s, err := stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String(),
		Job: &stack.NodeJob{Image: "job", Sockets: map[string]string{"far": "/of/a", "b": "/of/b"}}})
	must(t, err)
	defer s.Close()
	_, err = s.Look(t.Context(), "big")
	must(t, err)
	for id, want := range map[string]string{"a": "/of/a", "b": "/of/b"} {
		if got, _ := mounted.Load("node.id==" + id); got != want {
			t.Errorf("socket on node %s: %v, want %s", id, got, want)
		}
	}
}
