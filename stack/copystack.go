package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// labelCopyOf is on all that CopyStack and RunCopy make: the stack that it was copied from.
const labelCopyOf = "org.nuvla.ops.copy-of"

// CopyStackOptions say how a stack is copied.
type CopyStackOptions struct {
	// Services to copy. Empty means all.
	Services []string
	// Network that the copies join, and no other, under the names that their originals have on theirs. It is made, attachable,
	// when it is not there. It must be none that the originals are on, nor another service that has a name of theirs: the name
	// would lead to both. Nor may a name lead to one service on one network of the originals, and to another on another.
	Network string // required
}

// CopyStack makes a second stack out of the services of one that is there, stopped, to be started with one replica each: the
// same images, environment, secrets, configs and constraints, but volumes of its own, which are empty, no published ports,
// another network, and no labels but Docker's and ours, which a proxy could route by. The first one is only read. A copy that
// is there already is left as it is.
//
// Errors: ErrNotFound (no such service), ErrRefused (a service writes to data that are not the stack's own volumes, and its
// copy would too; a stack of the second name is there, or volumes of one, and is no copy of the first; a volume is left of
// an earlier copy; the network, or a name on it).
func (s *Swarm) CopyStack(ctx context.Context, from, to string, opts CopyStackOptions) error {
	return nuvlaops.Wrap("stack.CopyStack", to, s.copyStack(ctx, from, to, opts))
}

func (s *Swarm) copyStack(ctx context.Context, from, to string, opts CopyStackOptions) error {
	if err := errors.Join(ValidateName(from), ValidateName(to), validName("network", opts.Network)); err != nil {
		return err
	}
	first, second, err := s.pair(ctx, from, to)
	if err != nil {
		return err
	}
	names := opts.Services
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(first.services))
	}
	specs := map[string]swarm.ServiceSpec{}
	for _, name := range names {
		v, there := first.services[name]
		if !there {
			return &nuvlaops.Error{Resource: from + "_" + name, Reason: "no such service", Err: nuvlaops.ErrNotFound}
		}
		if specs[name], err = stackCopySpec(v, from, to, name); err != nil {
			return err
		}
	}
	if err := checkNames(first, second, names); err != nil {
		return err
	}
	if err := s.checkCopiedVolumes(ctx, second, from, specs); err != nil {
		return err
	}
	if err := s.checkNotes(ctx, second, from); err != nil {
		return err
	}
	network, err := s.networkForCopy(ctx, first.stack, to, opts.Network, specs)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, there := second.services[name]; there {
			continue
		}
		spec := specs[name]
		spec.TaskTemplate.Networks = []swarm.NetworkAttachmentConfig{{Target: network, Aliases: aliases(spec, from, name)}}
		if _, err := s.api.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: spec}); err != nil {
			return explain(spec.Name, err)
		}
		s.opts.Logger.InfoContext(ctx, "service copied", "stack", to, "service", name)
	}
	return nil
}

// pair sees both stacks, and refuses a second one that is no copy of the first.
func (s *Swarm) pair(ctx context.Context, from, to string) (first, second *world, err error) {
	f, err := s.fleet(ctx)
	if err != nil {
		return nil, nil, err
	}
	if first, err = s.see(ctx, from, f); err != nil {
		return nil, nil, err
	}
	if second, err = s.see(ctx, to, f); err != nil {
		return nil, nil, err
	}
	for _, v := range second.services {
		if from == to || v.Spec.Labels[labelCopyOf] != from {
			return nil, nil, &nuvlaops.Error{Resource: v.Spec.Name, Reason: "the service is there, and is no copy of one of stack " + from,
				Err: nuvlaops.ErrRefused, Hint: "nothing was changed"}
		}
	}
	return first, second, nil
}

// stackCopySpec makes the specification of the copy.
func stackCopySpec(v swarm.Service, from, to, name string) (swarm.ServiceSpec, error) {
	spec := v.Spec
	spec.Name = to + "_" + name
	spec.Labels = quiet(spec.Labels)
	spec.Labels[labelStack], spec.Labels[labelCopyOf], spec.Labels[labelReplicas] = to, from, "1"
	zero := uint64(0)
	spec.Mode = swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &zero}}
	spec.EndpointSpec = withoutPorts(spec.EndpointSpec)
	spec.TaskTemplate.Placement = somewhere(spec.TaskTemplate.Placement)
	if spec.TaskTemplate.ContainerSpec == nil {
		return spec, &nuvlaops.Error{Resource: v.Spec.Name, Reason: "the service runs no containers", Err: nuvlaops.ErrRefused}
	}
	container := *spec.TaskTemplate.ContainerSpec
	container.Labels = quiet(container.Labels)
	container.Labels[labelStack] = to
	container.Mounts = nil
	owned := mounts(v)
	for i, m := range spec.TaskTemplate.ContainerSpec.Mounts {
		copied, err := copyMount(m, owned[i].Own, from, to)
		if err != nil {
			return spec, nuvlaops.Wrap("", v.Spec.Name, err)
		}
		container.Mounts = append(container.Mounts, copied)
	}
	spec.TaskTemplate.ContainerSpec = &container
	return spec, nil
}

// quiet are the labels that others do not act on: with those of a proxy that finds its services by labels, requests for the
// original would be routed to the copy.
func quiet(labels map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range labels {
		if strings.HasPrefix(key, "com.docker.stack.") || strings.HasPrefix(key, "org.nuvla.") {
			out[key] = value
		}
	}
	return out
}

// copyMount gives the copy a volume of its own, and leaves it what it can only read.
func copyMount(m mount.Mount, own bool, from, to string) (mount.Mount, error) {
	driver := (*mount.Driver)(nil)
	if m.VolumeOptions != nil {
		driver = m.VolumeOptions.DriverConfig
	}
	elsewhere := driver != nil && (len(driver.Options) > 0 || driver.Name != "" && driver.Name != "local")
	switch {
	case m.Type == mount.TypeTmpfs, m.Type == mount.TypeVolume && m.Source == "" && !elsewhere, m.ReadOnly && !own:
		return m, nil
	case own && !elsewhere:
		m.Source = to + "_" + strings.TrimPrefix(m.Source, from+"_")
		options := *m.VolumeOptions
		options.Labels = maps.Clone(options.Labels)
		options.Labels[labelStack], options.Labels[labelCopyOf] = to, from
		m.VolumeOptions = &options
		return m, nil
	}
	return m, &nuvlaops.Error{Reason: fmt.Sprintf("its copy would write to the same data at %s: a %s of %s is not the stack's own volume", m.Target, m.Type, m.Source),
		Err: nuvlaops.ErrRefused, Hint: "nothing was changed; such a stack cannot be copied"}
}

// checkCopiedVolumes: what is there under the names of the copy's volumes, or as volumes of its stack, must be of a copy. Anything
// else is data of others, which the copy would write to and a wipe of the copy would remove. What an earlier copy has left, without
// its service, would be found by the next one, which is promised empty volumes.
func (s *Swarm) checkCopiedVolumes(ctx context.Context, second *world, from string, specs map[string]swarm.ServiceSpec) error {
	wanted := map[string]bool{}
	for _, spec := range specs {
		for _, m := range spec.TaskTemplate.ContainerSpec.Mounts {
			wanted[m.Source] = wanted[m.Source] || m.VolumeOptions != nil && m.VolumeOptions.Labels[labelCopyOf] == from
		}
	}
	for _, e := range second.fleet.engines {
		list, err := read(ctx, s, second.stack, func(ctx context.Context) (client.VolumeListResult, error) {
			return e.api.VolumeList(ctx, client.VolumeListOptions{})
		})
		if err != nil {
			return err
		}
		for _, v := range list.Items {
			switch {
			case wanted[v.Name] && v.Labels[labelCopyOf] == from && len(second.mountedBy(v.Name)) == 0:
				return &nuvlaops.Error{Resource: v.Name, Reason: "volume " + v.Name + " is left on node " + e.name + " of a copy whose service is gone, and need not be empty",
					Err: nuvlaops.ErrRefused, Hint: "nothing was changed; remove what is left of that copy"}
			case (wanted[v.Name] || v.Labels[labelStack] == second.stack) && v.Labels[labelCopyOf] != from:
				return &nuvlaops.Error{Resource: v.Name, Reason: "volume " + v.Name + " is there on node " + e.name + ", and is of no copy of stack " + from,
					Err: nuvlaops.ErrRefused, Hint: "nothing was changed; choose another name for the copy"}
			}
		}
	}
	return nil
}

// networkForCopy returns the identifier of the copies' network.
func (s *Swarm) networkForCopy(ctx context.Context, from, to, name string, specs map[string]swarm.ServiceSpec) (string, error) {
	found, err := s.findNetwork(ctx, name)
	if err != nil {
		return "", err
	}
	if found == nil {
		made, err := s.api.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "overlay", Scope: "swarm", Attachable: true,
			Labels: map[string]string{labelStack: to, labelCopyOf: from}})
		return made.ID, explain(name, err)
	}
	if err := usable(*found, true); err != nil {
		return "", err
	}
	return found.ID, s.checkOthersOn(ctx, found, from, to, specs)
}
