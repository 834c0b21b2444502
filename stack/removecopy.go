package stack

import (
	"context"
	"errors"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/poll"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// RemoveStackCopy removes what CopyStack has made of stack from under the name to, also what a killed call has left of it:
// services, their containers, their volumes and the network. What was there before is not removed. A copy that is gone is no
// error. Which nodes its volumes are on is written down in the swarm, as a config, until they have been looked at, so that
// another call knows of those that could not be reached.
//
// Errors: ErrRefused (a service of that name is no copy of the first stack; all is removed but what is named: volumes may be
// on a node that cannot be reached, or containers run on one that is down).
func (s *Swarm) RemoveStackCopy(ctx context.Context, from, to string) error {
	return nuvlaops.Wrap("stack.RemoveStackCopy", to, s.removeStackCopy(ctx, from, to))
}

func (s *Swarm) removeStackCopy(ctx context.Context, from, to string) error {
	if err := errors.Join(ValidateName(from), ValidateName(to)); err != nil {
		return err
	}
	_, w, err := s.pair(ctx, from, to)
	if err != nil {
		return err
	}
	if err := s.noteNodes(ctx, w, from); err != nil {
		return err
	}
	for _, v := range w.services {
		if err := s.removed(ctx, func(ctx context.Context) error {
			_, err := s.api.ServiceRemove(ctx, v.ID, client.ServiceRemoveOptions{})
			return err
		}); err != nil {
			return explain(v.Spec.Name, err)
		}
	}
	silent, err := s.waitForNoContainer(ctx, w)
	if err != nil {
		return err
	}
	notes, err := s.noted(ctx, w, from)
	if err != nil {
		return err
	}
	if err := errors.Join(s.removeCopiedVolumes(ctx, w, from), s.removeCopiedVolumesByJobs(ctx, w, from, notes),
		s.removeCopiedNetworks(ctx, to, from)); err != nil {
		return err
	}
	return s.nothingLeft(ctx, w, notes, silent)
}

// removed calls until what is to be removed is gone; what still uses it leaves a little later.
func (s *Swarm) removed(ctx context.Context, remove func(context.Context) error) error {
	deadline := s.now().Add(settle)
	err := retry.Do(ctx, s.opts.Retry, s.opts.Logger, func(err error) bool {
		busy := cerrdefs.IsConflict(err) || cerrdefs.IsPermissionDenied(err) || strings.Contains(err.Error(), "has active endpoints")
		return transient(err) || busy && s.now().Before(deadline)
	}, remove)
	if isNotFound(err) || err != nil && strings.HasSuffix(err.Error(), " not found") { // of a network that goes just now it is no 404
		return nil
	}
	return err
}

// waitForNoContainer waits until no container of services that are gone is left. Of those on nodes that are down nobody can
// tell: their tasks are silent.
func (s *Swarm) waitForNoContainer(ctx context.Context, first *world) (silent []swarm.Task, err error) {
	err = poll.Until(ctx, poll.Interval{First: soonest}, func(ctx context.Context) (bool, string, error) {
		w, err := s.see(ctx, first.stack, first.fleet)
		if err != nil {
			return false, "", err
		}
		var far []swarm.Task
		far, silent, err = s.gone(ctx, w)
		missing := "containers of " + strings.Join(w.names(), ", ")
		for _, t := range far {
			missing += ", a task on node " + w.fleet.nodeName(t.NodeID)
		}
		return len(w.containers)+len(far) == 0, missing, err
	})
	return silent, err
}

func (s *Swarm) removeCopiedVolumes(ctx context.Context, w *world, from string) error {
	for _, e := range w.fleet.engines {
		list, err := read(ctx, s, w.stack, func(ctx context.Context) (client.VolumeListResult, error) {
			return e.api.VolumeList(ctx, client.VolumeListOptions{
				Filters: make(client.Filters).Add("label", labelStack+"="+w.stack).Add("label", labelCopyOf+"="+from)})
		})
		if err != nil {
			return err
		}
		for _, v := range list.Items {
			if err := s.removeVolume(ctx, e, v.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Swarm) removeCopiedNetworks(ctx context.Context, to, from string) error {
	list, err := read(ctx, s, to, func(ctx context.Context) (client.NetworkListResult, error) {
		return s.api.NetworkList(ctx, client.NetworkListOptions{
			Filters: make(client.Filters).Add("label", labelStack+"="+to).Add("label", labelCopyOf+"="+from)})
	})
	if err != nil {
		return err
	}
	for _, n := range list.Items {
		if err := s.removed(ctx, func(ctx context.Context) error {
			_, err := s.api.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
			return err
		}); err != nil {
			return explain(n.Name, err)
		}
	}
	return nil
}
