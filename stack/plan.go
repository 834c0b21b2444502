package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// WipePlan is what Wipe would do.
type WipePlan struct {
	Stack   string      `json:"stack"`
	Options WipeOptions `json:"options"`
	// Volumes will be removed.
	Volumes []Volume `json:"volumes"`
	// Kept are data that the services mount and that stay: bind mounts, external and anonymous volumes.
	Kept []Kept `json:"kept,omitempty"`
	// Obstacles stand in the way: Wipe refuses while there is one.
	Obstacles []string `json:"obstacles,omitempty"`
}

// Kept is a mount whose data a wipe does not touch.
type Kept struct {
	Service string `json:"service"`
	Mount
	Why string `json:"why"`
}

// String is a table for people.
func (p *WipePlan) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "REMOVE VOLUME\tNODE\tSIZE\tCREATED\tOF")
	for _, v := range p.Volumes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", v.Name, v.Node, size(v.Bytes), v.Created.UTC().Format("2006-01-02 15:04:05"),
			strings.Join(v.Services, " "))
	}
	_ = w.Flush() // into memory
	for _, k := range p.Kept {
		fmt.Fprintf(&b, "kept: %s of %s: %s\n", k.Source, k.Service, k.Why)
	}
	for _, o := range p.Obstacles {
		fmt.Fprintf(&b, "in the way: %s\n", o)
	}
	return b.String()
}

// PlanWipe plans for the volumes on the engine's own node. Another node on which tasks of the services may have left
// volumes is an obstacle.
func (s *Swarm) PlanWipe(ctx context.Context, stack string, opts WipeOptions) (*WipePlan, error) {
	plan, err := s.planWipe(ctx, stack, opts)
	return plan, nuvlaops.Wrap("stack.PlanWipe", stack, err)
}

func (s *Swarm) planWipe(ctx context.Context, stack string, opts WipeOptions) (*WipePlan, error) {
	if err := validName("stack", stack); err != nil {
		return nil, err
	}
	self, err := s.manager(ctx)
	if err != nil {
		return nil, err
	}
	w, err := s.see(ctx, stack, self)
	if err != nil {
		return nil, err
	}
	for _, name := range opts.Services {
		if _, there := w.services[name]; !there {
			return nil, &nuvlaops.Error{Resource: name, Reason: "no such service in the stack, so its volumes are not known",
				Err: nuvlaops.ErrNotFound, Hint: "name its volumes in WipeOptions.Volumes"}
		}
	}
	plan := &WipePlan{Stack: stack, Options: opts}
	own, err := s.volumes(ctx, w)
	if err != nil {
		return nil, err
	}
	plan.choose(w, own)
	for _, check := range []func(context.Context, *world, *WipePlan) error{s.checkNamed, s.checkDrivers, s.checkUse, s.checkNodes} {
		if err := check(ctx, w, plan); err != nil {
			return nil, err
		}
	}
	slices.Sort(plan.Obstacles)
	return plan, nil
}

// choose takes the stack's volumes that are meant, and notes the mounts that stay.
func (p *WipePlan) choose(w *world, own []Volume) {
	all := len(p.Options.Services) == 0 && len(p.Options.Volumes) == 0
	for _, v := range own {
		meant := all || slices.Contains(p.Options.Volumes, v.Name) ||
			slices.ContainsFunc(v.Services, func(name string) bool { return slices.Contains(p.Options.Services, name) })
		if meant {
			p.Volumes = append(p.Volumes, v)
		}
	}
	for _, name := range w.names() {
		v, there := w.services[name]
		if !there || !all && !slices.Contains(p.Options.Services, name) {
			continue
		}
		for _, m := range mounts(v) {
			if why := whyKept(m); why != "" {
				p.Kept = append(p.Kept, Kept{Service: name, Mount: m, Why: why})
			}
		}
	}
}

func whyKept(m Mount) string {
	switch {
	case m.Type == "bind":
		return "a bind mount, its data is a folder of the host"
	case m.Type == "volume" && m.Source == "":
		return "an anonymous volume"
	case m.Type == "volume" && !m.Own:
		return "an external volume, not the stack's own"
	}
	return ""
}

// checkNamed: a volume that was named must be the stack's, or gone.
func (s *Swarm) checkNamed(ctx context.Context, w *world, p *WipePlan) error {
	for _, name := range p.Options.Volumes {
		if err := validName("volume", name); err != nil {
			return err
		}
		if slices.ContainsFunc(p.Volumes, func(v Volume) bool { return v.Name == name }) {
			continue
		}
		_, err := read(ctx, s, name, func(ctx context.Context) (client.VolumeInspectResult, error) {
			return s.api.VolumeInspect(ctx, name, client.VolumeInspectOptions{})
		})
		switch {
		case isNotFound(err):
		case err != nil:
			return err
		default:
			p.obstacle("volume %s is not the stack's own: it is external, or of another stack", name)
		}
	}
	return nil
}

// checkDrivers: removing a volume that only points at data elsewhere would leave the data, and it would come back.
func (s *Swarm) checkDrivers(ctx context.Context, w *world, p *WipePlan) error {
	for _, v := range p.Volumes {
		res, err := read(ctx, s, v.Name, func(ctx context.Context) (client.VolumeInspectResult, error) {
			return s.api.VolumeInspect(ctx, v.Name, client.VolumeInspectOptions{})
		})
		switch {
		case isNotFound(err):
		case err != nil:
			return err
		case res.Volume.Driver != "local" || res.Volume.Scope == "global":
			p.obstacle("volume %s is of driver %s: remove its data with the driver's own tools", v.Name, res.Volume.Driver)
		case res.Volume.Options["device"] != "" && res.Volume.Options["type"] != "tmpfs":
			p.obstacle("volume %s only points at %s: its removal would leave the data", v.Name, res.Volume.Options["device"])
		}
	}
	return nil
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
			p.obstacle("volume %s is in use by container %s", v.Name, c)
		}
		for _, other := range services.Items {
			mounted := slices.ContainsFunc(mounts(other), func(m Mount) bool { return m.Type == "volume" && m.Source == v.Name })
			switch {
			case !mounted:
			case other.Spec.Labels[labelStack] != w.stack:
				p.obstacle("volume %s is also mounted by service %s, which is not of the stack", v.Name, other.Spec.Name)
			case !atNothing(other.Spec):
				p.obstacle("volume %s is wanted by service %s: stop it first", v.Name, other.Spec.Name)
			}
		}
	}
	return nil
}

// checkNodes: a local volume is on each node where a task ever ran, and the engine forgets tasks. So each other node on
// which the services may run is in question.
func (s *Swarm) checkNodes(ctx context.Context, w *world, p *WipePlan) error {
	nodes, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.ID != w.self.id {
			p.obstacle("node %s (%s) may hold volumes of the stack, and only its own engine can remove them",
				n.Description.Hostname, n.Status.State)
		}
	}
	return nil
}

func (p *WipePlan) obstacle(format string, args ...any) {
	p.Obstacles = append(p.Obstacles, fmt.Sprintf(format, args...))
}
