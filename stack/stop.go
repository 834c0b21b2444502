package stack

import (
	"context"
	"fmt"
	"slices"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// Stop scales services to nothing in order, removes their stopped containers from the engine's own node, and waits until
// no task and no container is left. A service's own stop grace period ends what ignores SIGTERM.
func (s *Swarm) Stop(ctx context.Context, stack string, opts StopOptions) error {
	return nuvlaops.Wrap("stack.Stop", stack, s.stop(ctx, stack, opts))
}

func (s *Swarm) stop(ctx context.Context, stack string, opts StopOptions) error {
	if err := validName("stack", stack); err != nil {
		return err
	}
	if err := validGroups(opts.Groups); err != nil {
		return err
	}
	self, err := s.manager(ctx)
	if err != nil {
		return err
	}
	w, err := s.see(ctx, stack, self)
	if err != nil {
		return err
	}
	groups := opts.Groups
	if len(groups) == 0 {
		groups = [][]string{w.names()}
	}
	events := s.watch(ctx, stack)
	defer events.close()
	report := newReporter("stack.Stop", stack, "stopping", groups, opts.Progress, s.now)
	for _, group := range groups {
		if err := s.stopGroup(ctx, w, group, opts.Limit, events, report); err != nil {
			return err
		}
		report.done(group)
		if opts.Gone != nil {
			opts.Gone(slices.Clone(group))
		}
	}
	return nil
}

func (s *Swarm) stopGroup(ctx context.Context, first *world, group []string, limit time.Duration, events *watch, report *reporter) error {
	ctx, cancel := limited(ctx, limit)
	defer cancel()
	report.say("scaling to nothing", group)
	for _, name := range group {
		if v, there := first.services[name]; there {
			if err := s.scaleDown(ctx, v.ID); err != nil {
				return fmt.Errorf("scale down %s: %w", name, err)
			}
			s.opts.Logger.InfoContext(ctx, "service scaled to nothing", "stack", first.stack, "service", name)
		}
	}
	return events.until(ctx, func(ctx context.Context) (bool, string, error) {
		w, err := s.see(ctx, first.stack, first.self)
		if err != nil {
			return false, "", err
		}
		left, remote, err := s.left(ctx, w, group)
		if err != nil {
			return false, "", err
		}
		if events.remote = remote; len(left) > 0 {
			report.say(some(left), nil)
		}
		return len(left) == 0, some(left), nil
	})
}

// left names what still runs of a group, and removes what has stopped on the engine's own node.
func (s *Swarm) left(ctx context.Context, w *world, group []string) (names []string, remote bool, err error) {
	for _, name := range group {
		if v, there := w.services[name]; there && !atNothing(v.Spec) {
			return nil, false, &nuvlaops.Error{Resource: v.Spec.Name, Reason: "was scaled up again while it was being stopped",
				Err: nuvlaops.ErrConflict, Hint: "find out who starts it, then stop it again"}
		}
		for _, c := range w.containers[name] {
			gone, err := s.removeStopped(ctx, c)
			if err != nil {
				return nil, false, err
			}
			if !gone {
				names = append(names, fmt.Sprintf("container %s (%s)", containerName(c.Names, c.ID), c.State))
			}
		}
		for _, t := range w.tasks[name] {
			here := t.NodeID == w.self.id && containerOf(t) != "" // its container is counted above
			if ended(t) || !wanted(t) && (here || t.NodeID == "") {
				continue
			}
			remote = remote || t.NodeID != w.self.id
			names = append(names, fmt.Sprintf("task %s.%d on node %s (%s)", name, t.Slot, t.NodeID, t.Status.State))
		}
	}
	return names, remote, nil
}

// removeStopped removes a container that runs no more: the engine keeps it as history, and with it its volumes. Anonymous
// volumes are left.
func (s *Swarm) removeStopped(ctx context.Context, c container.Summary) (gone bool, err error) {
	switch c.State {
	case container.StateExited, container.StateDead, container.StateCreated:
	default:
		return false, nil
	}
	err = retry.Do(ctx, s.opts.Retry, s.opts.Logger, transient, func(ctx context.Context) error {
		_, err := s.api.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{})
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
