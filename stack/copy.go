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

// Copy is a throw-away copy of a stopped service: the same image, environment, secrets, networks and name on them, none
// of its volumes, folders of the host to read only, and no labels that a proxy could route by. A recovery looks through a
// copy of a database at its backups before the database's volumes go.
type Copy struct {
	s              *Swarm
	stack, service string
	name           string // of the copy's service
}

// CopyOptions say how a copy runs.
type CopyOptions struct {
	// Aside runs the copy without the service's name on its networks: nobody else finds it, so that the service need not be
	// stopped. Copy.Forward leads to it.
	Aside bool
	// Files are compose files that the service is read from when it is not there, as DeployOptions.Files. The copy joins
	// those of its networks that are there, or one of its own when none is. What is made for it, is removed with it.
	Files []string
	// Env are variables for the files, as DeployOptions.Env.
	Env map[string]string
}

// RunCopy starts one replica of a copy of a stopped service, and returns when it was accepted: ask what it serves. One that
// a killed call has left is replaced. The caller must Remove it.
//
// Errors: ErrNotFound (no such service; a secret, config or file that it needs), ErrInvalid (a compose file), ErrRefused (the
// service is not stopped, and the copy does not run aside: both would answer under one name), ErrConflict (another service has
// the copy's name, SERVICE-copy).
func (s *Swarm) RunCopy(ctx context.Context, stack, service string, opts CopyOptions) (*Copy, error) {
	c, err := s.runCopy(ctx, stack, service, opts)
	return c, nuvlaops.Wrap("stack.RunCopy", stack+"/"+service, err)
}

func (s *Swarm) runCopy(ctx context.Context, stack, service string, opts CopyOptions) (*Copy, error) {
	c, err := s.copyOf(stack, service)
	if err != nil {
		return nil, err
	}
	if err := c.remove(ctx); err != nil {
		return nil, fmt.Errorf("remove the copy that an earlier call left: %w", err)
	}
	err = c.start(ctx, opts)
	if err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // the reply may be lost, not the request
		defer cancel()
		return nil, errors.Join(err, c.remove(clean))
	}
	return c, nil
}

func (c *Copy) start(ctx context.Context, opts CopyOptions) error {
	spec, err := c.s.original(ctx, c.stack, c.service)
	if isNotFound(err) && len(opts.Files) > 0 {
		spec, err = c.fromFiles(ctx, opts)
	}
	if err != nil {
		return err
	}
	if !opts.Aside && !atNothing(spec) {
		return &nuvlaops.Error{Reason: "it is not stopped", Hint: "stop it first: both would answer under one name", Err: nuvlaops.ErrRefused}
	}
	copySpec(&spec, c.stack, c.name)
	if opts.Aside {
		for i := range spec.TaskTemplate.Networks {
			spec.TaskTemplate.Networks[i].Aliases = nil
		}
	}
	_, err = c.s.api.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: spec})
	return explain(c.name, err)
}

// original is the specification of a service of the stack.
func (s *Swarm) original(ctx context.Context, stack, service string) (swarm.ServiceSpec, error) {
	v, err := read(ctx, s, service, func(ctx context.Context) (client.ServiceInspectResult, error) {
		return s.api.ServiceInspect(ctx, stack+"_"+service, client.ServiceInspectOptions{})
	})
	if err != nil {
		return swarm.ServiceSpec{}, err
	}
	if v.Service.Spec.Labels[labelStack] != stack { // db_x_y may be service y of stack db_x
		return swarm.ServiceSpec{}, &nuvlaops.Error{Reason: "the service " + v.Service.Spec.Name + " is not of the stack", Err: nuvlaops.ErrNotFound}
	}
	return v.Service.Spec, nil
}

// Forward opens a port on 127.0.0.1 that leads into the copy, see Swarm.Forward.
func (c *Copy) Forward(port int) (*Forward, error) {
	return c.s.Forward(c.stack, copyName(c.service), port)
}

// copySpec makes the specification of a copy out of the original's. It is not of the stack, so that nobody stops, wipes or
// starts it as such.
func copySpec(spec *swarm.ServiceSpec, stack, name string) {
	one := uint64(1)
	spec.Name = name
	spec.Mode = swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &one}}
	spec.Labels = quiet(spec.Labels)
	delete(spec.Labels, labelStack)
	delete(spec.Labels, labelReplicas)
	spec.Labels[labelCopyOf] = stack
	spec.EndpointSpec = withoutPorts(spec.EndpointSpec)
	spec.TaskTemplate.Placement = somewhere(spec.TaskTemplate.Placement)
	if c := spec.TaskTemplate.ContainerSpec; c != nil {
		c.Labels = quiet(c.Labels)
		delete(c.Labels, labelStack)
		c.Mounts = slices.DeleteFunc(c.Mounts, func(m mount.Mount) bool { return m.Type == mount.TypeVolume })
		for i := range c.Mounts { // what is a folder of the host may be the original's data
			c.Mounts[i].ReadOnly = c.Mounts[i].Type != mount.TypeTmpfs || c.Mounts[i].ReadOnly
		}
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
	c, err := s.copyOf(stack, service)
	if err == nil {
		err = c.remove(ctx)
	}
	return nuvlaops.Wrap("stack.RemoveCopy", stack+"/"+service, err)
}

// CopyIsLeft reports whether there is a copy of the service, or something of one. It changes nothing.
func (s *Swarm) CopyIsLeft(ctx context.Context, stack, service string) (bool, error) {
	c, err := s.copyOf(stack, service)
	if err != nil {
		return false, nuvlaops.Wrap("stack.CopyIsLeft", stack+"/"+service, err)
	}
	if _, ours, err := c.look(ctx); ours || err != nil {
		return ours, nuvlaops.Wrap("stack.CopyIsLeft", c.name, err)
	}
	pieces, err := read(ctx, s, c.scratch(), c.pieces)
	return len(pieces) > 0, nuvlaops.Wrap("stack.CopyIsLeft", c.name, err)
}

func (s *Swarm) copyOf(stack, service string) (*Copy, error) {
	if err := errors.Join(ValidateName(stack), validName("service", service)); err != nil {
		return nil, err
	}
	return &Copy{s: s, stack: stack, service: service, name: copyName(stack + "_" + service)}, nil
}

func copyName(service string) string { return service + "-copy" }

// look reports whether there is a service of the copy's name, and whether it is the copy: the stack may have one of that name.
func (c *Copy) look(ctx context.Context) (there, ours bool, err error) {
	v, err := read(ctx, c.s, c.name, func(ctx context.Context) (client.ServiceInspectResult, error) {
		return c.s.api.ServiceInspect(ctx, c.name, client.ServiceInspectOptions{})
	})
	if isNotFound(err) {
		return false, false, nil
	}
	return err == nil, v.Service.Spec.Labels[labelCopyOf] == c.stack, err
}

func (c *Copy) remove(ctx context.Context) error {
	there, ours, err := c.look(ctx)
	if err != nil {
		return err
	}
	if there && !ours {
		return c.removePieces(ctx)
	}
	err = retry.Do(ctx, c.s.opts.Retry, c.s.opts.Logger, transient, func(ctx context.Context) error {
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
	err = poll.Until(ctx, poll.Interval{First: soonest}, func(ctx context.Context) (bool, string, error) {
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
	if err != nil {
		return err
	}
	return c.removePieces(ctx)
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
