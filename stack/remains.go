package stack

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// defaultGrace is what Swarm gives a container between SIGTERM and SIGKILL when the service does not say.
const defaultGrace = 10 * time.Second

// remains is what is left of services that are being stopped.
type remains struct {
	s      *Swarm
	events *watch
	remote bool            // whether some of it is on a node whose engine cannot be reached
	asked  map[string]bool // containers that were told to end
	stops  sync.WaitGroup
	wanted map[string]time.Time // by service: since when, or since the last reminder, a task is wanted that must not be
}

// left names what still runs of a group, and of services that are gone if one of the group is, or if it is empty. On nodes
// whose engines can be reached it tells what runs to end, and removes what has ended.
func (r *remains) left(ctx context.Context, w *world, group []string) (names []string, err error) {
	r.remote = false
	if err := w.allAtNothing(group); err != nil {
		return nil, err
	}
	stay, err := r.s.removeAllStopped(ctx, w, group)
	if err != nil {
		return nil, err
	}
	for _, name := range group {
		v, there := w.services[name]
		for _, c := range stay[name] {
			names = append(names, fmt.Sprintf("container %s (%s)", containerName(c.Names, c.ID), c.State))
			if there && !taskWanted(w.tasks[name], c.Labels[labelTask]) {
				r.end(ctx, c, v.Spec)
			}
		}
		if err := r.remind(ctx, v, w.tasks[name]); err != nil {
			return nil, err
		}
		for _, t := range w.tasks[name] {
			here := w.fleet.on(t.NodeID) != nil && containerOf(t) != "" // its container is counted above
			if ended(t) || !wanted(t) && (here || t.NodeID == "" || !assigned(t)) {
				continue
			}
			r.remote = r.remote || w.fleet.on(t.NodeID) == nil
			names = append(names, fmt.Sprintf("task %s.%d on node %s (%s)%s", name, t.Slot, w.fleet.nodeName(t.NodeID), t.Status.State, w.fleet.silence(t.NodeID)))
		}
	}
	if len(group) == 0 || len(w.missing(group)) > 0 {
		gone, _, err := r.s.gone(ctx, w)
		if err != nil {
			return nil, err
		}
		for _, t := range gone {
			r.remote = true
			names = append(names, fmt.Sprintf("task of a service that was removed on node %s (%s)", w.fleet.nodeName(t.NodeID), t.Status.State))
		}
	}
	slices.Sort(names)
	return names, nil
}

// allAtNothing: only a service that the orchestrator makes no task for may lose its containers.
func (w *world) allAtNothing(group []string) error {
	for _, name := range group {
		if v, there := w.services[name]; there && !atNothing(v.Spec) {
			return &nuvlaops.Error{Resource: v.Spec.Name, Reason: "was scaled up again while it was being stopped",
				Err: nuvlaops.ErrConflict, Hint: "find out who starts it, then stop it again"}
		}
	}
	return nil
}

// removeAllStopped returns the containers that stay, by service. An engine takes a tenth of a second for each removal, so
// they go side by side.
func (s *Swarm) removeAllStopped(ctx context.Context, w *world, group []string) (stay map[string][]held, err error) {
	var mu sync.Mutex
	var removals sync.WaitGroup
	places := make(chan struct{}, 8)
	stay = map[string][]held{}
	for _, name := range group {
		for _, c := range w.containers[name] {
			removals.Go(func() {
				places <- struct{}{}
				gone, removeErr := s.removeStopped(ctx, c)
				<-places
				mu.Lock()
				defer mu.Unlock()
				if err = errors.Join(err, removeErr); !gone {
					stay[name] = append(stay[name], c)
				}
			})
		}
	}
	removals.Wait()
	return stay, err
}

func taskWanted(tasks []swarm.Task, id string) bool {
	for _, t := range tasks {
		if t.ID == id {
			return wanted(t)
		}
	}
	return false
}

// end stops a container whose task the orchestrator has given up already. Swarm would do it about 3 s later: it lets load
// balancers forget the task first, which is of no use when the whole service ends. The signal and the grace period are the
// service's own.
func (r *remains) end(ctx context.Context, c held, spec swarm.ServiceSpec) {
	if c.State != container.StateRunning || r.asked[c.ID] {
		return
	}
	r.asked[c.ID] = true
	grace := defaultGrace
	if v := spec.TaskTemplate.ContainerSpec; v != nil && v.StopGracePeriod != nil {
		grace = *v.StopGracePeriod
	}
	seconds := int(math.Ceil(grace.Seconds()))
	r.stops.Go(func() {
		_, err := c.on.api.ContainerStop(ctx, c.ID, client.ContainerStopOptions{Timeout: &seconds})
		if err == nil {
			c.State = container.StateExited
			_, err = r.s.removeStopped(ctx, c)
			r.events.poke()
		}
		if err != nil && ctx.Err() == nil {
			r.s.opts.Logger.DebugContext(ctx, "container not ended, swarm will do it", "container", c.ID, "error", err)
		}
	})
}

// removeStopped removes a container that runs no more: the engine keeps it as history, and with it its volumes. Anonymous
// volumes go with it, as when Swarm removes it: nobody would find them again.
func (s *Swarm) removeStopped(ctx context.Context, c held) (gone bool, err error) {
	switch c.State {
	case container.StateExited, container.StateDead, container.StateCreated:
	default:
		return false, nil
	}
	err = retry.Do(ctx, s.opts.Retry, s.opts.Logger, s.transient, func(ctx context.Context) error {
		_, err := c.on.api.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{RemoveVolumes: true})
		return err
	})
	switch {
	case err == nil, cerrdefs.IsNotFound(err):
		return true, nil
	case cerrdefs.IsConflict(err):
		return false, nil // being removed by the engine, or started: the next look tells
	}
	return false, explain(c.ID, err)
}
