package stack

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// update changes a service's specification. change says whether it had to: since the update carries the version that was
// read, a repetition after a lost reply, or after another's update, decides anew and never does anything twice.
func (s *Swarm) update(ctx context.Context, id string, change func(*swarm.ServiceSpec) (changed bool, err error)) error {
	err := retry.Do(ctx, s.opts.Retry, s.opts.Logger, func(err error) bool { return s.transient(err) || outOfSequence(err) },
		func(ctx context.Context) error {
			v, err := s.api.ServiceInspect(ctx, id, client.ServiceInspectOptions{})
			if err != nil {
				return err
			}
			spec := v.Service.Spec
			changed, err := change(&spec)
			if err != nil || !changed {
				return err
			}
			_, err = s.api.ServiceUpdate(ctx, id, client.ServiceUpdateOptions{Version: v.Service.Version, Spec: spec})
			return err
		})
	return explain(id, err)
}

// scaleDown remembers the replicas and scales to nothing, in one update.
func (s *Swarm) scaleDown(ctx context.Context, id string) error {
	err := s.update(ctx, id, down)
	if cerrdefs.IsNotFound(err) {
		return nil // removed meanwhile
	}
	return err
}

func down(spec *swarm.ServiceSpec) (bool, error) {
	switch mode := spec.Mode; {
	case mode.Replicated != nil:
		now := uint64(1) // the engine's default
		if mode.Replicated.Replicas != nil {
			now = *mode.Replicated.Replicas
		}
		if now == 0 {
			return false, nil // what is remembered stays
		}
		remember(spec, strconv.FormatUint(now, 10))
		zero := uint64(0)
		spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: &zero}
		return true, nil
	case mode.Global != nil:
		place := &swarm.Placement{}
		if p := spec.TaskTemplate.Placement; p != nil {
			*place = *p
		}
		if slices.Contains(place.Constraints, nowhere) {
			return false, nil
		}
		remember(spec, "global")
		place.Constraints = append(slices.Clone(place.Constraints), nowhere)
		spec.TaskTemplate.Placement = place
		return true, nil
	}
	return false, jobError(spec.Name)
}

func jobError(service string) error {
	return &nuvlaops.Error{Resource: service, Reason: "a job service can neither be stopped nor started", Err: nuvlaops.ErrUnsupported,
		Hint: "name groups without it, or remove it: docker service rm " + service}
}

// refuseJobs: a job runs once when it is made, and ends.
func (w *world) refuseJobs(groups [][]string) error {
	for _, name := range slices.Concat(groups...) {
		if v, there := w.services[name]; there && (v.Spec.Mode.ReplicatedJob != nil || v.Spec.Mode.GlobalJob != nil) {
			return jobError(v.Spec.Name)
		}
	}
	return nil
}

func remember(spec *swarm.ServiceSpec, value string) {
	labels := map[string]string{labelReplicas: value}
	for k, v := range spec.Labels {
		if k != labelReplicas {
			labels[k] = v
		}
	}
	spec.Labels = labels
}

// up brings back what down remembered.
func up(spec *swarm.ServiceSpec) (bool, error) {
	value, labelled := spec.Labels[labelReplicas]
	if !labelled {
		return false, nil
	}
	was, n := stopped(*spec)
	forget(spec)
	switch {
	case spec.Mode.Global != nil && spec.TaskTemplate.Placement != nil:
		spec.TaskTemplate.Placement = somewhere(spec.TaskTemplate.Placement)
		if maySettle(spec.TaskTemplate.RestartPolicy) {
			spec.TaskTemplate.ForceUpdate++ // or the last task on a node stands for the next one
		}
	case spec.Mode.Replicated != nil && was:
		back := uint64(n)
		spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: &back}
	case spec.Mode.Replicated != nil && spec.Mode.Replicated.Replicas != nil && *spec.Mode.Replicated.Replicas == 0:
		return false, &nuvlaops.Error{Resource: spec.Name, Err: nuvlaops.ErrInvalid,
			Reason: fmt.Sprintf("label %s is %q, want a count of replicas", labelReplicas, value),
			Hint:   "scale it by hand: docker service scale " + spec.Name + "=N"}
	}
	return true, nil
}

// maySettle says whether the orchestrator may make no other task after one that has ended. One that Stop ends may end as if
// by itself.
func maySettle(p *swarm.RestartPolicy) bool {
	return p != nil && (p.Condition == swarm.RestartPolicyConditionNone || p.Condition == swarm.RestartPolicyConditionOnFailure ||
		p.MaxAttempts != nil && *p.MaxAttempts > 0)
}

// somewhere is a placement without what stops a global service.
func somewhere(p *swarm.Placement) *swarm.Placement {
	if p == nil {
		return nil
	}
	place := *p
	place.Constraints = slices.DeleteFunc(slices.Clone(p.Constraints), func(c string) bool { return c == nowhere })
	return &place
}

func forget(spec *swarm.ServiceSpec) {
	labels := map[string]string{}
	for k, v := range spec.Labels {
		if k != labelReplicas {
			labels[k] = v
		}
	}
	spec.Labels = labels
}

// atNothing says whether the orchestrator makes no task for this specification.
func atNothing(spec swarm.ServiceSpec) bool {
	if r := spec.Mode.Replicated; r != nil {
		return r.Replicas != nil && *r.Replicas == 0
	}
	return spec.Mode.Global != nil && spec.TaskTemplate.Placement != nil &&
		slices.Contains(spec.TaskTemplate.Placement.Constraints, nowhere)
}
