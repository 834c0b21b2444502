package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// settle is how long a removal may race with the removal of the last container: the engine lets go of a volume a little
// after the container has left its list.
const settle = 10 * time.Second

// Wipe removes the plan's volumes, each through the engine of its node.
func (s *Swarm) Wipe(ctx context.Context, plan *WipePlan, guard func(context.Context) error) error {
	name := ""
	if plan != nil {
		name = plan.Stack
	}
	return nuvlaops.Wrap("stack.Wipe", name, s.wipe(ctx, plan, guard))
}

func (s *Swarm) wipe(ctx context.Context, plan *WipePlan, guard func(context.Context) error) error {
	if plan == nil || guard == nil {
		return &nuvlaops.Error{Reason: "no plan or no guard", Err: nuvlaops.ErrInvalid,
			Hint: "plan with PlanWipe; hand in Unguarded to remove without a guard"}
	}
	now, w, err := s.planWipe(ctx, plan.Stack, plan.Options)
	if err != nil {
		return err
	}
	f := w.fleet
	if err := errors.Join(sameVolumes(plan, now), w.allMeant(plan, now), f.allReached(plan)); err != nil {
		return err
	}
	if len(now.Obstacles) > 0 {
		return &nuvlaops.Error{Reason: strings.Join(now.Obstacles, "; "), Err: nuvlaops.ErrRefused,
			Hint: "nothing was removed; stop the services first, and plan again"}
	}
	if len(now.Volumes) == 0 {
		return nil // all gone already
	}
	if err := guard(ctx); err != nil {
		return &nuvlaops.Error{Reason: "the guard refused: " + err.Error(), Err: errors.Join(nuvlaops.ErrRefused, err),
			Hint: "nothing was removed"}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, v := range now.Volumes {
		if e := f.on(v.NodeID); e == nil {
			continue // by a job, below
		} else if err := s.removePlanned(ctx, e, plan.Stack, v); err != nil {
			return fmt.Errorf("remove volume %s: %w", v.Name, err)
		}
		s.opts.Logger.InfoContext(ctx, "volume removed", "stack", plan.Stack, "volume", v.Name, "node", v.Node)
	}
	if err := s.wipeByJobs(ctx, f, now); err != nil {
		return err
	}
	return s.verifyGone(ctx, f, now)
}

// sameVolumes: what is there now must have been in the plan, the very same volume. What is gone is no conflict.
func sameVolumes(plan, now *WipePlan) error {
	for _, v := range now.Volumes {
		if !slices.ContainsFunc(plan.Volumes, v.same) {
			return &nuvlaops.Error{Resource: v.Name, Reason: "the volume is not in the plan, or was made anew or written to since",
				Err: nuvlaops.ErrConflict, Hint: "nothing was removed; plan again, and look at what is new"}
		}
	}
	return nil
}

func (v Volume) same(as Volume) bool {
	return v.Name == as.Name && v.NodeID == as.NodeID && v.Created.Equal(as.Created)
}

// allMeant: a volume of the plan that is there must be one that the options still mean, or it would stay without a word.
func (w *world) allMeant(plan, now *WipePlan) error {
	for _, v := range plan.Volumes {
		if slices.ContainsFunc(w.own, v.same) && !slices.ContainsFunc(now.Volumes, v.same) {
			return &nuvlaops.Error{Resource: v.Name, Reason: "the volume of the plan is there, and is not meant any more: the services, or their compose files, are others now",
				Err: nuvlaops.ErrConflict, Hint: "nothing was removed; plan again"}
		}
	}
	return nil
}

// allReached: a volume of the plan that is not seen any more may still be there when its node cannot be looked at.
func (f *fleet) allReached(plan *WipePlan) error {
	for _, v := range plan.Volumes {
		for _, d := range f.dark {
			if d.ID == v.NodeID {
				return &nuvlaops.Error{Resource: v.Name, Reason: fmt.Sprintf("node %s of the plan cannot be looked at any more: %s", v.Node, d.why),
					Err: nuvlaops.ErrRefused, Hint: "nothing was removed"}
			}
		}
	}
	return nil
}

// removePlanned removes a volume that is still the very same one: the guard may have taken long.
func (s *Swarm) removePlanned(ctx context.Context, e *engine, stack string, v Volume) error {
	there, err := s.inspect(ctx, e, v.Name)
	switch {
	case err != nil || there == nil:
		return err
	case !v.is(there, stack):
		return otherVolume(v.Name, "it was not removed")
	}
	return s.removeVolume(ctx, e, v.Name)
}

// is says whether the volume that is there is the very one that was seen when the stack's were looked at.
func (v Volume) is(there *volume.Volume, stack string) bool {
	return there.Labels[labelStack] == stack && created(there.CreatedAt).Equal(v.Created)
}

func otherVolume(name, left string) error {
	return &nuvlaops.Error{Resource: name, Reason: "the volume is not the one of the plan", Err: nuvlaops.ErrConflict,
		Hint: left + "; plan again, and look at what is new"}
}

// removeVolume removes a volume. A reply that was lost is answered by the repetition: what is not found is gone.
func (s *Swarm) removeVolume(ctx context.Context, e *engine, name string) error {
	deadline := s.now().Add(settle)
	racing := s.opts.Retry
	racing.Initial, racing.Max = soonest, latestHere
	err := retry.Do(ctx, racing, s.opts.Logger, func(err error) bool {
		return transient(err) || cerrdefs.IsConflict(err) && s.now().Before(deadline)
	}, func(ctx context.Context) error {
		_, err := e.api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
		return err
	})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return explain(name, err)
}

// verifyGone looks whether the volumes are gone. One of the same name that was made since means that a service came back.
func (s *Swarm) verifyGone(ctx context.Context, f *fleet, plan *WipePlan) error {
	for _, v := range plan.Volumes {
		e := f.on(v.NodeID)
		if e == nil {
			continue // its job has looked
		}
		there, err := s.inspect(ctx, e, v.Name)
		if err != nil {
			return err
		}
		if there != nil {
			return &nuvlaops.Error{Resource: v.Name, Reason: "the volume is there again after its removal",
				Err: nuvlaops.ErrVerification, Hint: "something mounts it: stop it, and wipe again"}
		}
	}
	return nil
}

func isNotFound(err error) bool {
	return errors.Is(err, nuvlaops.ErrNotFound) || cerrdefs.IsNotFound(err)
}
