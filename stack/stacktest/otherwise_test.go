package stacktest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/stack"
	"github.com/nuvla/nuvlaops/stack/stacktest"
)

// claims is an orchestrator that names its volumes STACK/NAME, as kubectl does its claims.
type claims struct{ *stacktest.Fake }

func renamed(volumes []stack.Volume, from, to string) []stack.Volume {
	out := append([]stack.Volume(nil), volumes...)
	for i := range out {
		out[i].Name = strings.Replace(out[i].Name, from, to, 1)
	}
	return out
}

func (c claims) Look(ctx context.Context, name string) (*stack.Stack, error) {
	s, err := c.Fake.Look(ctx, name)
	if s != nil {
		s.Volumes = renamed(s.Volumes, "_", "/")
	}
	return s, err
}

func (c claims) PlanWipe(ctx context.Context, name string, opts stack.WipeOptions) (*stack.WipePlan, error) {
	asked := opts
	asked.Volumes = nil
	for _, v := range opts.Volumes {
		asked.Volumes = append(asked.Volumes, strings.Replace(v, "/", "_", 1))
	}
	p, err := c.Fake.PlanWipe(ctx, name, asked)
	if p != nil {
		p.Options, p.Volumes = opts, renamed(p.Volumes, "_", "/")
	}
	return p, err
}

func (c claims) Wipe(ctx context.Context, plan *stack.WipePlan, guard func(context.Context) error) error {
	if plan != nil {
		own := *plan
		own.Volumes, own.Options.Volumes = renamed(plan.Volumes, "/", "_"), nil
		for _, v := range plan.Options.Volumes {
			own.Options.Volumes = append(own.Options.Volumes, strings.Replace(v, "/", "_", 1))
		}
		plan = &own
	}
	return c.Fake.Wipe(ctx, plan, guard)
}

// How a volume is called is up to the orchestrator: Kubernetes takes no underscore.
func TestTheContractIsKeptWhateverVolumesAreCalled(t *testing.T) {
	stacktest.Conformance(t, func(t *testing.T) stacktest.World {
		f := stacktest.NewFake()
		f.AddFile("db.yml", stacktest.Service{Name: "db", Replicas: 1, Volumes: []string{"data"}},
			stacktest.Service{Name: "app", Replicas: 2, Needs: []string{"db"}})
		return stacktest.World{Controller: claims{f}, Stack: "db", Deploy: stack.DeployOptions{Files: []string{"db.yml"}},
			Volume: func(stack string) string { return stack + "/data" },
			Starts: func(_ *testing.T, volume string) int { return f.Starts(strings.Replace(volume, "/", "_", 1)) }}
	})
}

// bare is an orchestrator that makes no volume again that was wiped.
type bare struct{ *stacktest.Fake }

func (bare) Start(ctx context.Context, _ string, _ stack.StartOptions) error {
	<-ctx.Done()
	return fmt.Errorf("%w while waiting: claim data is not there", context.Cause(ctx))
}

// A controller that waits for ever is told by what it waits for, and not by the stacks of all goroutines.
func TestWhatIsWaitedForIsSaidBeforeTheTestIsOutOfTime(t *testing.T) {
	const child = "STACKTEST_WAITS_FOR_EVER"
	if os.Getenv(child) != "" {
		stacktest.Conformance(t, func(t *testing.T) stacktest.World {
			f := stacktest.NewFake()
			f.AddFile("db.yml", stacktest.Service{Name: "db", Replicas: 1, Volumes: []string{"data"}}, stacktest.Service{Name: "app", Replicas: 2})
			return stacktest.World{Controller: bare{f}, Stack: "db", Deploy: stack.DeployOptions{Files: []string{"db.yml"}}}
		})
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=9s")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "claim data is not there") {
		t.Errorf("%v\n%.1000s", err, out)
	}
}
