// Command stack looks at, stops, wipes, deploys and starts one stack of a Docker Swarm. Each command may be called again
// and then finishes the work.
//
//	stack ps      STACK [-json] [-sizes]
//	stack stop    STACK [-groups "job-executor,job-distributor,ui;api"] [-limit 1m]
//	stack volumes STACK [-services es,zk] [-file db.yml] [-json]
//	stack wipe    STACK [-services es,zk] [-file db.yml] [-yes STACK] [-keep FOLDER] [-keep-as -old]
//	stack deploy  STACK -file db.yml [-create-networks]
//	stack start   STACK [-groups es,zk] [-probe "es=http://localhost:9200/_cluster/health?wait_for_status=yellow&timeout=1s"]
//	                    [-probe zk=zk://localhost:2181] [-stable 1s] [-limit 5m]
//	stack start   STACK -inside "es=curl -fsS http://es:9200/_cluster/health" -network nuvla-backend -image curlimages/curl
//	stack wait    STACK (as start, but nothing is started)
//
// wipe removes volumes only when the stack's name is typed, or given with -yes; then it archives (-keep) or copies
// (-keep-as) them first, when asked to. Groups are divided by semicolons, which a shell wants in quotes: one is stopped or
// started when the one before is gone or healthy. Without groups the order is that of the services' labels
// org.nuvla.ops.needs ("es, zk"). A probe runs here (-probe), or in a short container on a network where the services' names
// resolve (-inside).
//
// Run it where the docker program reaches a manager; files are read by that program, 23.0 or later, with the variables of the
// environment. The volumes of another node are seen and removed through its engine (-engine NODE=ADDRESS), or by a job service
// of ours with the node's socket (-job-image), from the image of "make image".
//
// Credentials come from the environment as for the docker program: DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or the context that
// DOCKER_CONTEXT or its configuration names.
//
// Exit codes: 0 done, 1 failed, 2 usage, 4 time-out, 11 refused: a precondition does not hold, and what needs it was left
// alone, 12 verification failed, 130 interrupted.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/stack"
)

func main() { cli.Main("stack", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 2 && args[0] == "node" {
		return stack.AnswerJob(ctx, args[1], stdout)
	}
	cfg, err := parse(args, stderr)
	if err != nil {
		return err
	}
	opts := &stack.Options{Host: cfg.host, Engines: cfg.engines, VolumeSizes: cfg.sizes}
	if cfg.job.Image != "" {
		opts.Job = &cfg.job
	}
	swarm, err := stack.NewSwarm(opts)
	if err != nil {
		return err
	}
	defer swarm.Close()
	return execute(ctx, cfg, swarm, os.Stdin, stdout, stderr)
}

// execute runs one command on any controller.
func execute(ctx context.Context, cfg config, controller stack.StackController, stdin io.Reader, stdout, stderr io.Writer) error {
	if cfg.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cfg.timeout)
		defer cancel()
	}
	screen := cli.NewScreen(stderr)
	defer screen.Close()
	p := &program{config: cfg, controller: controller, screen: screen, stdin: stdin, stdout: screen.Over(stdout)}
	switch cfg.command {
	case "ps":
		return p.ps(ctx)
	case "stop":
		return p.stop(ctx)
	case "volumes":
		_, err := p.plan(ctx)
		return err
	case "wipe":
		return p.wipe(ctx)
	case "deploy":
		return p.deploy(ctx)
	case "wait":
		if err := p.refuseStopped(ctx); err != nil {
			return err
		}
	}
	return p.start(ctx)
}

type program struct {
	config
	controller stack.StackController
	screen     *cli.Screen
	stdin      io.Reader
	stdout     io.Writer
}

// keeper and prober are what a controller may be able to do besides its contract, as that of Docker Swarm is.
type keeper interface {
	KeepVolumes(ctx context.Context, plan *stack.WipePlan, opts stack.KeepOptions) error
}

type planner interface {
	PlanDeploy(ctx context.Context, stack string, opts stack.DeployOptions) (*stack.DeployPlan, error)
}

type prober interface {
	ProbeFrom(network, image string, command ...string) func(context.Context) error
}

// tellGone tells of a stack without services: it may be gone, which ends the work of stop and wipe, or be called otherwise.
func (p *program) tellGone(s *stack.Stack) {
	if len(s.Services) == 0 {
		p.screen.Text(fmt.Sprintf("no service of stack %s is there: see docker stack ls for the names\n", p.name))
	}
}

// checkName looks, which takes a job on each node without an engine, so it comes where it keeps nobody waiting.
func (p *program) checkName(ctx context.Context) {
	if s, err := p.controller.Look(ctx, p.name); err == nil {
		p.tellGone(s)
	}
}

// noStack: nothing of it can be started.
func (p *program) noStack() error {
	return &nuvlaops.Error{Op: p.command, Resource: p.name, Reason: "there is no stack of this name", Hint: "see docker stack ls; a stack that is gone is made again by stack deploy",
		Err: nuvlaops.ErrNotFound}
}

func (p *program) ps(ctx context.Context) error {
	s, err := p.controller.Look(ctx, p.name)
	if err != nil {
		return err
	}
	p.tellGone(s)
	return p.print(s)
}

func (p *program) print(v fmt.Stringer) error {
	if p.json {
		return json.NewEncoder(p.stdout).Encode(v)
	}
	_, err := io.WriteString(p.stdout, v.String())
	return err
}

func (p *program) stop(ctx context.Context) error {
	err := p.controller.Stop(ctx, p.name, stack.StopOptions{Groups: p.groups, Limit: p.limit, Progress: p.screen.Progress,
		Gone: func(group []string) { p.screen.Printf("gone: %s", strings.Join(group, ", ")) }})
	if err == nil {
		p.checkName(ctx)
	}
	return err
}

func (p *program) plan(ctx context.Context) (*stack.WipePlan, error) {
	plan, err := p.controller.PlanWipe(ctx, p.name, stack.WipeOptions{Services: p.services, Volumes: p.volumes, Files: p.files})
	if err != nil {
		return nil, err
	}
	if len(plan.Volumes) == 0 {
		p.checkName(ctx)
	}
	return plan, p.print(plan)
}

// wipe shows the plan and asks. The answer is the guard: it comes after all other checks, right before the removal.
func (p *program) wipe(ctx context.Context) error {
	plan, err := p.plan(ctx)
	if err != nil {
		return err
	}
	err = p.controller.Wipe(ctx, plan, func(ctx context.Context) error {
		if err := p.confirm(ctx); err != nil || p.config.keep.Dir == "" && p.config.keep.Suffix == "" {
			return err
		}
		return p.keep(ctx, plan)
	})
	if err == nil {
		p.screen.Printf("gone: %d volumes", len(plan.Volumes))
	}
	return err
}

func (p *program) keep(ctx context.Context, plan *stack.WipePlan) error {
	keeper, can := p.controller.(keeper)
	if !can {
		return fmt.Errorf("keep volumes: %w", errors.ErrUnsupported)
	}
	if err := keeper.KeepVolumes(ctx, plan, p.config.keep); err != nil {
		return err
	}
	p.screen.Printf("kept: %d volumes", len(plan.Volumes))
	return nil
}

func (p *program) confirm(ctx context.Context) error {
	answer := p.yes
	if answer == "" {
		p.screen.Text("The data of these volumes will be lost. Type the name of the stack to remove them: ")
		line, err := cli.ReadLine(ctx, p.stdin)
		if err != nil {
			return err
		}
		answer = line
	}
	if answer != p.name {
		return fmt.Errorf("%q is not the name of the stack: type %s, or give it with -yes", answer, p.name)
	}
	return nil
}

func (p *program) deploy(ctx context.Context) error {
	opts := stack.DeployOptions{Files: p.files, CreateNetworks: p.createNetworks, RegistryAuth: p.registryAuth, Progress: p.screen.Progress}
	if from, can := p.controller.(planner); can {
		plan, err := from.PlanDeploy(ctx, p.name, opts)
		if err != nil {
			return err
		}
		if len(plan.Blank) > 0 {
			p.screen.Printf("variables of the compose files that are not set here become empty: %s", strings.Join(plan.Blank, ", "))
		}
	}
	return p.controller.Deploy(ctx, p.name, opts)
}

func (p *program) start(ctx context.Context) error {
	for service, command := range p.inside {
		from, can := p.controller.(prober)
		if !can {
			return fmt.Errorf("probe from a container: %w", errors.ErrUnsupported)
		}
		p.probes[service] = from.ProbeFrom(p.network, p.image, command...)
	}
	started := false
	err := p.controller.Start(ctx, p.name, stack.StartOptions{Groups: p.groups, Probes: p.probes, Stable: p.stable, Limit: p.limit,
		Progress: p.screen.Progress, Healthy: func(group []string) {
			started = true
			p.screen.Printf("healthy: %s", strings.Join(group, ", "))
		}})
	if err == nil && !started {
		return p.noStack()
	}
	return err
}

// refuseStopped: waiting for a service that is stopped would never end.
func (p *program) refuseStopped(ctx context.Context) error {
	s, err := p.controller.Look(ctx, p.name)
	if err != nil {
		return err
	}
	if len(s.Services) == 0 {
		return p.noStack()
	}
	for _, v := range s.Services {
		if v.Stopped && p.waitsFor(v.Name) {
			return stoppedError(p.name, v.Name)
		}
	}
	return nil
}
