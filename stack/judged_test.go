package stack

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/swarm"

	"github.com/nuvla/nuvlaops"
)

// replicated is a service at so many replicas, that remembers what the label says.
func replicated(name string, n uint64, label string) swarm.Service {
	v := swarm.Service{ID: name}
	v.Spec.Name, v.Spec.Labels = "db_"+name, map[string]string{}
	v.Spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: &n}
	if label != "" {
		v.Spec.Labels[labelReplicas] = label
	}
	return v
}

func globally(name string, constraints ...string) swarm.Service {
	v := swarm.Service{ID: name}
	v.Spec.Name, v.Spec.Labels, v.Spec.Mode.Global = "db_"+name, map[string]string{}, &swarm.GlobalService{}
	v.Spec.TaskTemplate.Placement = &swarm.Placement{Constraints: constraints}
	return v
}

func task(id string, state, desired swarm.TaskState) swarm.Task {
	t := swarm.Task{ID: id, NodeID: "n1", DesiredState: desired}
	t.Status.State = state
	return t
}

func worldOf(services ...swarm.Service) *world {
	w := &world{stack: "db", fleet: &fleet{}, services: map[string]swarm.Service{}, tasks: map[string][]swarm.Task{}, containers: map[string][]held{}}
	for _, v := range services {
		w.services[v.ID] = v
	}
	return w
}

// Somebody else works on the stack: to go on would undo what he does.
func TestAServiceThatSomebodyElseChangesEndsTheWait(t *testing.T) {
	for name, tt := range map[string]struct {
		now  []swarm.Service
		stop error
	}{
		"at nothing":             {[]swarm.Service{replicated("es", 0, "1")}, nil},
		"gone":                   {nil, nil},
		"scaled up again":        {[]swarm.Service{replicated("es", 1, "1")}, nuvlaops.ErrConflict},
		"global, and at nothing": {[]swarm.Service{globally("es", nowhere)}, nil},
		"global, and up again":   {[]swarm.Service{globally("es", "node.role==worker")}, nuvlaops.ErrConflict},
		"another one runs":       {[]swarm.Service{replicated("es", 0, "1"), replicated("zk", 1, "")}, nil},
	} {
		if err := worldOf(tt.now...).allAtNothing([]string{"es"}); !errors.Is(err, tt.stop) || tt.stop == nil && err != nil {
			t.Errorf("%s, while it is being stopped: %v, want %v", name, err, tt.stop)
		}
	}
	for name, tt := range map[string]struct {
		now  []swarm.Service
		says string // in the error, none: healthy
	}{
		"removed":                    {nil, "removed while it was waited for"},
		"stopped":                    {[]swarm.Service{replicated("es", 0, "1")}, "stopped while it was waited for"},
		"global, and stopped":        {[]swarm.Service{func() swarm.Service { v := globally("es", nowhere); v.Spec.Labels[labelReplicas] = "global"; return v }()}, "stopped while it was waited for"},
		"never meant to run":         {[]swarm.Service{replicated("es", 0, "")}, ""},
		"global, and no node for it": {[]swarm.Service{globally("es", "node.labels.none==such")}, ""},
	} {
		h := newHealth(&Swarm{now: time.Now}, worldOf(replicated("es", 1, "")), []string{"es"}, StartOptions{}.withDefaults(), newReporter("", "db", "", nil, nil, time.Now), nil)
		why, err := h.judge(t.Context(), "es", worldOf(tt.now...))
		healthy := tt.says == "" && err == nil && why == "" && h.state["es"].healthy
		if refused := errors.Is(err, nuvlaops.ErrConflict) && tt.says != "" && strings.Contains(err.Error(), tt.says); !healthy && !refused {
			t.Errorf("%s, while it is waited for: %q, %v, want %q", name, why, err, tt.says)
		}
	}
}

func TestTasksRunWhenEachThatIsWantedDoes(t *testing.T) {
	running, starting, shutdown := swarm.TaskStateRunning, swarm.TaskStateStarting, swarm.TaskStateShutdown
	up, old := task("a", running, running), task("old", running, shutdown)
	inside := func(id string) swarm.Task {
		v := task(id, running, running)
		v.Status.ContainerStatus = &swarm.ContainerStatus{ContainerID: "c-" + id}
		return v
	}
	late := task("b", swarm.TaskStatePending, running)
	late.Status.Err = "no suitable node"
	for name, tt := range map[string]struct {
		service    swarm.Service
		tasks      []swarm.Task
		containers []container.Summary
		want       string // the tasks that run
		why        string
	}{
		"all of two":               {replicated("es", 2, ""), []swarm.Task{task("b", running, running), up}, nil, "[a b]", ""},
		"one of two":               {replicated("es", 2, ""), []swarm.Task{up}, nil, "", "1 of 2 tasks run"},
		"one is to come":           {replicated("es", 2, ""), []swarm.Task{up, late}, nil, "", "1 of 2 tasks run, a task is pending (no suitable node)"},
		"one too many":             {replicated("es", 1, ""), []swarm.Task{up, task("b", running, running)}, nil, "", "2 of 1 tasks run"},
		"the next one starts":      {replicated("es", 1, ""), []swarm.Task{up, task("b", starting, running)}, nil, "", "1 of 1 tasks run, a task is starting"},
		"ready, and not yet meant": {replicated("es", 1, ""), []swarm.Task{task("a", running, swarm.TaskStateReady)}, nil, "", "0 of 1 tasks run, a task is running"},
		"an old one still ends":    {replicated("es", 1, ""), []swarm.Task{up, old}, nil, "[a]", ""},
		"an old one has failed":    {replicated("es", 1, ""), []swarm.Task{up, task("x", swarm.TaskStateFailed, running)}, nil, "[a]", ""},
		"its container runs":       {replicated("es", 1, ""), []swarm.Task{inside("a")}, []container.Summary{{ID: "c-a", State: container.StateRunning}}, "[a]", ""},
		"its container is paused":  {replicated("es", 1, ""), []swarm.Task{inside("a")}, []container.Summary{{ID: "c-a", State: container.StatePaused}}, "", "0 of 1 tasks run, container c-a is paused"},
		"its container is gone":    {replicated("es", 1, ""), []swarm.Task{inside("a")}, []container.Summary{{ID: "c-b", State: container.StateRunning}}, "", "0 of 1 tasks run, a container is gone"},
		"on each node":             {globally("es"), []swarm.Task{up, task("b", running, running)}, nil, "[a b]", ""},
		"not yet on each node":     {globally("es"), []swarm.Task{up, task("b", starting, running)}, nil, "", "1 of 2 tasks run, a task is starting"},
		"on no node":               {globally("es", "node.labels.none==such"), nil, nil, "", "0 of 0 tasks run, no active node meets its constraints"},
	} {
		w := worldOf(tt.service)
		here := &engine{id: "n1"}
		w.fleet.engines, w.tasks["es"] = []*engine{here}, tt.tasks
		for _, c := range tt.containers {
			w.containers["es"] = append(w.containers["es"], held{Summary: c, on: here})
		}
		if got, why := w.allRunning("es"); got != tt.want || why != tt.why {
			t.Errorf("%s: %q, %q, want %q, %q", name, got, why, tt.want, tt.why)
		}
	}
}

// Backwards, what needs others is stopped before them. What a service needed that is gone nobody knows.
func TestServicesAreStoppedBeforeWhatTheyNeed(t *testing.T) {
	needs := func(name, what string) swarm.Service {
		v := replicated(name, 1, "")
		v.Spec.Labels[labelNeeds] = what
		return v
	}
	for name, tt := range map[string]struct {
		there []swarm.Service
		left  []string // of services that are gone
		asked [][]string
		want  [][]string
	}{
		"by what they need":        {[]swarm.Service{needs("es", ""), needs("api", "es"), needs("ui", "api")}, nil, nil, [][]string{{"ui"}, {"api"}, {"es"}}},
		"by several":               {[]swarm.Service{needs("es", ""), needs("zk", "es"), needs("api", "es,zk"), needs("ui", "zk api")}, nil, nil, [][]string{{"ui"}, {"api"}, {"zk"}, {"es"}}},
		"as asked":                 {[]swarm.Service{needs("es", ""), needs("api", "es")}, []string{"old"}, [][]string{{"es"}, {"api"}}, [][]string{{"es"}, {"api"}}},
		"what is left goes first":  {[]swarm.Service{needs("es", ""), needs("api", "es")}, []string{"old"}, nil, [][]string{{"api", "old"}, {"es"}}},
		"nothing else is left":     {nil, []string{"old"}, nil, [][]string{{"old"}}},
		"nothing is":               {nil, nil, nil, nil},
		"all of them side by side": {[]swarm.Service{needs("zk", ""), needs("es", "")}, nil, nil, [][]string{{"es", "zk"}}},
	} {
		w := worldOf(tt.there...)
		for _, left := range tt.left {
			w.containers[left] = []held{{}}
		}
		got, err := w.stopGroups(tt.asked)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	if _, err := worldOf(needs("a", "b"), needs("b", "a")).stopGroups(nil); !errors.Is(err, nuvlaops.ErrInvalid) {
		t.Errorf("a circle: %v", err)
	}
	job := swarm.Service{ID: "job"}
	job.Spec.Mode.GlobalJob = &swarm.GlobalJob{}
	for _, asked := range [][][]string{nil, {{"job"}}} {
		if _, err := worldOf(job).stopGroups(asked); !errors.Is(err, nuvlaops.ErrUnsupported) {
			t.Errorf("a job, asked for %v: %v", asked, err)
		}
	}
}

// Replica counts survive our own crash, and those that somebody sets meanwhile count.
func TestWhatIsStoppedComesBackAsItWas(t *testing.T) {
	for name, v := range map[string]swarm.Service{"five": replicated("es", 5, ""), "one by default": func() swarm.Service { v := replicated("es", 0, ""); v.Spec.Mode.Replicated.Replicas = nil; return v }(),
		"global": globally("es", "node.role==worker"), "global, anywhere": globally("es"), "five, that remembers three": replicated("es", 5, "3")} {
		v.Spec.Labels["org.other"] = "kept"
		want := tasksWanted(v.Spec)
		spec := v.Spec
		for i := range 2 { // a second time it changes nothing
			changed, err := down(&spec)
			if err != nil || changed != (i == 0) || !atNothing(spec) {
				t.Errorf("%s, stopped %d times: changed %t, %v, at nothing %t", name, i+1, changed, err, atNothing(spec))
			}
		}
		for i := range 2 {
			changed, err := up(&spec)
			if err != nil || changed != (i == 0) || atNothing(spec) {
				t.Errorf("%s, started %d times: changed %t, %v, at nothing %t", name, i+1, changed, err, atNothing(spec))
			}
		}
		if got := tasksWanted(spec); got != want || !maps.Equal(spec.Labels, map[string]string{"org.other": "kept"}) {
			t.Errorf("%s comes back as %s with labels %v, want %s", name, got, spec.Labels, want)
		}
	}
}

// tasksWanted says how many tasks a specification asks for, and where.
func tasksWanted(spec swarm.ServiceSpec) string {
	if r := spec.Mode.Replicated; r != nil {
		if r.Replicas == nil {
			return "1"
		}
		return fmt.Sprint(*r.Replicas)
	}
	return "on each node that meets " + strings.Join(spec.TaskTemplate.Placement.Constraints, ", ")
}

func TestALabelThatIsNoCountOfReplicasIsNotGuessed(t *testing.T) {
	for label, want := range map[string]error{"5": nil, "0": nuvlaops.ErrInvalid, "-1": nuvlaops.ErrInvalid, "many": nuvlaops.ErrInvalid, "": nuvlaops.ErrInvalid} {
		spec := replicated("es", 0, "").Spec
		spec.Labels[labelReplicas] = label
		if _, err := up(&spec); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("label %q: %v, want %v", label, err, want)
		}
	}
	byHand := replicated("es", 2, "5").Spec // since
	if changed, err := up(&byHand); err != nil || !changed || tasksWanted(byHand) != "2" || len(byHand.Labels) > 0 {
		t.Errorf("scaled by hand: %t, %v, %s, %v", changed, err, tasksWanted(byHand), byHand.Labels)
	}
}
