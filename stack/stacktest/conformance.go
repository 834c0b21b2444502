package stacktest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

// World is what Conformance works on.
type World struct {
	Controller stack.StackController
	// Stack is a name that is free, and so is it with "2" behind.
	Stack string
	// Deploy makes two services: db, of one replica with one volume, and app, of two replicas, which needs db.
	Deploy stack.DeployOptions
	// Volume is the full name of that volume in a stack of this name. Default STACK_data.
	Volume func(stack string) string
	// Starts says how often tasks have started on a volume, by its full name, since it was made.
	Starts func(t *testing.T, volume string) int
}

// Conformance checks that a controller keeps the contract of StackController. open is called once. A wait that does not end is
// ended five seconds before the test is out of time (go test -timeout).
func Conformance(t *testing.T, open func(t *testing.T) World) {
	c := &conformance{World: open(t)}
	if c.Volume == nil {
		c.Volume = func(stack string) string { return stack + "_data" }
	}
	// Each step goes on from the state in which the one before leaves the stack.
	for _, step := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"a stack that is not there has no services and is stopped", c.absent},
		{"deploy makes what is missing and touches nothing else", c.deploys},
		{"a running service's volume is not removed", c.refusesInUse},
		{"stop goes by groups, remembers replicas and may be repeated", c.stops},
		{"deploy leaves a stopped service stopped", c.leavesStopped},
		{"the guard is asked last and its refusal removes nothing", c.guards},
		{"wipe removes the plan's volumes and may be repeated", c.wipes},
		{"start goes by groups and waits for probes", c.starts},
		{"an old plan does not remove new data", c.refusesOldPlan},
		{"what is asked wrongly changes nothing", c.refusesNonsense},
		{"a context that has ended ends each call", c.cancels},
		{"without groups nothing outlives what it needs", c.ordersByNeed},
		{"a stack with a similar name is untouched", c.sparesNeighbour},
	} {
		if !t.Run(step.name, step.run) {
			return
		}
	}
}

type conformance struct {
	World
	neighbour []string // its tasks
	plan      *stack.WipePlan
	stopped   uint64 // version of app then
}

func (c *conformance) look(t *testing.T, name string) *stack.Stack {
	t.Helper()
	s, err := c.Controller.Look(bounded(t), name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// bounded is the test's context, and ends in time for a call to say what it waits for: a test that is out of time does not.
func bounded(t *testing.T) context.Context {
	deadline, limited := t.Deadline()
	if !limited {
		return t.Context()
	}
	ctx, cancel := context.WithDeadline(t.Context(), deadline.Add(-5*time.Second))
	t.Cleanup(cancel)
	return ctx
}

func tasks(s *stack.Stack) []string {
	var out []string
	for _, v := range s.Services {
		for _, task := range v.Tasks {
			if task.State == "running" && task.Wanted == "running" {
				out = append(out, task.ID)
			}
		}
	}
	slices.Sort(out)
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBe(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one that matches %q", err, want)
	}
}

// lastReport keeps the last Progress that it is called with.
func lastReport() (last *nuvlaops.Progress, to func(nuvlaops.Progress)) {
	last = new(nuvlaops.Progress)
	return last, func(p nuvlaops.Progress) { *last = p }
}

// mustTell checks that the last report of a call is of its two services.
func mustTell(t *testing.T, last *nuvlaops.Progress, op string) {
	t.Helper()
	if last.Op != op || last.Done != 2 || last.Total != 2 || last.Unit != "services" {
		t.Errorf("the last report is %+v, want one of %s with 2 of 2 services", *last, op)
	}
}

func (c *conformance) absent(t *testing.T) {
	if s := c.look(t, c.Stack); len(s.Services) > 0 || len(s.Volumes) > 0 {
		t.Fatalf("there is something already:\n%s", s)
	}
	must(t, c.Controller.Stop(bounded(t), c.Stack, stack.StopOptions{Groups: [][]string{{"app"}, {"db"}}}))
	mustBe(t, c.Controller.Start(bounded(t), c.Stack, stack.StartOptions{Groups: [][]string{{"db"}}}), nuvlaops.ErrNotFound)
	_, err := c.Controller.PlanWipe(bounded(t), c.Stack, stack.WipeOptions{Services: []string{"db"}})
	mustBe(t, err, nuvlaops.ErrNotFound)
	plan, err := c.Controller.PlanWipe(bounded(t), c.Stack, stack.WipeOptions{Services: []string{"db"}, Files: c.Deploy.Files})
	must(t, err)
	if len(plan.Volumes)+len(plan.Obstacles) > 0 {
		t.Errorf("want nothing to remove, and nothing in the way:\n%s", plan)
	}
}

func (c *conformance) deploys(t *testing.T) {
	for _, name := range []string{c.Stack + "2", c.Stack} {
		opts := c.Deploy
		made, tellMade := lastReport()
		opts.Progress = tellMade
		must(t, c.Controller.Deploy(bounded(t), name, opts))
		mustTell(t, made, "stack.Deploy")
		started, tellStarted := lastReport()
		must(t, c.Controller.Start(bounded(t), name, stack.StartOptions{Progress: tellStarted}))
		mustTell(t, started, "stack.Start")
	}
	c.neighbour = tasks(c.look(t, c.Stack+"2"))
	before := c.look(t, c.Stack)
	if db, app := before.Service("db"), before.Service("app"); db == nil || app == nil || db.Running != 1 || app.Running != 2 {
		t.Fatalf("not one db and two app:\n%s", before)
	}
	if n := len(tasks(before)); n != 3 {
		t.Fatalf("%d tasks are \"running\" and wanted so, as stack.Task says it, want 3", n)
	}
	must(t, c.Controller.Deploy(bounded(t), c.Stack, c.Deploy))
	if after := tasks(c.look(t, c.Stack)); !slices.Equal(tasks(before), after) {
		t.Errorf("tasks %v before the second deploy, %v after", tasks(before), after)
	}
	if n := c.Starts(t, c.Volume(c.Stack)); n != 1 {
		t.Errorf("%d starts on the volume, want 1", n)
	}
}

func (c *conformance) refusesInUse(t *testing.T) {
	plan, err := c.Controller.PlanWipe(bounded(t), c.Stack, stack.WipeOptions{})
	must(t, err)
	if len(plan.Obstacles) == 0 {
		t.Error("the plan has no obstacle although the volume is in use")
	}
	mustBe(t, c.Controller.Wipe(bounded(t), plan, func(context.Context) error {
		t.Error("the guard is asked although the volume is in use")
		return nil
	}), nuvlaops.ErrRefused)
	if n := c.Starts(t, c.Volume(c.Stack)); n != 1 {
		t.Errorf("%d starts on the volume, want 1: it is another volume", n)
	}
}

func (c *conformance) stops(t *testing.T) {
	var order []string
	last, tell := lastReport()
	must(t, c.Controller.Stop(bounded(t), c.Stack, stack.StopOptions{Groups: [][]string{{"app"}, {"db"}}, Progress: tell, Gone: func(group []string) {
		order = append(order, group...)
		if s := c.look(t, c.Stack); group[0] == "app" && (s.Service("app").Running != 0 || s.Service("db").Running != 1) {
			t.Errorf("when app is gone, db must still run:\n%s", s)
		}
	}}))
	mustTell(t, last, "stack.Stop")
	if !slices.Equal(order, []string{"app", "db"}) {
		t.Errorf("services gone in the order %v", order)
	}
	c.stopped = c.look(t, c.Stack).Service("app").Version
	must(t, c.Controller.Stop(bounded(t), c.Stack, stack.StopOptions{}))
	s := c.look(t, c.Stack)
	if v := s.Service("app").Version; v != c.stopped {
		t.Errorf("a second stop changed the version from %d to %d", c.stopped, v)
	}
	for name, want := range map[string]int{"db": 1, "app": 2} {
		if v := s.Service(name); !v.Stopped || v.Remembered != want || v.Running != 0 {
			t.Errorf("%s: stopped %v, remembers %d, runs %d; want it stopped, %d remembered", name, v.Stopped, v.Remembered, v.Running, want)
		}
	}
	if len(s.Volumes) != 1 || len(s.Volumes[0].Containers) != 0 {
		t.Errorf("want one volume that no container holds, have %+v", s.Volumes)
	}
}

func (c *conformance) leavesStopped(t *testing.T) {
	must(t, c.Controller.Deploy(bounded(t), c.Stack, c.Deploy))
	if v := c.look(t, c.Stack).Service("app"); !v.Stopped || v.Remembered != 2 {
		t.Errorf("deploy changed a stopped service: %+v", v)
	}
}

func (c *conformance) guards(t *testing.T) {
	plan, err := c.Controller.PlanWipe(bounded(t), c.Stack, stack.WipeOptions{Services: []string{"db"}})
	must(t, err)
	if len(plan.Volumes) != 1 || plan.Volumes[0].Name != c.Volume(c.Stack) || len(plan.Obstacles) > 0 {
		t.Fatalf("want a plan for the volume alone, with nothing in the way:\n%s", plan)
	}
	refusal := errors.New("the snapshot is not there")
	err = c.Controller.Wipe(bounded(t), plan, func(context.Context) error { return refusal })
	mustBe(t, err, nuvlaops.ErrRefused)
	mustBe(t, err, refusal)
	mustBe(t, c.Controller.Wipe(bounded(t), plan, nil), nuvlaops.ErrInvalid)
	if n := c.Starts(t, c.Volume(c.Stack)); n != 1 {
		t.Errorf("%d starts on the volume after the refusal, want 1", n)
	}
	// A plan survives being written down.
	text, err := json.Marshal(plan)
	must(t, err)
	c.plan = new(stack.WipePlan)
	must(t, json.Unmarshal(text, c.plan))
}

func (c *conformance) wipes(t *testing.T) {
	for call := range 2 {
		asked := 0
		must(t, c.Controller.Wipe(bounded(t), c.plan, func(context.Context) error { asked++; return nil }))
		if asked != 1-call {
			t.Errorf("call %d asked the guard %d times, want %d", call+1, asked, 1-call)
		}
	}
	if s := c.look(t, c.Stack); len(s.Volumes) > 0 {
		t.Errorf("the stack still has volumes:\n%s", s)
	}
}

func (c *conformance) starts(t *testing.T) {
	calls := 0
	opts := stack.StartOptions{Groups: [][]string{{"db"}, {"app"}}, Stable: 100 * time.Millisecond,
		Probes: map[string]func(context.Context) error{"db": func(context.Context) error {
			if calls++; calls < 3 {
				return errors.New("not yet")
			}
			return nil
		}},
		Healthy: func(group []string) {
			s := c.look(t, c.Stack)
			if group[0] == "db" && (s.Service("db").Running != 1 || s.Service("app").Running != 0 || calls < 3) {
				t.Errorf("db is reported healthy after %d probes, with:\n%s", calls, s)
			}
		}}
	must(t, c.Controller.Start(bounded(t), c.Stack, opts))
	s := c.look(t, c.Stack)
	if s.Service("db").Running != 1 || s.Service("app").Running != 2 || s.Service("app").Stopped {
		t.Errorf("not as before the stop:\n%s", s)
	}
	if s.Service("app").Version == c.stopped {
		t.Errorf("a start has left the version at %d", c.stopped)
	}
	if n := c.Starts(t, c.Volume(c.Stack)); n != 1 {
		t.Errorf("%d starts on the volume, want 1: a new one", n)
	}
	unasked := map[string]func(context.Context) error{"app": func(context.Context) error { t.Error("a probe of no group is called"); return nil }}
	must(t, c.Controller.Start(bounded(t), c.Stack, stack.StartOptions{Groups: [][]string{{"db"}}, Probes: unasked, Stable: 100 * time.Millisecond}))
	must(t, c.Controller.Start(bounded(t), c.Stack, stack.StartOptions{Stable: 100 * time.Millisecond}))
	if again := tasks(c.look(t, c.Stack)); !slices.Equal(tasks(s), again) {
		t.Errorf("a second start changed the tasks from %v to %v", tasks(s), again)
	}
}

func (c *conformance) refusesOldPlan(t *testing.T) {
	must(t, c.Controller.Stop(bounded(t), c.Stack, stack.StopOptions{}))
	mustBe(t, c.Controller.Wipe(bounded(t), c.plan, stack.Unguarded), nuvlaops.ErrConflict)
	if n := c.Starts(t, c.Volume(c.Stack)); n != 1 {
		t.Errorf("%d starts on the volume, want 1: it must still be there", n)
	}
}

func (c *conformance) refusesNonsense(t *testing.T) {
	ctx := bounded(t)
	for _, name := range []string{"", "-x", "no name", "a/b"} {
		_, lookErr := c.Controller.Look(ctx, name)
		_, planErr := c.Controller.PlanWipe(ctx, name, stack.WipeOptions{})
		for _, err := range []error{lookErr, planErr, c.Controller.Stop(ctx, name, stack.StopOptions{}), c.Controller.Start(ctx, name, stack.StartOptions{}),
			c.Controller.Deploy(ctx, name, c.Deploy), c.Controller.Wipe(ctx, &stack.WipePlan{Stack: name}, stack.Unguarded)} {
			mustBe(t, err, nuvlaops.ErrInvalid)
		}
	}
	mustBe(t, c.Controller.Start(ctx, c.Stack, stack.StartOptions{Groups: [][]string{{"db"}, {"nope"}}}), nuvlaops.ErrNotFound)
	mustBe(t, c.Controller.Start(ctx, c.Stack, stack.StartOptions{Groups: [][]string{{"db"}, {"db"}}}), nuvlaops.ErrInvalid)
	for _, opts := range []stack.StartOptions{{ProbeTimeout: -1}, {Stable: -1}, {Failures: -1}, {Limit: -1}} {
		mustBe(t, c.Controller.Start(ctx, c.Stack, opts), nuvlaops.ErrInvalid)
	}
	mustBe(t, c.Controller.Stop(ctx, c.Stack, stack.StopOptions{Limit: -1}), nuvlaops.ErrInvalid)
	mustBe(t, c.Controller.Stop(ctx, c.Stack, stack.StopOptions{Groups: [][]string{{"no name"}}}), nuvlaops.ErrInvalid)
	mustBe(t, c.Controller.Deploy(ctx, c.Stack, stack.DeployOptions{}), nuvlaops.ErrInvalid)
	mustBe(t, c.Controller.Deploy(ctx, c.Stack, stack.DeployOptions{Files: []string{"/nowhere/stack.yml"}}), nuvlaops.ErrInvalid)
	mustBe(t, c.Controller.Wipe(ctx, nil, stack.Unguarded), nuvlaops.ErrInvalid)
	_, err := c.Controller.PlanWipe(ctx, c.Stack, stack.WipeOptions{Files: []string{"/nowhere/stack.yml"}})
	mustBe(t, err, nuvlaops.ErrInvalid)
	plan, err := c.Controller.PlanWipe(ctx, c.Stack, stack.WipeOptions{Volumes: []string{c.Volume(c.Stack + "2")}})
	must(t, err)
	mustBe(t, c.Controller.Wipe(ctx, plan, stack.Unguarded), nuvlaops.ErrRefused)
	if s := c.look(t, c.Stack); s.Service("db").Running != 0 || len(s.Volumes) != 1 {
		t.Errorf("something changed:\n%s", s)
	}
}

func (c *conformance) cancels(t *testing.T) {
	ctx, cancel := context.WithCancel(bounded(t))
	cancel()
	plan, err := c.Controller.PlanWipe(bounded(t), c.Stack, stack.WipeOptions{})
	must(t, err)
	for name, call := range map[string]func() error{
		"Look":     func() error { _, err := c.Controller.Look(ctx, c.Stack); return err },
		"Stop":     func() error { return c.Controller.Stop(ctx, c.Stack, stack.StopOptions{}) },
		"PlanWipe": func() error { _, err := c.Controller.PlanWipe(ctx, c.Stack, stack.WipeOptions{}); return err },
		"Wipe":     func() error { return c.Controller.Wipe(ctx, plan, stack.Unguarded) },
		"Deploy":   func() error { return c.Controller.Deploy(ctx, c.Stack, c.Deploy) },
		"Start":    func() error { return c.Controller.Start(ctx, c.Stack, stack.StartOptions{}) },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context canceled", name, err)
		}
	}
	c.endsWait(t)
}

// endsWait: a probe that never succeeds is waited for until the context ends, and then named; no group is started after that.
func (c *conformance) endsWait(t *testing.T) {
	ctx, cancel := context.WithCancel(bounded(t))
	err := c.Controller.Start(ctx, c.Stack, stack.StartOptions{Groups: [][]string{{"db"}, {"app"}}, Healthy: func([]string) { cancel() }})
	mustBe(t, err, context.Canceled)
	if v := c.look(t, c.Stack).Service("app"); v.Replicas != 0 {
		t.Errorf("app was started after the end of the context: %+v", v)
	}
	ctx, cancel = context.WithCancel(bounded(t))
	defer cancel()
	err = c.Controller.Start(ctx, c.Stack, stack.StartOptions{Probes: map[string]func(context.Context) error{
		"db": func(context.Context) error { cancel(); return errors.New("never") }}})
	mustBe(t, err, context.Canceled)
	deaf := func(ctx context.Context) error { <-ctx.Done(); return errors.New("never") }
	err = c.Controller.Start(bounded(t), c.Stack, stack.StartOptions{ProbeTimeout: 50 * time.Millisecond, Limit: 200 * time.Millisecond,
		Probes: map[string]func(context.Context) error{"db": deaf}})
	mustBe(t, err, context.DeadlineExceeded)
	must(t, c.Controller.Start(bounded(t), c.Stack, stack.StartOptions{Stable: 100 * time.Millisecond}))
	if v := c.look(t, c.Stack).Service("app"); v.Running != 2 {
		t.Errorf("started again after a start that was interrupted: %d of 2 run", v.Running)
	}
}

// ordersByNeed: app needs db, so that it goes first and comes last.
func (c *conformance) ordersByNeed(t *testing.T) {
	var order []string
	note := func(group []string) { order = append(order, group...) }
	must(t, c.Controller.Stop(bounded(t), c.Stack, stack.StopOptions{Gone: note}))
	must(t, c.Controller.Start(bounded(t), c.Stack, stack.StartOptions{Stable: 100 * time.Millisecond, Healthy: note}))
	if !slices.Equal(order, []string{"app", "db", "db", "app"}) {
		t.Errorf("gone and healthy in the order %v, want app, db, db, app", order)
	}
	if v := c.look(t, c.Stack).Service("app"); !slices.Equal(v.Needs, []string{"db"}) || v.Replicas != 2 {
		t.Errorf("app after that: %+v, want two replicas that need db", v)
	}
}

func (c *conformance) sparesNeighbour(t *testing.T) {
	if now := tasks(c.look(t, c.Stack+"2")); !slices.Equal(c.neighbour, now) {
		t.Errorf("its tasks were %v, now %v", c.neighbour, now)
	}
	if n := c.Starts(t, c.Volume(c.Stack+"2")); n != 1 {
		t.Errorf("%d starts on its volume, want 1", n)
	}
}
