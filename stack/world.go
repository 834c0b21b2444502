package stack

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
)

// world is what the engine says about a stack at one moment.
type world struct {
	stack    string
	fleet    *fleet
	services map[string]swarm.Service // by name without the prefix
	tasks    map[string][]swarm.Task  // by the same name
	// containers of the stack on the nodes whose engines can be reached, by the service's name, running or stopped, also
	// of services that are gone.
	containers map[string][]held
	answers    map[string]jobAnswer // of jobs that have looked at nodes
	own        []Volume             // the stack's volumes, once they were looked at
}

// held is a container on one node.
type held struct {
	container.Summary
	on *engine
}

// see reads the world. The services come first: a task or a container that a service seen has lost is then not missed.
func (s *Swarm) see(ctx context.Context, stack string, f *fleet) (*world, error) {
	w := &world{stack: stack, fleet: f, services: map[string]swarm.Service{}, tasks: map[string][]swarm.Task{},
		containers: map[string][]held{}}
	services, err := read(ctx, s, stack, func(ctx context.Context) (client.ServiceListResult, error) {
		return s.api.ServiceList(ctx, client.ServiceListOptions{
			Filters: make(client.Filters).Add("label", labelStack+"="+stack)})
	})
	if err != nil {
		return nil, err
	}
	byID := map[string]string{}
	for _, v := range services.Items {
		name := w.short(v.Spec.Name)
		w.services[name], byID[v.ID] = v, name
	}
	if err := s.seeTasks(ctx, w, byID); err != nil {
		return nil, err
	}
	for _, e := range f.engines {
		if err := s.seeContainers(ctx, w, e, byID); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// seeGone adds the services of compose files that are not there.
func (s *Swarm) seeGone(ctx context.Context, w *world, opts WipeOptions) error {
	if len(opts.Files) == 0 {
		return nil
	}
	file, err := s.load(ctx, DeployOptions{Files: opts.Files, Env: opts.Env})
	if err != nil {
		return err
	}
	for _, name := range w.missing(slices.Collect(maps.Keys(file.Services))) {
		w.services[name] = file.service(w.stack, name)
	}
	return nil
}

func (s *Swarm) seeTasks(ctx context.Context, w *world, byID map[string]string) error {
	if len(byID) == 0 {
		return nil
	}
	filter := make(client.Filters)
	for id := range byID {
		filter.Add("service", id)
	}
	tasks, err := s.taskList(ctx, w.stack, filter)
	if isNotFound(err) { // a service was removed since
		tasks, err = s.taskList(ctx, w.stack, nil)
	}
	for _, t := range tasks.Items {
		if name, ours := byID[t.ServiceID]; ours { // the filter takes prefixes too
			w.tasks[name] = append(w.tasks[name], t)
		}
	}
	return err
}

func (s *Swarm) taskList(ctx context.Context, stack string, filter client.Filters) (client.TaskListResult, error) {
	return read(ctx, s, stack, func(ctx context.Context) (client.TaskListResult, error) {
		return s.api.TaskList(ctx, client.TaskListOptions{Filters: filter})
	})
}

// gone are the tasks of services that are gone, as long as they have not ended, on nodes whose engines cannot be reached: of
// the others the containers are seen. A node that is down never tells their end: those are silent.
func (s *Swarm) gone(ctx context.Context, w *world) (out, silent []swarm.Task, err error) {
	unreached := w.fleet.unreached()
	if len(unreached) == 0 {
		return nil, nil, nil
	}
	nodes, err := s.nodes(ctx) // one may have gone down since
	if err != nil {
		return nil, nil, err
	}
	far, known := map[string]swarm.NodeState{}, map[string]bool{}
	for _, n := range nodes {
		if slices.ContainsFunc(unreached, func(u swarm.Node) bool { return u.ID == n.ID }) {
			far[n.ID] = n.Status.State
		}
	}
	tasks, err := s.taskList(ctx, w.stack, nil) // a filter by a node that was removed is an error
	for _, v := range w.services {
		known[v.ID] = true
	}
	for _, t := range tasks.Items {
		c := t.Spec.ContainerSpec
		switch state, there := far[t.NodeID]; {
		case !there || known[t.ServiceID] || c == nil || c.Labels[labelStack] != w.stack || ended(t):
		case state == swarm.NodeStateReady:
			out = append(out, t)
		default:
			silent = append(silent, t)
		}
	}
	return out, silent, err
}

func (s *Swarm) seeContainers(ctx context.Context, w *world, e *engine, byID map[string]string) error {
	list, err := read(ctx, s, w.stack, func(ctx context.Context) (client.ContainerListResult, error) {
		return e.api.ContainerList(ctx, client.ContainerListOptions{All: true,
			Filters: make(client.Filters).Add("label", labelService)})
	})
	for _, c := range list.Items {
		_, known := byID[c.Labels[labelServiceID]]
		if known || c.Labels[labelStack] == w.stack {
			name := w.short(c.Labels[labelService])
			w.containers[name] = append(w.containers[name], held{c, e})
		}
	}
	return err
}

// short is a service's name without the stack's prefix.
func (w *world) short(full string) string { return strings.TrimPrefix(full, w.stack+"_") }

// names of the services that are there or have left containers, sorted.
func (w *world) names() []string {
	var out []string
	for name := range w.services {
		out = append(out, name)
	}
	for name := range w.containers {
		if _, there := w.services[name]; !there {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// ended says whether a task's container runs no more and never will again.
func ended(t swarm.Task) bool { return endState(t.Status.State) }

func endState(s swarm.TaskState) bool {
	switch s {
	case swarm.TaskStateComplete, swarm.TaskStateShutdown, swarm.TaskStateFailed, swarm.TaskStateRejected,
		swarm.TaskStateRemove, swarm.TaskStateOrphaned:
		return true
	}
	return false
}

// assigned says whether the task's node has been told of it: never of one that is not wanted by then.
func assigned(t swarm.Task) bool {
	switch t.Status.State {
	case swarm.TaskStateNew, swarm.TaskStateAllocated, swarm.TaskStatePending:
		return false
	}
	return true
}

// failed says whether a task ended because something is wrong.
func failed(t swarm.Task) bool {
	return t.Status.State == swarm.TaskStateFailed || t.Status.State == swarm.TaskStateRejected
}

// wanted says whether the orchestrator wants the task to run.
func wanted(t swarm.Task) bool {
	return t.DesiredState == swarm.TaskStateRunning || t.DesiredState == swarm.TaskStateReady
}

func containerOf(t swarm.Task) string {
	if t.Status.ContainerStatus == nil {
		return ""
	}
	return t.Status.ContainerStatus.ContainerID
}
