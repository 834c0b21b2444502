package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/swarm"

	"github.com/nuvla/nuvlaops"
)

func (o StartOptions) withDefaults() StartOptions {
	if o.ProbeTimeout == 0 {
		o.ProbeTimeout = 5 * time.Second
	}
	if o.Stable == 0 {
		o.Stable = defaultStable
	}
	if o.Failures == 0 {
		o.Failures = 3
	}
	return o
}

// Start brings services back from their own specification, so that they keep their secrets, networks and constraints.
func (s *Swarm) Start(ctx context.Context, stack string, opts StartOptions) error {
	return nuvlaops.Wrap("stack.Start", stack, s.start(ctx, stack, opts.withDefaults()))
}

func (s *Swarm) start(ctx context.Context, stack string, opts StartOptions) error {
	if err := ValidateName(stack); err != nil {
		return err
	}
	if err := opts.Validate(); err != nil {
		return err
	}
	f, err := s.fleet(ctx)
	if err != nil {
		return err
	}
	first, err := s.see(ctx, stack, f)
	if err != nil {
		return err
	}
	groups, err := first.startGroups(opts)
	if err != nil {
		return err
	}
	report := newReporter("stack.Start", stack, "starting", groups, opts.Progress, s.now)
	for _, group := range groups {
		if err := s.startGroup(ctx, first, group, opts, report); err != nil {
			return err
		}
		if opts.Healthy != nil {
			opts.Healthy(slices.Clone(group))
		}
	}
	return nil
}

// startGroups are the groups asked for, or all services, those last that need others. All must be there before any is started.
func (w *world) startGroups(opts StartOptions) ([][]string, error) {
	groups := opts.Groups
	if len(groups) == 0 {
		var err error
		if groups, err = w.derived(); err != nil {
			return nil, err
		}
	}
	var missing []string
	for _, name := range append(slices.Concat(groups...), slices.Sorted(maps.Keys(opts.Probes))...) {
		if _, there := w.services[name]; !there {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, &nuvlaops.Error{Resource: w.stack, Reason: "no such services: " + some(missing), Err: nuvlaops.ErrNotFound,
			Hint: "deploy them first"}
	}
	if err := w.refuseJobs(groups); err != nil {
		return nil, err
	}
	return groups, w.probesCanSucceed(groups, opts)
}

// probesCanSucceed refuses a probe of a service that is at nothing, and that Stop has not brought there.
func (w *world) probesCanSucceed(groups [][]string, opts StartOptions) error {
	for _, name := range slices.Concat(groups...) {
		spec := w.services[name].Spec
		if opts.Probes[name] != nil && atNothing(spec) && spec.Labels[labelReplicas] == "" {
			return &nuvlaops.Error{Resource: spec.Name, Reason: "the service has no replicas and remembers none, so that nothing would answer its probe",
				Err: nuvlaops.ErrRefused, Hint: "nothing was started; scale it by hand: docker service scale " + spec.Name + "=N"}
		}
	}
	return nil
}

// startGroup starts the services of a group and waits for all of them; the first that cannot become healthy ends the
// others' wait.
func (s *Swarm) startGroup(ctx context.Context, first *world, group []string, opts StartOptions, report *reporter) error {
	ctx, cancelLimit := limited(ctx, opts.Limit)
	defer cancelLimit()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	events := s.watch(ctx, first.fleet, first.stack)
	defer events.close()
	report.say("waiting for", group)
	before, err := s.see(ctx, first.stack, first.fleet) // what failed while it lacked an earlier group is forgiven
	if err != nil {
		return err
	}
	health := newHealth(s, before, group, opts, report, events)
	for _, name := range group {
		if err := s.update(ctx, first.services[name].ID, up); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		s.opts.Logger.InfoContext(ctx, "service started", "stack", first.stack, "service", name)
	}
	var wg sync.WaitGroup
	for _, name := range group {
		if probe := opts.Probes[name]; probe != nil {
			wg.Go(func() { health.probe(ctx, name, probe) })
		}
	}
	err = events.until(ctx, health.look)
	cancel(errDone)
	wg.Wait()
	return err
}

var errDone = errors.New("the wait is over")

// health follows the services of a group until all are healthy.
type health struct {
	s      *Swarm
	first  *world
	group  []string
	opts   StartOptions
	report *reporter
	events *watch
	old    map[string]bool // tasks that had failed before, or that Stop has ended: whether well or not may show only later

	mu    sync.Mutex
	state map[string]*serviceHealth
}

type serviceHealth struct {
	running  string    // the tasks that run, while all do; "" otherwise
	since    time.Time // since when the same tasks run
	probed   string    // the tasks that ran when the probe succeeded, from its begin to its end
	lastErr  error     // of the probe
	healthy  bool
	idle     time.Time // since when, or since the last reminder, fewer tasks live than are wanted
	reminded bool
	failed   []swarm.Task // since the start: the orchestrator forgets all but the last few
}

func newHealth(s *Swarm, first *world, group []string, opts StartOptions, report *reporter, events *watch) *health {
	h := &health{s: s, first: first, group: group, opts: opts, report: report, events: events, old: map[string]bool{}, state: map[string]*serviceHealth{}}
	for _, name := range group {
		h.state[name] = &serviceHealth{}
		for _, t := range first.tasks[name] {
			if failed(t) || atNothing(first.services[name].Spec) {
				h.old[t.ID] = true
			}
		}
	}
	return h
}

// look sees whether all services of the group are healthy, and ends the wait when one never will be.
func (h *health) look(ctx context.Context) (bool, string, error) {
	w, err := h.s.see(ctx, h.first.stack, h.first.fleet)
	if err != nil {
		return false, "", err
	}
	var missing []string
	for _, name := range h.group {
		why, err := h.judge(ctx, name, w)
		if err != nil {
			return false, "", err
		}
		if why != "" {
			missing = append(missing, name+": "+why)
		}
	}
	if len(missing) > 0 {
		h.report.say(some(missing), nil)
	}
	return len(missing) == 0, some(missing), nil
}

// judge says why a service is not healthy yet ("" when it is), or an error when it keeps failing.
func (h *health) judge(ctx context.Context, name string, w *world) (why string, err error) {
	v, there := w.services[name]
	if !there {
		return "", &nuvlaops.Error{Resource: w.stack + "_" + name, Reason: "the service was removed while it was waited for",
			Err: nuvlaops.ErrConflict}
	}
	if atNothing(v.Spec) {
		if v.Spec.Labels[labelReplicas] != "" {
			return "", &nuvlaops.Error{Resource: v.Spec.Name, Reason: "the service was stopped while it was waited for",
				Err: nuvlaops.ErrConflict}
		}
		h.countHealthy(name) // none wanted
		return "", nil
	}
	tasks := w.tasks[name]
	if v.Spec.Mode.Global != nil && h.opts.Probes[name] == nil && !slices.ContainsFunc(tasks, wanted) && !w.fleet.hasPlaceFor(v.Spec) {
		h.countHealthy(name) // none wanted either
		return "", nil
	}
	if err := h.failing(ctx, name, v, tasks); err != nil {
		return "", err
	}
	running, why := w.allRunning(name)
	h.mu.Lock()
	defer h.mu.Unlock()
	state := h.state[name]
	if running != state.running {
		state.running, state.since = running, h.s.now()
	}
	switch left := h.opts.Stable - h.s.now().Sub(state.since); {
	case running == "":
		return why, nil
	case h.opts.Probes[name] != nil && state.probed != running:
		if state.lastErr != nil {
			return "probe: " + state.lastErr.Error(), nil
		}
		return "not probed yet", nil
	case left > 0:
		h.events.sooner(left)
		return "running, not stable yet", nil
	}
	h.countHealthy(name)
	return "", nil
}

func (h *health) countHealthy(name string) {
	if !h.state[name].healthy {
		h.state[name].healthy = true
		h.report.done([]string{name})
	}
}

// allRunning names the tasks that run when as many run as are wanted; otherwise it says what is missing.
func (w *world) allRunning(name string) (running, why string) {
	var ids []string
	live, note := 0, ""
	for _, t := range w.tasks[name] {
		if !wanted(t) || ended(t) {
			continue
		}
		live++
		up, halted := t.Status.State == swarm.TaskStateRunning && t.DesiredState == swarm.TaskStateRunning, w.halted(name, t)
		switch {
		case up && halted != "":
			note = halted
		case up:
			ids = append(ids, t.ID)
		default:
			note = "a task is " + string(t.Status.State)
			if t.Status.Err != "" {
				note += " (" + t.Status.Err + ")"
			}
		}
	}
	want, spec := live, w.services[name].Spec
	if r := spec.Mode.Replicated; r != nil && r.Replicas != nil {
		want = int(*r.Replicas)
	}
	if spec.Mode.Global != nil && live == 0 && !w.fleet.hasPlaceFor(spec) {
		note = "no active node meets its constraints"
	}
	if len(ids) == 0 || len(ids) != want || len(ids) != live {
		why = fmt.Sprintf("%d of %d tasks run", len(ids), want)
		if note != "" {
			why += ", " + note
		}
		return "", why
	}
	slices.Sort(ids)
	return fmt.Sprint(ids), ""
}

// halted says why the container of a task that runs does not do so too, as far as it can be seen, or "": a node that has just
// been restarted has not told yet which have ended, and none tells which are paused.
func (w *world) halted(name string, t swarm.Task) string {
	id := containerOf(t)
	if id == "" || w.fleet.on(t.NodeID) == nil {
		return ""
	}
	i := slices.IndexFunc(w.containers[name], func(c held) bool { return c.ID == id })
	switch {
	case i < 0:
		return "a container is gone"
	case w.containers[name][i].State == container.StateRunning:
		return ""
	}
	c := w.containers[name][i]
	return "container " + containerName(c.Names, c.ID) + " is " + string(c.State)
}

// probe calls a service's probe while its tasks run, until it succeeds for the tasks that run now.
func (h *health) probe(ctx context.Context, name string, probe func(context.Context) error) {
	for {
		before := h.runs(name)
		if before != "" && !h.probedFor(name, before) {
			once, cancel := context.WithTimeoutCause(ctx, h.opts.ProbeTimeout,
				fmt.Errorf("no answer within %s: %w", h.opts.ProbeTimeout, context.DeadlineExceeded))
			err := probe(once)
			cancel()
			if ctx.Err() != nil {
				return
			}
			if h.result(name, before, err) {
				h.events.poke()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(soonest):
		}
	}
}

func (h *health) runs(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state[name].running
}

func (h *health) probedFor(name, running string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state[name].probed == running
}

func (h *health) result(name, before string, err error) (success bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	state := h.state[name]
	state.lastErr = err
	if success = err == nil && state.running == before; success {
		state.probed = before
	}
	return success
}
