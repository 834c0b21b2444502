package stack

import (
	"context"
	"maps"
	"slices"

	"github.com/nuvla/nuvlaops"
)

// DeployPlan is what Deploy would make.
type DeployPlan struct {
	Stack string `json:"stack"`
	// Services that are missing, and external Networks that are missing and that DeployOptions.CreateNetworks lets be made.
	Services []string `json:"services,omitempty"`
	Networks []string `json:"networks,omitempty"`
	// Blank are variables that the files name for Services, or beside services, without a default, and that are set neither in the
	// process nor in DeployOptions.Env: the docker program leaves them empty. None when no service is missing.
	Blank []string `json:"blank,omitempty"`
}

// PlanDeploy reads the compose files and checks all that the missing services need, as Deploy does before it changes
// anything: networks, secrets, configs, files, and whether the docker program and the engine understand each other. It changes
// nothing.
//
// Errors: ErrInvalid (a compose file), ErrNotFound (a secret, config, file or network), ErrRefused (a network that cannot
// be used), ErrUnsupported (the docker program is too old or too new for the engine; a job that is to be deployed stopped).
func (s *Swarm) PlanDeploy(ctx context.Context, stack string, opts DeployOptions) (*DeployPlan, error) {
	plan, err := s.planDeploy(ctx, stack, opts)
	return plan, nuvlaops.Wrap("stack.PlanDeploy", stack, err)
}

func (s *Swarm) planDeploy(ctx context.Context, stack string, opts DeployOptions) (*DeployPlan, error) {
	if err := ValidateName(stack); err != nil {
		return nil, err
	}
	if len(opts.Files) == 0 {
		return nil, &nuvlaops.Error{Resource: "DeployOptions.Files", Reason: "no compose file", Err: nuvlaops.ErrInvalid}
	}
	f, err := s.fleet(ctx)
	if err != nil {
		return nil, err
	}
	file, err := s.load(ctx, opts)
	if err != nil {
		return nil, err
	}
	w, err := s.see(ctx, stack, f)
	if err != nil {
		return nil, err
	}
	plan := &DeployPlan{Stack: stack, Services: w.missing(slices.Sorted(maps.Keys(file.Services)))}
	if opts.Stopped {
		if err := file.refuseJobs(plan.Services); err != nil {
			return nil, err
		}
	}
	if len(plan.Services) == 0 {
		return plan, nil
	}
	plan.Blank = opts.blank(plan.Services)
	plan.Networks, err = s.check(ctx, file.needs(plan.Services), opts)
	return plan, err
}
