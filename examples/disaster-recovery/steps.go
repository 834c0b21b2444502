package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/runbook"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/stack"
)

// steps are the recovery. Both stacks are stopped side by side: the databases' data is given up, so nothing that still
// talks to them for a moment can lose anything, and they boot again while the core still ends. Nothing is restored or
// queued before the core is gone, and the core is started last.
func (r *recovery) steps() []runbook.Step {
	steps := []runbook.Step{
		{Name: "stop-core", Title: "stop stack " + r.cfg.core, Run: r.stopCore},
		{Name: "stop-db", Title: "stop stack " + r.cfg.db, Run: r.stopDB},
	}
	ground := []string{"stop-db"}
	if r.chosen() == nil {
		steps = append(steps, runbook.Step{Name: "look", Title: "look for the snapshot through a throw-away Elasticsearch", After: ground, Run: r.look})
		ground = []string{"look"}
	}
	return append(steps,
		runbook.Step{Name: "wipe", Title: "remove the volumes of stack " + r.cfg.db, After: ground, Run: r.wipe},
		runbook.Step{Name: "deploy-db", Title: "deploy what is missing of stack " + r.cfg.db, After: []string{"wipe"}, Run: r.deployDB},
		runbook.Step{Name: "start-es", Title: "start Elasticsearch", After: []string{"deploy-db"}, Run: r.startES},
		runbook.Step{Name: "start-zk", Title: "start ZooKeeper", After: []string{"deploy-db"}, Run: r.startZK},
		runbook.Step{Name: "repository", Title: "register the repository, read-only, and find the snapshot", After: []string{"start-es"}, Run: r.repository},
		runbook.Step{Name: "restore", Title: "restore the snapshot and verify it", After: []string{"repository", "stop-core"}, Run: r.restore},
		runbook.Step{Name: "queue", Title: "rebuild the job queue and verify it", After: []string{"restore", "start-zk"}, Run: r.queue},
		runbook.Step{Name: "promote", Title: "make the repository writable again", After: []string{"restore"}, Run: r.promote},
		runbook.Step{Name: "start-core", Title: "start stack " + r.cfg.core, After: []string{"queue", "promote"}, Run: r.startCore},
	)
}

func (r *recovery) stopCore(ctx context.Context) (string, error) {
	err := r.stacks.Stop(ctx, r.cfg.core, stack.StopOptions{
		Groups:   groups(r.found.core, []string{"job-distributor", "job-executor", "ui"}, []string{"api"}),
		Progress: r.screen.Progress,
	})
	return "no container is left", err
}

func (r *recovery) stopDB(ctx context.Context) (string, error) {
	err := r.stacks.Stop(ctx, r.cfg.db, stack.StopOptions{Progress: r.screen.Progress})
	return "no container is left", err
}

// wipe removes the volumes. The guard is asked last: without a complete snapshot that was seen, nothing goes.
func (r *recovery) wipe(ctx context.Context) (string, error) {
	plan, err := r.stacks.PlanWipe(ctx, r.cfg.db, stack.WipeOptions{})
	if err != nil {
		return "", err
	}
	err = r.stacks.Wipe(ctx, plan, func(context.Context) error {
		if s := r.chosen(); s == nil || s.UUID == "" {
			return refused(r.cfg.db, "", "no complete snapshot has been seen")
		}
		return nil
	})
	return fmt.Sprintf("%d volumes removed", len(plan.Volumes)), err
}

func (r *recovery) deployDB(ctx context.Context) (string, error) {
	return r.deploy(ctx, r.cfg.db, r.found.db, dbServices, r.cfg.dbCompose)
}

func (r *recovery) deploy(ctx context.Context, name string, there *stack.Stack, services []string, compose string) (string, error) {
	missing := missing(there, services)
	if len(missing) == 0 {
		return "nothing is missing", nil
	}
	err := r.stacks.Deploy(ctx, name, stack.DeployOptions{Files: []string{compose}, CreateNetworks: true, Progress: r.screen.Progress})
	return "deployed " + strings.Join(missing, ", "), err
}

func (r *recovery) startES(ctx context.Context) (string, error) {
	err := r.stacks.Start(ctx, r.cfg.db, stack.StartOptions{
		Groups: [][]string{{"es"}}, Probes: map[string]func(context.Context) error{"es": cli.ElasticsearchServes(r.client)}, Progress: r.screen.Progress,
	})
	return "it serves", err
}

func (r *recovery) startZK(ctx context.Context) (string, error) {
	err := r.stacks.Start(ctx, r.cfg.db, stack.StartOptions{
		Groups: [][]string{{"zk"}}, Probes: map[string]func(context.Context) error{"zk": cli.ZooKeeperServes(r.cfg.zkHosts()...)}, Progress: r.screen.Progress,
	})
	return "it serves", err
}

func (r *recovery) repository(ctx context.Context) (string, error) {
	if _, err := r.repo.Ensure(ctx, r.readOnly(true)); err != nil {
		return "", err
	}
	if err := r.choose(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s shows %s", r.cfg.repository, r.chosen().Name), nil
}

// promote lets the cluster write to its repository: it is the one that owns it from now on.
func (r *recovery) promote(ctx context.Context) (string, error) {
	_, err := r.repo.Ensure(ctx, r.readOnly(false))
	return r.cfg.repository + " is verified and writable", err
}

func (r *recovery) readOnly(is bool) snapshot.Settings {
	s := r.cfg.settings
	s.ReadOnly = is
	return s
}

func (r *recovery) startCore(ctx context.Context) (string, error) {
	if _, err := r.deploy(ctx, r.cfg.core, r.found.core, coreServices, r.cfg.coreCompose); err != nil {
		return "", err
	}
	now, err := r.stacks.Look(ctx, r.cfg.core)
	if err != nil {
		return "", err
	}
	options := stack.StartOptions{Groups: groups(now, []string{"api"}, []string{"job-executor", "job-distributor", "ui"}), Progress: r.screen.Progress}
	if r.cfg.api != "" {
		options.Probes = map[string]func(context.Context) error{"api": r.apiServes}
	}
	if err := r.stacks.Start(ctx, r.cfg.core, options); err != nil {
		return "", err
	}
	tasks := 0
	for _, s := range now.Services {
		tasks += max(s.Replicas, s.Remembered)
	}
	return fmt.Sprintf("%d services run, %d replicas", len(now.Services), tasks), nil
}

func (r *recovery) apiServes(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.cfg.api, nil)
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
		return &nuvlaops.Error{Op: "api", Resource: r.cfg.api, Status: res.StatusCode, Reason: "it answers " + res.Status, Err: nuvlaops.ErrUnavailable}
	}
	return nil
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
