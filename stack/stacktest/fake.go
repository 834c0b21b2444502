// Package stacktest helps to test what uses package stack: an orchestrator in memory, and what every StackController must
// do.
package stacktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

// Service is what a compose file of a Fake holds.
type Service struct {
	Name     string
	Replicas int
	// Volumes are names without the stack's prefix.
	Volumes []string
	// Needs are services that must not end before it.
	Needs []string
}

// Fake is a StackController in memory: containers start and end at once. Make it with NewFake. Its methods may be called at the
// same time.
type Fake struct {
	mu      sync.Mutex
	files   map[string][]Service
	stacks  map[string]map[string]*service
	volumes map[string]*volume
	failing map[string]string
	clock   time.Time
	serial  int
}

type service struct {
	Service
	now        int // replicas
	remembered int // by Stop
	version    uint64
	tasks      []string
	broken     string // why its tasks fail
}

type volume struct {
	stack   string
	created time.Time
	starts  int
}

var _ stack.StackController = (*Fake)(nil)

// NewFake returns an orchestrator without stacks.
func NewFake() *Fake {
	return &Fake{files: map[string][]Service{}, stacks: map[string]map[string]*service{}, volumes: map[string]*volume{},
		failing: map[string]string{}, clock: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)}
}

// AddFile says what Deploy makes of a compose file of this path.
func (f *Fake) AddFile(path string, services ...Service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[path] = services
}

// Break makes the tasks of a service fail with this reason from its next start on; "" heals it.
func (f *Fake) Break(stack, service, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing[stack+"_"+service] = reason
}

// Starts says how often tasks have started on a volume since it was made; 0 when it is not there.
func (f *Fake) Starts(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.volumes[name]; v != nil {
		return v.starts
	}
	return 0
}

// Look describes the stack.
func (f *Fake) Look(ctx context.Context, name string) (*stack.Stack, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := check(ctx, name); err != nil {
		return nil, nuvlaops.Wrap("stack.Look", name, err)
	}
	return f.describe(name), nil
}

func (f *Fake) describe(name string) *stack.Stack {
	out := &stack.Stack{Name: name, Volumes: f.describeVolumes(name)}
	for _, key := range slices.Sorted(maps.Keys(f.stacks[name])) {
		v := f.stacks[name][key]
		s := stack.Service{Name: key, ID: name + "/" + key, Version: v.version, Image: key, Replicas: v.now, Stopped: v.remembered > 0, Remembered: v.remembered,
			Needs: v.Needs, Health: stack.HealthHealthy}
		switch {
		case v.now == 0:
			s.Health = stack.HealthStopped
		case v.broken != "":
			s.Health, s.Error = stack.HealthFailing, v.broken
		}
		for i, id := range v.tasks {
			s.Tasks = append(s.Tasks, stack.Task{ID: id, Slot: i + 1, Node: "fake", State: "running", Wanted: "running", Since: f.clock, Container: id})
			s.Running++
		}
		for _, short := range v.Volumes {
			s.Mounts = append(s.Mounts, stack.Mount{Type: "volume", Source: name + "_" + short, Target: "/" + short, Own: true})
		}
		out.Services = append(out.Services, s)
	}
	return out
}

func (f *Fake) describeVolumes(name string) []stack.Volume {
	var out []stack.Volume
	for _, full := range slices.Sorted(maps.Keys(f.volumes)) {
		if f.volumes[full].stack != name {
			continue
		}
		v := stack.Volume{Name: full, Node: "fake", Created: f.volumes[full].created, Bytes: -1}
		for _, key := range slices.Sorted(maps.Keys(f.stacks[name])) {
			s := f.stacks[name][key]
			if slices.ContainsFunc(s.Volumes, func(short string) bool { return name+"_"+short == full }) {
				v.Services = append(v.Services, key)
				v.Containers = append(v.Containers, s.tasks...)
			}
		}
		out = append(out, v)
	}
	return out
}

// Stop ends the services' tasks.
func (f *Fake) Stop(ctx context.Context, name string, opts stack.StopOptions) error {
	if err := errors.Join(check(ctx, name), opts.Validate()); err != nil {
		return nuvlaops.Wrap("stack.Stop", name, err)
	}
	groups := opts.Groups
	if len(groups) == 0 {
		var err error
		if groups, err = f.derived(name); err != nil {
			return nuvlaops.Wrap("stack.Stop", name, err)
		}
		slices.Reverse(groups)
	}
	report := newReporter("stack.Stop", name, "stopping", groups, opts.Progress)
	for _, group := range groups {
		if ctx.Err() != nil {
			return nuvlaops.Wrap("stack.Stop", name, context.Cause(ctx))
		}
		f.mu.Lock()
		for _, key := range group {
			if v := f.stacks[name][key]; v != nil && v.now > 0 {
				v.remembered, v.now, v.tasks = v.now, 0, nil
				v.version++
			}
		}
		f.mu.Unlock()
		report.done(group)
		if opts.Gone != nil {
			opts.Gone(slices.Clone(group))
		}
	}
	return nil
}

func (f *Fake) derived(name string) ([][]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.describe(name).Groups()
}

// PlanWipe plans.
func (f *Fake) PlanWipe(ctx context.Context, name string, opts stack.WipeOptions) (*stack.WipePlan, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	plan, err := f.plan(ctx, name, opts)
	return plan, nuvlaops.Wrap("stack.PlanWipe", name, err)
}

func (f *Fake) plan(ctx context.Context, name string, opts stack.WipeOptions) (*stack.WipePlan, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	gone := map[string]Service{} // that is in a file, and has left no volume: this orchestrator removes no service
	if len(opts.Files) > 0 {
		var err error
		if gone, err = f.merged(opts.Files); err != nil {
			return nil, err
		}
	}
	for _, key := range opts.Services {
		if _, known := gone[key]; f.stacks[name][key] == nil && !known {
			return nil, notThere(key)
		}
	}
	plan := &stack.WipePlan{Stack: name, Options: opts}
	for _, full := range opts.Volumes {
		if v := f.volumes[full]; v != nil && v.stack != name {
			plan.Lasting = append(plan.Lasting, "volume "+full+" is not the stack's own")
			plan.Obstacles = slices.Clone(plan.Lasting)
		}
	}
	all := len(opts.Services) == 0 && len(opts.Volumes) == 0
	for _, v := range f.describeVolumes(name) {
		named := slices.Contains(opts.Volumes, v.Name)
		if !all && !named && !slices.ContainsFunc(v.Services, func(s string) bool { return slices.Contains(opts.Services, s) }) {
			continue
		}
		plan.Volumes = append(plan.Volumes, v)
		for _, c := range v.Containers {
			plan.Obstacles = append(plan.Obstacles, "volume "+v.Name+" is in use by container "+c)
		}
		for _, other := range v.Services {
			if !all && !named && !slices.Contains(opts.Services, other) {
				why := "volume " + v.Name + " is also mounted by service " + other + ", which is not named"
				plan.Obstacles, plan.Lasting = append(plan.Obstacles, why), append(plan.Lasting, why)
			}
		}
	}
	return plan, nil
}

// Wipe removes the plan's volumes.
func (f *Fake) Wipe(ctx context.Context, plan *stack.WipePlan, guard func(context.Context) error) error {
	if plan == nil || guard == nil {
		return nuvlaops.Wrap("stack.Wipe", "", &nuvlaops.Error{Reason: "no plan or no guard", Err: nuvlaops.ErrInvalid})
	}
	return nuvlaops.Wrap("stack.Wipe", plan.Stack, f.wipe(ctx, plan, guard))
}

func (f *Fake) wipe(ctx context.Context, plan *stack.WipePlan, guard func(context.Context) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := f.plan(ctx, plan.Stack, plan.Options)
	if err != nil {
		return err
	}
	for _, v := range now.Volumes {
		if !slices.ContainsFunc(plan.Volumes, func(p stack.Volume) bool { return p.Name == v.Name && p.Created.Equal(v.Created) }) {
			return &nuvlaops.Error{Resource: v.Name, Reason: "the volume is not in the plan", Err: nuvlaops.ErrConflict}
		}
	}
	switch {
	case len(now.Obstacles) > 0:
		return &nuvlaops.Error{Reason: fmt.Sprint(now.Obstacles), Err: nuvlaops.ErrRefused}
	case len(now.Volumes) == 0:
		return nil
	}
	f.mu.Unlock() // the guard may look
	err = guard(ctx)
	f.mu.Lock()
	if err != nil {
		return &nuvlaops.Error{Reason: "the guard refused: " + err.Error(), Err: errors.Join(nuvlaops.ErrRefused, err)}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, v := range now.Volumes {
		if there := f.volumes[v.Name]; there != nil && !there.created.Equal(v.Created) {
			return &nuvlaops.Error{Resource: v.Name, Reason: "the volume is not the one of the plan", Err: nuvlaops.ErrConflict}
		}
		delete(f.volumes, v.Name)
	}
	return nil
}

// Deploy makes the services of compose files that AddFile knows; one that is in several is what the last of them says.
func (f *Fake) Deploy(ctx context.Context, name string, opts stack.DeployOptions) error {
	made, err := f.deploy(ctx, name, opts)
	newReporter("stack.Deploy", name, "deploying", [][]string{made}, opts.Progress).done(made)
	return nuvlaops.Wrap("stack.Deploy", name, err)
}

func (f *Fake) deploy(ctx context.Context, name string, opts stack.DeployOptions) (made []string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	wanted, err := f.merged(opts.Files)
	if err != nil {
		return nil, err
	}
	if f.stacks[name] == nil {
		f.stacks[name] = map[string]*service{}
	}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if f.stacks[name][key] != nil {
			continue
		}
		v := &service{Service: wanted[key]}
		f.stacks[name][key], made = v, append(made, key)
		if opts.Stopped {
			v.remembered = v.Replicas
		} else {
			f.run(name, v, v.Replicas)
		}
	}
	return made, nil
}

// merged are the services of compose files by name.
func (f *Fake) merged(files []string) (map[string]Service, error) {
	if len(files) == 0 {
		return nil, noFile()
	}
	services := map[string]Service{}
	for _, path := range files {
		if f.files[path] == nil {
			return nil, noFile()
		}
		for _, s := range f.files[path] {
			services[s.Name] = s
		}
	}
	return services, nil
}

// run starts n tasks, on new volumes where there are none.
func (f *Fake) run(name string, v *service, n int) {
	v.now, v.remembered = n, 0
	v.version++
	for range n {
		f.serial++
		v.tasks = append(v.tasks, fmt.Sprintf("task%d", f.serial))
	}
	for _, short := range v.Volumes {
		full := name + "_" + short
		if f.volumes[full] == nil {
			f.clock = f.clock.Add(time.Second)
			f.volumes[full] = &volume{stack: name, created: f.clock}
		}
		f.volumes[full].starts += n
	}
	f.fails(name, v)
}

// fails ends the tasks of a service that is broken.
func (f *Fake) fails(name string, v *service) bool {
	if v.broken = f.failing[name+"_"+v.Name]; v.broken != "" {
		v.tasks = nil
	}
	return v.broken != ""
}
