package stacktest

import (
	"cmp"
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

// Start brings services back and calls their probes until they succeed.
func (f *Fake) Start(ctx context.Context, name string, opts stack.StartOptions) error {
	return nuvlaops.Wrap("stack.Start", name, f.start(ctx, name, opts))
}

func (f *Fake) start(ctx context.Context, name string, opts stack.StartOptions) error {
	if err := errors.Join(check(ctx, name), opts.Validate()); err != nil {
		return err
	}
	groups := opts.Groups
	if len(groups) == 0 {
		var err error
		if groups, err = f.derived(name); err != nil {
			return err
		}
	}
	if missing := f.absent(name, slices.Concat(groups, [][]string{slices.Sorted(maps.Keys(opts.Probes))})); missing != "" {
		return notThere(missing)
	}
	if err := f.probesCanSucceed(name, groups, opts); err != nil {
		return err
	}
	report := newReporter("stack.Start", name, "starting", groups, opts.Progress)
	for _, group := range groups {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := f.startGroup(ctx, name, group, opts); err != nil {
			return err
		}
		report.done(group)
		if opts.Healthy != nil {
			opts.Healthy(slices.Clone(group))
		}
	}
	return nil
}

func (f *Fake) startGroup(ctx context.Context, name string, group []string, opts stack.StartOptions) error {
	if opts.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opts.Limit)
		defer cancel()
	}
	for _, key := range group {
		if err := f.bringBack(name, key); err != nil {
			return err
		}
	}
	var all sync.WaitGroup
	errs := make([]error, len(group))
	for i, key := range group {
		all.Go(func() { errs[i] = await(ctx, opts.Probes[key], cmp.Or(opts.ProbeTimeout, 5*time.Second)) })
	}
	all.Wait()
	return cmp.Or(errs...)
}

// probesCanSucceed refuses a probe of a service that has no replicas to come back to.
func (f *Fake) probesCanSucceed(name string, groups [][]string, opts stack.StartOptions) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range slices.Concat(groups...) {
		if v := f.stacks[name][key]; opts.Probes[key] != nil && v.now == 0 && v.remembered == 0 {
			return &nuvlaops.Error{Resource: name + "_" + key, Reason: "the service has no replicas and remembers none", Err: nuvlaops.ErrRefused}
		}
	}
	return nil
}

func (f *Fake) absent(name string, groups [][]string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range slices.Concat(groups...) {
		if f.stacks[name][key] == nil {
			return key
		}
	}
	return ""
}

func (f *Fake) bringBack(name, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := f.stacks[name][key]
	if v.remembered > 0 {
		f.run(name, v, v.remembered)
	}
	if f.fails(name, v) {
		return &nuvlaops.Error{Resource: name + "_" + key, Reason: "3 tasks failed, the last with: " + v.broken, Err: nuvlaops.ErrVerification}
	}
	for len(v.tasks) < v.now { // it is healed
		f.serial++
		v.tasks = append(v.tasks, fmt.Sprintf("task%d", f.serial))
	}
	return nil
}

func await(ctx context.Context, probe func(context.Context) error, limit time.Duration) error {
	for probe != nil {
		bounded, cancel := context.WithTimeout(ctx, limit)
		err := probe(bounded)
		cancel()
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w while waiting: probe: %w", context.Cause(ctx), err)
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}
