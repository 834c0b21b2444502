package stack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// called are the names that a service has on one of its networks, its own among them.
func called(on swarm.NetworkAttachmentConfig, own ...string) []string {
	return slices.Concat(on.Aliases, own)
}

// attached are the networks of a service. One without any is on a network of its own.
func attached(spec swarm.ServiceSpec) []swarm.NetworkAttachmentConfig {
	if len(spec.TaskTemplate.Networks) == 0 {
		return []swarm.NetworkAttachmentConfig{{Target: "none of " + spec.Name}}
	}
	return spec.TaskTemplate.Networks
}

// aliases are the names that the copy of a service has: those of the original on all its networks, also the one with the
// prefix of its stack.
func aliases(spec swarm.ServiceSpec, from, name string) []string {
	var out []string
	for _, n := range attached(spec) {
		for _, alias := range called(n, name, from+"_"+name) {
			if !slices.Contains(out, alias) {
				out = append(out, alias)
			}
		}
	}
	return out
}

// checkNames: the copies are all on one network, the originals on several. A name must lead to the same services on each
// network of the originals that knows it, or those who use it would reach others in the copy than they do in the original.
func checkNames(first, second *world, names []string) error {
	leads := map[string]map[string][]string{} // by name and network, to which services
	for _, service := range slices.Sorted(maps.Keys(first.services)) {
		if _, there := second.services[service]; !there && !slices.Contains(names, service) {
			continue
		}
		for _, n := range attached(first.services[service].Spec) {
			for _, name := range called(n, service, first.stack+"_"+service) {
				if leads[name] == nil {
					leads[name] = map[string][]string{}
				}
				if to := leads[name][n.Target]; !slices.Contains(to, service) {
					leads[name][n.Target] = append(to, service)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(leads)) {
		to := slices.SortedFunc(maps.Values(leads[name]), slices.Compare)
		if one, other := to[0], to[len(to)-1]; !slices.Equal(one, other) {
			return &nuvlaops.Error{Resource: first.stack, Reason: fmt.Sprintf("the name %s leads to %s on one network and to %s on another: in the copy it would lead to all of them",
				name, strings.Join(one, ", "), strings.Join(other, ", ")), Err: nuvlaops.ErrRefused,
				Hint: "nothing was changed; copy services of which only one has the name"}
		}
	}
	return nil
}

// checkOthersOn: who is on the network of the copies already, must not be found by a name of theirs.
func (s *Swarm) checkOthersOn(ctx context.Context, on *network.Network, from, to string, specs map[string]swarm.ServiceSpec) error {
	services, err := read(ctx, s, on.Name, func(ctx context.Context) (client.ServiceListResult, error) {
		return s.api.ServiceList(ctx, client.ServiceListOptions{})
	})
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	for name, spec := range specs {
		for _, alias := range aliases(spec, from, name) {
			taken[alias] = true
		}
	}
	for _, v := range services.Items {
		for _, n := range v.Spec.TaskTemplate.Networks {
			if n.Target != on.ID && n.Target != on.Name || v.Spec.Labels[labelStack] == to {
				continue
			}
			names := called(n, v.Spec.Name)
			i := slices.IndexFunc(names, func(name string) bool { return taken[name] })
			if i < 0 && v.Spec.Labels[labelStack] != from {
				continue
			}
			return &nuvlaops.Error{Resource: on.Name, Reason: fmt.Sprintf("service %s is on the network: its name %s would lead to a copy too", v.Spec.Name, names[max(i, 0)]),
				Err: nuvlaops.ErrRefused, Hint: "nothing was changed; name another network"}
		}
	}
	return nil
}
