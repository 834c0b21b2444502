package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

// lookAtDB sees the stack of the databases, and lookAtCore that of the core: where it is one, each sees its own services.
func (r *recovery) lookAtDB(ctx context.Context, name string) (*stack.Stack, error) {
	db, err := r.stacks.Look(ctx, name)
	if err == nil && r.cfg.oneStack() {
		db.Services = slices.DeleteFunc(db.Services, func(s stack.Service) bool { return !isDatabase(s) })
	}
	return db, err
}

func (r *recovery) lookAtCore(ctx context.Context) (*stack.Stack, error) {
	core, err := r.stacks.Look(ctx, r.cfg.core)
	if err == nil && r.cfg.oneStack() {
		core.Services = slices.DeleteFunc(core.Services, isDatabase)
	}
	return core, err
}

func isDatabase(s stack.Service) bool { return slices.Contains(dbServices, s.Name) }

// checkStacks refuses when services are gone and nothing makes them again, and reads the compose files all the same.
func (r *recovery) checkStacks(ctx context.Context) error {
	db, core, replicasErr := r.found.db, r.found.core, r.checkReplicas()
	gone, dbErr := r.checkDeployment(ctx, db, dbServices, "-db-compose", r.cfg.dbCompose)
	if dbErr == nil {
		text := describeStack(db, gone)
		if left := without(names(db.Services), r.cfg.dbMeant()); len(left) > 0 {
			text += "; left alone: " + strings.Join(left, ", ")
		}
		r.page.good("stack "+db.Name, text)
	}
	gone, coreErr := r.checkDeployment(ctx, core, coreServices, "-core-compose", r.cfg.coreCompose)
	if coreErr == nil {
		r.found.coreGone = gone
		r.page.good("stack "+core.Name, describeStack(core, gone))
	}
	return errors.Join(replicasErr, dbErr, coreErr)
}

// checkDeployment says which services of a stack are gone and will be deployed. Of the databases' these are among the services
// named; the core's compose file knows itself what belongs to it, whatever the names.
func (r *recovery) checkDeployment(ctx context.Context, there *stack.Stack, services []string, flag, compose string) ([]string, error) {
	name, core := "stack "+there.Name, there == r.found.core
	gone := missing(there, services)
	if compose == "" {
		if len(gone) > 0 {
			return nil, r.page.bad(name, refused(there.Name, "give its compose file with "+flag, "stack %s has no service %s", there.Name, strings.Join(gone, ", ")))
		}
		return nil, nil
	}
	plan, err := r.stacks.PlanDeploy(ctx, there.Name, stack.DeployOptions{Files: []string{compose}, CreateNetworks: true, Stopped: core || r.cfg.oneStack()})
	if err != nil {
		return nil, r.page.bad(name, refusal(err))
	}
	if core {
		gone = plan.Services
		if r.cfg.oneStack() {
			gone = without(gone, dbServices)
		}
		if len(gone)+len(there.Services) == 0 { // it is elsewhere, and would go on beside the recovery
			return nil, r.page.bad(name, refused(there.Name, "correct -core, or -core-compose", "neither stack %s nor %s has a service of the core", there.Name, compose))
		}
	} else if lacks := without(gone, plan.Services); len(lacks) > 0 {
		return nil, r.page.bad(name, refused(there.Name, "give one that has them", "stack %s has no service %s, and neither has %s", there.Name, strings.Join(lacks, ", "), compose))
	}
	if len(gone) > 0 {
		r.noteDeployment(plan, compose)
	}
	return gone, nil
}

// noteDeployment says what a deployment does beside making services.
func (r *recovery) noteDeployment(plan *stack.DeployPlan, compose string) {
	if len(plan.Blank) > 0 {
		r.page.note("WARNING", fmt.Sprintf("%s names variables that are not set here, and that become empty in the services that are deployed: %s", compose, strings.Join(plan.Blank, ", ")))
	}
	if len(plan.Networks) > 0 {
		r.page.note("network", "made, attachable: "+strings.Join(plan.Networks, ", "))
	}
}

// checkReplicas refuses while what has to answer is at no replicas that nobody remembers: it would not be started again.
func (r *recovery) checkReplicas() error {
	for _, s := range []struct {
		stack   *stack.Stack
		service string
		steps   []string // that need it
	}{{r.found.db, "es", []string{"start-es", "restore"}}, {r.found.db, "zk", []string{"start-zk", "queue"}}, {r.found.core, "api", r.askingAPI()}} {
		v := s.stack.Service(s.service)
		needed := slices.ContainsFunc(s.steps, func(step string) bool { return r.cfg.leftOut(step) == "" })
		if v == nil || !needed || !neverStarted(v) {
			continue
		}
		full := s.stack.Name + "_" + s.service
		return r.page.bad("stack "+s.stack.Name, refused(full, "say how many to start: docker service update --label-add org.nuvla.ops.replicas=1 "+full,
			"service %s has no replicas, and none are remembered, so that it would not be started", full))
	}
	return nil
}

// askingAPI are the steps that end with an answer of the api.
func (r *recovery) askingAPI() []string {
	if r.cfg.api == "" {
		return nil
	}
	return []string{"start-core"}
}

// neverStarted says whether a service is at no replicas, and none are remembered.
func neverStarted(v *stack.Service) bool { return v.Replicas == 0 && !v.Stopped && !v.Global }

// checkCore refuses to begin beside a core that runs and would not be stopped.
func (r *recovery) checkCore(context.Context) error {
	if r.cfg.leftOut("stop-core") == "" {
		return nil
	}
	for _, step := range []string{"stop-db", "wipe", "restore", "queue"} {
		if err := idle(r.found.core); err != nil && r.cfg.leftOut(step) == "" {
			return r.page.bad("core", err)
		}
	}
	return nil
}

// refusal: what is missing stands in the way, and nothing was touched.
func refusal(err error) error {
	if errors.Is(err, nuvlaops.ErrNotFound) || errors.Is(err, nuvlaops.ErrInvalid) || errors.Is(err, nuvlaops.ErrUnsupported) {
		return fmt.Errorf("%w: %w; nothing was touched", nuvlaops.ErrRefused, err)
	}
	return err
}

func describeStack(s *stack.Stack, missing []string) string {
	var parts []string
	networks, secrets := map[string]bool{}, map[string]bool{}
	for _, v := range s.Services {
		state := fmt.Sprintf("%s %d/%d", v.Name, v.Running, v.Replicas)
		if v.Stopped {
			state = fmt.Sprintf("%s stopped (%d)", v.Name, v.Remembered)
		}
		parts = append(parts, state)
		for _, n := range v.Networks {
			networks[n] = true
		}
		for _, n := range v.Secrets {
			secrets[n] = true
		}
	}
	slices.Sort(parts)
	if len(missing) > 0 {
		parts = append(parts, "deployed from the compose file: "+strings.Join(missing, ", "))
	}
	text := strings.Join(parts, ", ")
	if len(networks) > 0 {
		text += "; network " + strings.Join(slices.Sorted(maps.Keys(networks)), ", ")
	}
	if len(secrets) > 0 {
		text += "; secrets " + strings.Join(slices.Sorted(maps.Keys(secrets)), ", ")
	}
	return text
}

// missing are those of the services that the stack does not have.
func missing(s *stack.Stack, services []string) []string {
	return slices.DeleteFunc(slices.Clone(services), func(name string) bool { return s.Service(name) != nil })
}

func without(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(others, name) })
}
