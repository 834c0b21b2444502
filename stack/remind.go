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
