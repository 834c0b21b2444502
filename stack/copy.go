package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/poll"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// Copy is a throw-away copy of a stopped service: the same image, environment, secrets, networks and name on them, and none
// of its volumes. A recovery looks through a copy of a database at its backups before the database's volumes go.
type Copy struct {
	s    *Swarm
	name string
}

// RunCopy starts one replica of a copy of a stopped service, and returns when it was accepted: ask what it serves. One that
// a killed call has left is replaced. The caller must Remove it.
//
// Errors: ErrNotFound (no such service), ErrRefused (the service is not stopped: both would answer under one name).
func (s *Swarm) RunCopy(ctx context.Context, stack, service string) (*Copy, error) {
	c, err := s.runCopy(ctx, stack, service)
	return c, nuvlaops.Wrap("stack.RunCopy", stack+"/"+service, err)
}

func (s *Swarm) runCopy(ctx context.Context, stack, service string) (*Copy, error) {
	if err := errors.Join(validName("stack", stack), validName("service", service)); err != nil {
		return nil, err
	}
	original, err := s.api.ServiceInspect(ctx, stack+"_"+service, client.ServiceInspectOptions{})
	if err != nil {
		return nil, explain(service, err)
	}
	spec := original.Service.Spec
	if spec.Labels[labelStack] != stack { // db_x_y may be service y of stack db_x
		return nil, &nuvlaops.Error{Reason: "the service " + spec.Name + " is not of the stack", Err: nuvlaops.ErrNotFound}
	}
	if spec.Mode.Replicated == nil || !atNothing(spec) {
		return nil, &nuvlaops.Error{Reason: "it is not stopped", Hint: "stop it first: both would answer under one name", Err: nuvlaops.ErrRefused}
	}
	copySpec(&spec)
	c := &Copy{s: s, name: spec.Name}
	if err := c.remove(ctx); err != nil {
		return nil, fmt.Errorf("remove the copy that an earlier call left: %w", err)
	}
	if _, err := s.api.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: spec}); err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // the reply may be lost, not the request
		defer cancel()
		return nil, errors.Join(explain(spec.Name, err), c.remove(clean))
	}
	return c, nil
}

// copySpec makes the specification of a copy out of the original's. It is not of the stack, so that nobody stops, wipes or
// starts it as such.
func copySpec(spec *swarm.ServiceSpec) {
	one := uint64(1)
	spec.Name = copyName(spec.Name)
	spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: &one}
	delete(spec.Labels, labelStack)
	delete(spec.Labels, labelReplicas)
	spec.EndpointSpec = withoutPorts(spec.EndpointSpec)
	if c := spec.TaskTemplate.ContainerSpec; c != nil {
		delete(c.Labels, labelStack)
		c.Mounts = slices.DeleteFunc(c.Mounts, func(m mount.Mount) bool { return m.Type == mount.TypeVolume })
	}
}

// withoutPorts: a stopped service keeps its ports reserved.
func withoutPorts(e *swarm.EndpointSpec) *swarm.EndpointSpec {
	if e == nil {
		return nil
	}
	return &swarm.EndpointSpec{Mode: e.Mode}
}

// Remove removes the copy, without a grace period since it keeps nothing, and returns when no container of it is left on the
// nodes whose engines can be reached. One that is gone is no error.
func (c *Copy) Remove(ctx context.Context) error {
	return nuvlaops.Wrap("stack.Copy.Remove", c.name, c.remove(ctx))
}

// RemoveCopy removes a copy that a killed call has left. Where there is none it does nothing.
func (s *Swarm) RemoveCopy(ctx context.Context, stack, service string) error {
	if err := errors.Join(validName("stack", stack), validName("service", service)); err != nil {
		return nuvlaops.Wrap("stack.RemoveCopy", stack+"/"+service, err)
	}
	c := &Copy{s: s, name: copyName(stack + "_" + service)}
	return nuvlaops.Wrap("stack.RemoveCopy", c.name, c.remove(ctx))
}

func copyName(service string) string { return service + "-copy" }

func (c *Copy) remove(ctx context.Context) error {
	err := retry.Do(ctx, c.s.opts.Retry, c.s.opts.Logger, transient, func(ctx context.Context) error {
		_, err := c.s.api.ServiceRemove(ctx, c.name, client.ServiceRemoveOptions{})
		return err
	})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return explain(c.name, err)
	}
	f, err := c.s.fleet(ctx)
	if err != nil {
		return err
	}
	return poll.Until(ctx, poll.Interval{First: soonest}, func(ctx context.Context) (bool, string, error) {
		var left []string
		for _, e := range f.engines {
			names, err := c.removeOn(ctx, e)
			if err != nil {
				return false, "", explain(c.name, err)
			}
			left = append(left, names...)
		}
		return len(left) == 0, strings.Join(left, ", "), nil
	})
}

// removeOn removes the copy's containers from one node and returns those that were there. Swarm would end them some seconds
// later.
func (c *Copy) removeOn(ctx context.Context, e *engine) (left []string, err error) {
	filter := make(client.Filters).Add("label", labelService+"="+c.name)
	list, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		if transient(err) {
			return []string{"node " + e.name + ", whose engine does not answer"}, nil
		}
		return nil, err
	}
	for _, item := range list.Items {
		left = append(left, containerName(item.Names, item.ID)+" "+string(item.State))
		_, err := e.api.ContainerRemove(ctx, item.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if err != nil && !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err) && !transient(err) {
			return nil, err
		}
	}
	return left, nil
}
