package stack

import (
	"context"
	"fmt"
	"slices"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/swarm"
)

// forgotten is how long the orchestrator may want a task of a service that is at nothing. It gives tasks up in a tenth of a
// second; but one that it makes at the very moment of the scaling it can miss, and then lets run for good (Docker 20.10,
// seen on a loaded machine).
const forgotten = 3 * time.Second

// remind has the orchestrator look again at a service that is at nothing and of which it still wants a task: each update
// does that, also one that changes nothing.
func (r *remains) remind(ctx context.Context, v swarm.Service, tasks []swarm.Task) error {
	if !slices.ContainsFunc(tasks, wanted) {
		delete(r.wanted, v.ID)
		return nil
	}
	since, known := r.wanted[v.ID]
	if known && r.s.now().Sub(since) < forgotten {
		return nil
	}
	r.wanted[v.ID] = r.s.now()
	if !known {
		return nil
	}
	r.s.opts.Logger.InfoContext(ctx, "service at nothing has a wanted task: updated again", "service", v.Spec.Name)
	err := r.s.update(ctx, v.ID, func(spec *swarm.ServiceSpec) (bool, error) { return atNothing(*spec), nil })
	if err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("update %s again: %w", v.Spec.Name, err)
	}
	return nil
}

// short says whether the service has been short of tasks for too long.
func (h *health) short(live int, spec swarm.ServiceSpec, state *serviceHealth) bool {
	want := 1
	if r := spec.Mode.Replicated; r != nil && r.Replicas != nil {
		want = int(*r.Replicas)
	}
	if live >= want {
		state.idle = time.Time{}
	} else if state.idle.IsZero() {
		state.idle = h.s.now()
	}
	return !state.idle.IsZero() && h.s.now().Sub(state.idle) >= resigned
}

// remind has the orchestrator look again at a service that has been short of tasks for too long. One that has ended well, and
// that the restart policy makes no other for, takes the place of the next until it is forgotten, a moment after the scaling:
// such as one that Stop has just ended.
func (h *health) remind(ctx context.Context, v swarm.Service, state *serviceHealth) error {
	if state.idle.IsZero() || h.s.now().Sub(state.idle) < resigned {
		return nil
	}
	state.idle, state.reminded = h.s.now(), true
	h.s.opts.Logger.InfoContext(ctx, "service is short of tasks: updated again", "service", v.Spec.Name)
	return h.s.update(ctx, v.ID, func(spec *swarm.ServiceSpec) (bool, error) {
		return spec.Mode.Replicated != nil && !atNothing(*spec), nil
	})
}
