package stack

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/moby/moby/api/types/swarm"

	"github.com/nuvla/nuvlaops"
)

// Stop scales services to nothing in order, removes their stopped containers from all nodes that can be reached (see
// Options.Engines and Options.Job), and waits until no task and no container is left. A service's own stop grace period ends
// what ignores SIGTERM.
func (s *Swarm) Stop(ctx context.Context, stack string, opts StopOptions) error {
	return nuvlaops.Wrap("stack.Stop", stack, s.stop(ctx, stack, opts))
}

func (s *Swarm) stop(ctx context.Context, stack string, opts StopOptions) error {
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
	w, err := s.see(ctx, stack, f)
	if err != nil {
		return err
	}
	groups, err := w.stopGroups(opts.Groups)
	if err != nil {
		return err
	}
	events := s.watch(ctx, f, stack)
	defer events.close()
	report := newReporter("stack.Stop", stack, "stopping", groups, opts.Progress, s.now)
	if len(opts.Groups) == 0 {
		if err := s.stopGone(ctx, w, opts.Limit, events, report); err != nil {
			return err
		}
	}
	for _, group := range groups {
		if err := s.stopGroup(ctx, w, group, opts.Limit, events, report); err != nil {
			return err
		}
		report.done(group)
		if opts.Gone != nil {
			opts.Gone(slices.Clone(group))
		}
	}
	return nil
}

func (s *Swarm) stopGroup(ctx context.Context, first *world, group []string, limit time.Duration, events *watch, report *reporter) error {
	ctx, cancel := limited(ctx, limit)
	defer cancel()
	report.say("scaling to nothing", group)
	for _, name := range group {
		if v, there := first.services[name]; there {
			if lost := anonymous(v); lost != "" { // moby/moby#37517
				report.say("the anonymous volume at "+lost+" goes with the containers of "+name, nil)
				s.opts.Logger.WarnContext(ctx, "anonymous volume goes with its container", "service", name, "target", lost)
			}
			if err := s.scaleDown(ctx, v.ID); err != nil {
				return fmt.Errorf("scale down %s: %w", name, err)
			}
			s.opts.Logger.InfoContext(ctx, "service scaled to nothing", "stack", first.stack, "service", name)
		}
	}
	if err := s.waitGone(ctx, first, group, events, report); err != nil {
		return err
	}
	return s.sweepByJobs(ctx, first, group, report)
}

// stopGone waits for services that are gone, and of which nothing but their tasks is seen here.
func (s *Swarm) stopGone(ctx context.Context, w *world, limit time.Duration, events *watch, report *reporter) error {
	gone, _, err := s.gone(ctx, w)
	if err != nil || len(gone) == 0 {
		return err
	}
	ctx, cancel := limited(ctx, limit)
	defer cancel()
	return s.waitGone(ctx, w, nil, events, report)
}

// waitGone waits until no task and no container of services that are at nothing, or not there, is left.
func (s *Swarm) waitGone(ctx context.Context, first *world, group []string, events *watch, report *reporter) error {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &remains{s: s, events: events, asked: map[string]bool{}, wanted: map[string]time.Time{}}
	err := events.until(ctx, func(ctx context.Context) (bool, string, error) {
		w, err := s.see(ctx, first.stack, first.fleet)
		if err != nil {
			return false, "", err
		}
		left, err := r.left(ctx, w, group)
		if err != nil {
			return false, "", err
		}
		if events.remote = r.remote; len(left) > 0 {
			report.say(some(left), nil)
		}
		return len(left) == 0, some(left), nil
	})
	cancel(errDone)
	r.stops.Wait()
	return err
}

// anonymous returns where a service mounts a volume without a name, if it does. Those of the image's own VOLUMEs are not
// in the specification.
func anonymous(v swarm.Service) string {
	for _, m := range mounts(v) {
		if m.Type == "volume" && m.Source == "" {
			return m.Target
		}
	}
	return ""
}
