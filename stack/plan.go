package stack

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

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
	// Unseen are nodes that cannot be looked at, and on which services of such volumes cannot run as they are. An old volume
	// there does no harm until a constraint or a label changes.
	Unseen []string `json:"unseen,omitempty"`
	// Dark are nodes that cannot be looked at, and that may hold volumes of the stack. Each is among the obstacles.
	Dark []string `json:"dark,omitempty"`
	// Obstacles stand in the way: Wipe refuses while there is one.
	Obstacles []string `json:"obstacles,omitempty"`
	// Lasting are those of the obstacles that Stop, of the services in question, does not take away.
	Lasting []string `json:"lasting,omitempty"`
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
	fmt.Fprintln(w, "REMOVE VOLUME\tNODE\tSIZE\tOF")
	for _, v := range p.Volumes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", v.Name, v.Node, size(v.Bytes), strings.Join(v.Services, " "))
	}
	_ = w.Flush() // into memory
	for _, k := range p.Kept {
		b.WriteString(nuvlaops.OneLine(fmt.Sprintf("kept: %s of %s: %s", k.Source, k.Service, k.Why)) + "\n")
	}
	for _, n := range p.Unseen {
		fmt.Fprintf(&b, "not looked at: node %s, where the services cannot run\n", n)
	}
	for _, o := range p.Obstacles {
		fmt.Fprintf(&b, "in the way: %s\n", nuvlaops.OneLine(o))
	}
	return b.String()
}

// PlanWipe plans for the volumes on all nodes that can be reached (see Options.Engines and Options.Job). Another node is an
// obstacle when tasks of the stack may run on it or have run on it: its volumes would come back with old data.
func (s *Swarm) PlanWipe(ctx context.Context, stack string, opts WipeOptions) (*WipePlan, error) {
	plan, _, err := s.planWipe(ctx, stack, opts)
	return plan, nuvlaops.Wrap("stack.PlanWipe", stack, err)
}

func (s *Swarm) planWipe(ctx context.Context, stack string, opts WipeOptions) (*WipePlan, *world, error) {
	if err := ValidateName(stack); err != nil {
		return nil, nil, err
	}
	for _, name := range opts.Volumes {
		if err := validName("volume", name); err != nil {
			return nil, nil, err
		}
	}
	f, err := s.fleet(ctx)
	if err != nil {
		return nil, nil, err
	}
	w, err := s.see(ctx, stack, f)
	if err == nil {
		err = s.seeGone(ctx, w, opts)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, name := range opts.Services {
		if _, there := w.services[name]; !there {
			return nil, nil, &nuvlaops.Error{Resource: name, Reason: "no such service in the stack, so its volumes are not known",
				Err: nuvlaops.ErrNotFound, Hint: "name its volumes instead, or its compose file"}
		}
	}
	plan := &WipePlan{Stack: stack, Options: opts}
	if w.own, err = s.volumes(ctx, w, w.meant(opts)); err != nil {
		return nil, nil, err
	}
	plan.choose(w, w.own)
	for _, check := range []func(context.Context, *world, *WipePlan) error{s.checkNamed, s.checkUnnamed, s.checkDrivers, s.checkUse, s.checkShared, s.checkNodes} {
		if err := check(ctx, w, plan); err != nil {
			return nil, nil, err
		}
	}
	slices.Sort(plan.Obstacles)
	slices.Sort(plan.Lasting)
	return plan, w, nil
}

// meant are the names of volumes that were given, and of those that the services in question mount as the stack's own. A name
// with a placeholder, such as {{.Task.Slot}}, is that of no volume.
func (w *world) meant(opts WipeOptions) []string {
	names := slices.Clone(opts.Volumes)
	for name, v := range w.services {
		if len(opts.Services)+len(opts.Volumes) > 0 && !slices.Contains(opts.Services, name) {
			continue
		}
		for _, m := range mounts(v) {
			if m.Own && !m.forEachTask() {
				names = append(names, m.Source)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// forEachTask: the name of the volume has a placeholder.
func (m Mount) forEachTask() bool { return strings.Contains(m.Source, "{{") }

// mayBe says whether the name with its placeholders is that of a volume, for some task.
func (m Mount) mayBe(volume string) bool {
	parts := regexp.MustCompile(`\{\{.*?\}\}`).Split(m.Source, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	is, _ := regexp.MatchString("^"+strings.Join(parts, ".*")+"$", volume)
	return is
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

func (p *WipePlan) obstacle(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	p.Obstacles, p.Lasting = append(p.Obstacles, text), append(p.Lasting, text)
}

// inUse is an obstacle that ends when the services are stopped.
func (p *WipePlan) inUse(format string, args ...any) {
	p.Obstacles = append(p.Obstacles, fmt.Sprintf(format, args...))
}
