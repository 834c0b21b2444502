package stack

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/moby/moby/api/types/swarm"

	"github.com/nuvla/nuvlaops/internal/poll"
)

// onNodes runs one job on each of some nodes, side by side.
func onNodes(nodes []swarm.Node, job func(swarm.Node) error) error {
	var mu sync.Mutex
	var all error
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			err := job(n)
			mu.Lock()
			defer mu.Unlock()
			all = errors.Join(all, err)
		})
	}
	wg.Wait()
	return all
}

// lookByJobs looks at the volumes of the nodes that jobs reach.
func (s *Swarm) lookByJobs(ctx context.Context, w *world, names []string) error {
	var mu sync.Mutex
	w.answers = map[string]jobAnswer{}
	return s.lookAround(ctx, w.fleet, w.fleet.byJob, func(n swarm.Node) error {
		answer, err := s.onNode(ctx, n, jobRequest{Do: "look", Stack: w.stack, Names: names, Sizes: s.opts.VolumeSizes})
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			w.answers[n.ID] = answer
		}
		return err
	})
}

// lookAround runs one job on each of some nodes. A node whose job fails is dark from then on.
func (s *Swarm) lookAround(ctx context.Context, f *fleet, nodes []swarm.Node, job func(swarm.Node) error) error {
	var mu sync.Mutex
	var dark []darkNode
	_ = onNodes(nodes, func(n swarm.Node) error {
		if err := job(n); err != nil {
			mu.Lock()
			defer mu.Unlock()
			dark = append(dark, darkNode{n, err.Error()})
		}
		return nil
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, d := range dark {
		s.opts.Logger.WarnContext(ctx, "node not looked at", "node", d.Description.Hostname, "error", d.why)
		f.byJob = slices.DeleteFunc(f.byJob, func(n swarm.Node) bool { return n.ID == d.ID })
		f.dark = append(f.dark, d)
	}
	return nil
}

// sweepByJobs removes the containers of a group that have ended from the nodes that jobs reach, once no task is left. Those
// of other nodes stay, which is said.
func (s *Swarm) sweepByJobs(ctx context.Context, w *world, group []string, report *reporter) error {
	for _, d := range w.fleet.dark {
		if w.mayHaveRun(d.Node, group) {
			report.say("containers that have ended may stay on node "+d.Description.Hostname+": "+d.why, nil)
		}
	}
	nodes := slices.DeleteFunc(slices.Clone(w.fleet.byJob), func(n swarm.Node) bool { return !w.mayHaveRun(n, group) })
	return onNodes(nodes, func(n swarm.Node) error {
		return poll.Until(ctx, poll.Interval{First: soonest}, func(ctx context.Context) (bool, string, error) {
			answer, err := s.onNode(ctx, n, jobRequest{Do: "sweep", Stack: w.stack, Services: group})
			return len(answer.Left) == 0, some(answer.Left) + " on node " + n.Description.Hostname, err
		})
	})
}

// mayHaveRun says whether tasks of services may have left containers on a node. Those of a service that is gone go with it.
func (w *world) mayHaveRun(n swarm.Node, services []string) bool {
	return slices.ContainsFunc(services, func(name string) bool {
		v, there := w.services[name]
		return there && (mayRun(v.Spec, n) || slices.ContainsFunc(w.tasks[name], func(t swarm.Task) bool { return t.NodeID == n.ID }))
	})
}

// wipeByJobs removes the plan's volumes on the nodes that jobs reach. Each job looks whether they are gone.
func (s *Swarm) wipeByJobs(ctx context.Context, f *fleet, plan *WipePlan) error {
	on := map[string][]Volume{}
	for _, v := range plan.Volumes {
		on[v.NodeID] = append(on[v.NodeID], v)
	}
	nodes := slices.DeleteFunc(slices.Clone(f.byJob), func(n swarm.Node) bool { return len(on[n.ID]) == 0 })
	return onNodes(nodes, func(n swarm.Node) error {
		_, err := s.onNode(ctx, n, jobRequest{Do: "wipe", Stack: plan.Stack, Volumes: on[n.ID]})
		if err == nil {
			s.opts.Logger.InfoContext(ctx, "volumes removed", "stack", plan.Stack, "volumes", len(on[n.ID]), "node", n.Description.Hostname)
		}
		return err
	})
}
