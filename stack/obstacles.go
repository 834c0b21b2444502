package stack

import (
	"context"
	"fmt"
	"slices"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"
)

// checkNamed: a volume that was named, or that a service would come back to, must be the stack's, or gone.
func (s *Swarm) checkNamed(ctx context.Context, w *world, p *WipePlan) error {
	for _, name := range w.meant(p.Options) {
		for _, e := range w.fleet.engines {
			if slices.ContainsFunc(p.Volumes, func(v Volume) bool { return v.Name == name && v.NodeID == e.id }) {
				continue
			}
			there, err := s.inspect(ctx, e, name)
			if err != nil {
				return err
			}
			if there != nil {
				p.notOwn(name, e.name)
			}
		}
		for _, n := range w.fleet.byJob {
			if slices.Contains(w.answers[n.ID].Foreign, name) {
				p.notOwn(name, n.Description.Hostname)
			}
		}
	}
	return nil
}

// checkUnnamed: which of the stack's volumes are those of a service that has one for each task, only people know.
func (s *Swarm) checkUnnamed(_ context.Context, w *world, p *WipePlan) error {
	for _, name := range p.Options.Services {
		for _, m := range mounts(w.services[name]) {
			if m.Own && m.forEachTask() && len(p.Options.Volumes) == 0 {
				p.obstacle("service %s has a volume for each task, %s: name those volumes themselves", name, m.Source)
			}
		}
	}
	return nil
}

func (p *WipePlan) notOwn(volume, node string) {
	p.obstacle("volume %s on node %s is not the stack's own: it is external, of another stack, or was made by hand", volume, node)
}

// checkDrivers: removing a volume that only points at data elsewhere would leave the data, and it would come back.
func (s *Swarm) checkDrivers(ctx context.Context, w *world, p *WipePlan) error {
	for _, v := range p.Volumes {
		why := w.answers[v.NodeID].Obstacles[v.Name]
		if e := w.fleet.on(v.NodeID); e != nil {
			there, err := s.inspect(ctx, e, v.Name)
			if err != nil {
				return err
			}
			why = pointsElsewhere(there)
		}
		if why != "" {
			p.obstacle("%s", why)
		}
	}
	return nil
}

// pointsElsewhere says why the data of a volume would survive its removal, or "". Of a volume that is gone it is "".
func pointsElsewhere(v *volume.Volume) string {
	switch {
	case v == nil:
	case v.Driver != "local" || v.Scope == "global":
		return fmt.Sprintf("volume %s is of driver %s: remove its data with the driver's own tools", v.Name, v.Driver)
	case v.Options["device"] != "" && v.Options["type"] != "tmpfs":
		return fmt.Sprintf("volume %s only points at %s: its removal would leave the data", v.Name, v.Options["device"])
	}
	return ""
}

// checkUse: nothing may hold a volume, nor want to.
func (s *Swarm) checkUse(ctx context.Context, w *world, p *WipePlan) error {
	services, err := read(ctx, s, w.stack, func(ctx context.Context) (client.ServiceListResult, error) {
		return s.api.ServiceList(ctx, client.ServiceListOptions{})
	})
	if err != nil {
		return err
	}
	for _, v := range p.Volumes {
		for _, c := range v.Containers {
			p.inUse("volume %s is in use by container %s", v.Name, c)
		}
		for _, other := range services.Items {
			ours := other.Spec.Labels[labelStack] == w.stack
			mounted := slices.ContainsFunc(mounts(other), func(m Mount) bool {
				return m.Type == "volume" && (m.Source == v.Name || ours && m.forEachTask() && m.mayBe(v.Name))
			})
			switch {
			case !mounted:
			case !ours:
				p.obstacle("volume %s is also mounted by service %s, which is not of the stack", v.Name, other.Spec.Name)
			case atNothing(other.Spec):
			case len(p.Options.Services) > 0 && !slices.Contains(p.Options.Services, w.short(other.Spec.Name)): // who stops what is meant leaves it running
				p.obstacle("volume %s is wanted by service %s, which is not named: stop it first", v.Name, other.Spec.Name)
			default:
				p.inUse("volume %s is wanted by service %s: stop it first", v.Name, other.Spec.Name)
			}
		}
	}
	return nil
}

// checkShared: what a service writes that nobody has named may be the only copy of its data.
func (s *Swarm) checkShared(_ context.Context, w *world, p *WipePlan) error {
	if len(p.Options.Services) == 0 {
		return nil // all is meant, or each volume was named
	}
	for _, v := range p.Volumes {
		for _, name := range v.Services {
			named := slices.Contains(p.Options.Services, name) || slices.Contains(p.Options.Volumes, v.Name)
			if !named && writes(w.services[name], v.Name) {
				p.obstacle("volume %s is also mounted by service %s, which is not named: name it too, or the volume, or mount it read-only there", v.Name, name)
			}
		}
	}
	return nil
}

func writes(v swarm.Service, volume string) bool {
	return slices.ContainsFunc(v.Spec.TaskTemplate.ContainerSpec.Mounts, func(m mount.Mount) bool {
		return m.Type == mount.TypeVolume && m.Source == volume && !m.ReadOnly
	})
}

// checkNodes: a local volume is on each node where a task ever ran, and the engine forgets tasks. So each node that cannot
// be looked at is in question if tasks with volumes that are meant may run there or are known to have run there.
func (s *Swarm) checkNodes(_ context.Context, w *world, p *WipePlan) error {
	for _, n := range w.fleet.dark {
		if w.mayHold(n.Node, p.Options) || p.ofGoneServices(w) {
			p.Dark = append(p.Dark, n.Description.Hostname)
			p.obstacle("node %s (%s) may hold volumes of the stack and cannot be looked at: %s%s", n.Description.Hostname, n.Status.State, n.why, ifGone(n.Node))
		} else {
			p.Unseen = append(p.Unseen, n.Description.Hostname)
		}
	}
	return nil
}

// ifGone says how to leave a machine behind that will not come back: the node that it was stays in the swarm, also beside a
// new one of the same name.
func ifGone(n swarm.Node) string {
	if n.Status.State != swarm.NodeStateDown {
		return ""
	}
	return "; if that machine is gone for good: docker node rm --force " + n.ID
}

// mayHold: without services nothing is known about where they ran, so that every node may.
func (w *world) mayHold(n swarm.Node, opts WipeOptions) bool {
	meant := w.meant(opts)
	for name, v := range w.services {
		if !slices.ContainsFunc(mounts(v), func(m Mount) bool { return m.Own && (m.forEachTask() || slices.Contains(meant, m.Source)) }) {
			continue
		}
		if w.mayHaveRun(n, []string{name}) {
			return true
		}
	}
	return len(w.services) == 0
}

// ofGoneServices: where the services of volumes ran that were named, and that no service mounts, is not known either.
func (p *WipePlan) ofGoneServices(w *world) bool {
	return slices.ContainsFunc(p.Options.Volumes, func(name string) bool { return len(w.mountedBy(name)) == 0 })
}

// inspect returns nil when the volume is not there.
func (s *Swarm) inspect(ctx context.Context, e *engine, name string) (*volume.Volume, error) {
	res, err := read(ctx, s, name, func(ctx context.Context) (client.VolumeInspectResult, error) {
		return e.api.VolumeInspect(ctx, name, client.VolumeInspectOptions{})
	})
	if isNotFound(err) {
		return nil, nil
	}
	return &res.Volume, err
}
