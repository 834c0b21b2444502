package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

// coreIsGone refuses while the core runs: it would write into what is restored, and take from the queue that is filled.
func (r *recovery) coreIsGone(ctx context.Context) error {
	if r.cfg.drill { // nobody but this program knows the copy
		return nil
	}
	now, err := r.lookAtCore(ctx)
	if err != nil {
		return err
	}
	return idle(now)
}

// idle refuses when a service of the core runs or is about to.
func idle(core *stack.Stack) error {
	for _, s := range core.Services {
		if s.Running > 0 || s.Replicas > 0 {
			return refused(core.Name, "stop it first: do not leave out step stop-core", "service %s of stack %s runs, and would write beside the recovery", s.Name, core.Name)
		}
	}
	return nil
}

func (r *recovery) startCore(ctx context.Context) (string, error) {
	if r.cfg.drill {
		return r.startCopies(ctx)
	}
	if _, err := r.deploy(ctx, r.cfg.core, r.found.coreGone, r.cfg.coreCompose, true); err != nil {
		return "", err
	}
	now, err := r.lookAtCore(ctx)
	if err != nil {
		return "", err
	}
	if err := r.startInOrder(ctx, groups(now, []string{"api", "ui"}, []string{"job-executor", "job-distributor"})); err != nil {
		return "", err
	}
	return r.whatRuns(now)
}

// whatRuns counts what was started, and warns of services that were at no replicas before and stay there.
func (r *recovery) whatRuns(core *stack.Stack) (string, error) {
	services, tasks := 0, 0
	var idle []string
	for _, s := range core.Services {
		if neverStarted(&s) {
			idle = append(idle, s.Name)
			continue
		}
		services, tasks = services+1, tasks+max(s.Replicas, s.Remembered)
	}
	said := fmt.Sprintf("%d services run, %d replicas", services, tasks)
	if len(idle) == 0 {
		return said, nil
	}
	return said, r.remember(func(st *state) {
		st.warn("not started, since they had no replicas and none were remembered: %s of stack %s", strings.Join(idle, ", "), core.Name)
	})
}

// startInOrder starts the core: those that call the api after it. An api that answers is not waited for any longer: that it
// stays is seen together with the others.
func (r *recovery) startInOrder(ctx context.Context, order [][]string) error {
	options := stack.StartOptions{Groups: order, Progress: r.screen.Progress}
	if r.cfg.api != "" && len(order) > 1 && slices.Contains(order[0], "api") {
		options.Probes = map[string]func(context.Context) error{"api": answers(r.cfg.api)}
		first := options
		first.Groups, first.Stable = order[:1], time.Millisecond
		if err := r.stacks.Start(ctx, r.cfg.core, first); err != nil {
			return err
		}
		options.Groups = append([][]string{slices.Concat(order[0], order[1])}, order[2:]...)
	}
	return r.stacks.Start(ctx, r.cfg.core, options)
}

// answers is the probe of what answers with 200 when it works.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		client := &http.Client{Timeout: 5 * time.Second}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return &nuvlaops.Error{Op: "api", Resource: req.URL.Redacted(), Status: res.StatusCode, Reason: "it answers " + res.Status, Err: nuvlaops.ErrUnavailable}
		}
		return nil
	}
}

// groups puts the services that a stack has into the wanted groups, in order, and those in no group behind them.
func groups(s *stack.Stack, wanted ...[]string) [][]string {
	var out [][]string
	placed := map[string]bool{}
	for _, group := range wanted {
		var there []string
		for _, name := range group {
			placed[name] = true
			if s.Service(name) != nil {
				there = append(there, name)
			}
		}
		if len(there) > 0 {
			out = append(out, there)
		}
	}
	var rest []string
	for _, service := range s.Services {
		if !placed[service.Name] {
			rest = append(rest, service.Name)
		}
	}
	if len(rest) > 0 {
		out = append(out, rest)
	}
	return out
}
