package stack

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/poll"
)

// scratch is the name of the stack under which the docker program makes, of a compose file, what a copy needs: the service's
// specification, at no replicas, and secrets, configs and networks that the file defines.
func (c *Copy) scratch() string { return "nuvlaops-copy-" + c.stack }

// fromFiles reads the service from compose files.
func (c *Copy) fromFiles(ctx context.Context, from CopyOptions) (swarm.ServiceSpec, error) {
	opts := DeployOptions{Files: from.Files, Env: from.Env, CreateNetworks: true}
	file, err := c.s.load(ctx, opts)
	if err != nil {
		return swarm.ServiceSpec{}, err
	}
	if _, there := file.Services[c.service]; !there {
		return swarm.ServiceSpec{}, &nuvlaops.Error{Reason: "neither the stack nor its compose file has service " + c.service, Err: nuvlaops.ErrNotFound}
	}
	absent, err := c.s.check(ctx, file.needs([]string{c.service}), opts)
	if err != nil {
		return swarm.ServiceSpec{}, err
	}
	part, err := file.alone(c.service, absent)
	if err != nil {
		return swarm.ServiceSpec{}, err
	}
	if _, err := c.s.docker(ctx, opts, part, "deploy", "--resolve-image", "never", detached, "--compose-file", "-", c.scratch()); err != nil {
		return swarm.ServiceSpec{}, err
	}
	return c.s.original(ctx, c.scratch(), c.service)
}

// alone is the file with one service, stopped, and what it uses, under no names that others could have. Networks that are
// absent are left out: nobody is on them. So are ports, which the copy does not publish and which would be reserved, and volumes,
// which it does not have and whose wipe would have to wait.
func (c *compose) alone(service string, absent []string) ([]byte, error) {
	raw := maps.Clone(c.stopped().raw)
	services := within(raw["services"])
	v := within(services[service])
	delete(v, "ports")
	mounted, _ := v["volumes"].([]any)
	v["volumes"] = slices.DeleteFunc(slices.Clone(mounted), func(m any) bool { return within(m)["type"] == string(mount.TypeVolume) })
	networks := within(v["networks"])
	for key := range networks {
		if o := c.Networks[key]; o.External && slices.Contains(absent, o.named(key)) {
			delete(networks, key)
		}
	}
	v["networks"] = networks
	if len(networks) == 0 {
		delete(v, "networks")
	}
	services[service] = v
	raw["services"] = services
	joined := slices.Collect(maps.Keys(networks))
	if o := c.Networks["default"]; !o.External || !slices.Contains(absent, o.named("default")) {
		joined = append(joined, "default") // by a service that says nothing
	}
	used := c.uses([]string{service})
	used["networks"] = joined
	for kind, keys := range used {
		raw[kind] = ofTheirOwn(within(raw[kind]), keys)
	}
	part := compose{raw: raw, Services: c.Services}
	return part.only([]string{service})
}

// ofTheirOwn are the used ones of what a file defines; those that are not external lose the names that they would have
// outside of their stack.
func ofTheirOwn(all map[string]any, used []string) map[string]any {
	out := map[string]any{}
	for key, v := range all {
		if !slices.Contains(used, key) {
			continue
		}
		o := within(v)
		if o["external"] != true {
			delete(o, "name")
		}
		out[key] = o
	}
	return out
}

// piece of a scratch stack, and how it is removed.
type piece struct {
	name   string
	remove func(context.Context) error
}

// pieces are what is there of the scratch stack, in the order in which they can be removed.
func (c *Copy) pieces(ctx context.Context) (out []piece, err error) {
	s, of := c.s, make(client.Filters).Add("label", labelStack+"="+c.scratch())
	services, err := s.api.ServiceList(ctx, client.ServiceListOptions{Filters: of})
	if err != nil {
		return nil, explain(c.scratch(), err)
	}
	for _, v := range services.Items {
		out = append(out, piece{v.Spec.Name, func(ctx context.Context) error {
			_, err := s.api.ServiceRemove(ctx, v.ID, client.ServiceRemoveOptions{})
			return err
		}})
	}
	networks, err := s.api.NetworkList(ctx, client.NetworkListOptions{Filters: of})
	if err != nil {
		return nil, explain(c.scratch(), err)
	}
	for _, v := range networks.Items {
		out = append(out, piece{v.Name, func(ctx context.Context) error {
			_, err := s.api.NetworkRemove(ctx, v.ID, client.NetworkRemoveOptions{})
			return err
		}})
	}
	secrets, err := s.api.SecretList(ctx, client.SecretListOptions{Filters: of})
	if err != nil {
		return nil, explain(c.scratch(), err)
	}
	for _, v := range secrets.Items {
		out = append(out, piece{v.Spec.Name, func(ctx context.Context) error {
			_, err := s.api.SecretRemove(ctx, v.ID, client.SecretRemoveOptions{})
			return err
		}})
	}
	configs, err := s.api.ConfigList(ctx, client.ConfigListOptions{Filters: of})
	if err != nil {
		return nil, explain(c.scratch(), err)
	}
	for _, v := range configs.Items {
		out = append(out, piece{v.Spec.Name, func(ctx context.Context) error {
			_, err := s.api.ConfigRemove(ctx, v.ID, client.ConfigRemoveOptions{})
			return err
		}})
	}
	return out, nil
}

// removePieces removes them, and returns when none is left: a network of the swarm is listed for a moment after its removal.
func (c *Copy) removePieces(ctx context.Context) error {
	return poll.Until(ctx, poll.Interval{First: soonest}, func(ctx context.Context) (bool, string, error) {
		pieces, err := read(ctx, c.s, c.scratch(), c.pieces)
		if isNotFound(err) {
			return false, "the list of what is left", nil // a network went while it was made
		}
		if err != nil {
			return false, "", err
		}
		var left []string
		for _, p := range pieces {
			left = append(left, p.name)
			if err := c.s.removed(ctx, p.remove); err != nil {
				return false, "", explain(p.name, err)
			}
		}
		return len(left) == 0, strings.Join(left, ", "), nil
	})
}
