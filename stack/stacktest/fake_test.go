package stacktest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
	"github.com/nuvla/nuvlaops/stack/stacktest"
)

func TestFakeKeepsTheContract(t *testing.T) {
	stacktest.Conformance(t, func(t *testing.T) stacktest.World {
		f := stacktest.NewFake()
		f.AddFile("db.yml", stacktest.Service{Name: "db", Replicas: 1, Volumes: []string{"data"}},
			stacktest.Service{Name: "app", Replicas: 2, Needs: []string{"db"}})
		return stacktest.World{Controller: f, Stack: "db", Deploy: stack.DeployOptions{Files: []string{"db.yml"}},
			Starts: func(_ *testing.T, volume string) int { return f.Starts(volume) }}
	})
}

func TestAProbeOfAServiceWithoutReplicasIsRefused(t *testing.T) {
	f := stacktest.NewFake()
	f.AddFile("db.yml", stacktest.Service{Name: "es"})
	if err := f.Deploy(t.Context(), "db", stack.DeployOptions{Files: []string{"db.yml"}}); err != nil {
		t.Fatal(err)
	}
	probe := func(context.Context) error { return nil }
	err := f.Start(t.Context(), "db", stack.StartOptions{Probes: map[string]func(context.Context) error{"es": probe}})
	if !errors.Is(err, nuvlaops.ErrRefused) {
		t.Errorf("error %v, want it refused as by a Swarm", err)
	}
}

func TestBrokenServiceEndsTheStart(t *testing.T) {
	f := stacktest.NewFake()
	f.AddFile("db.yml", stacktest.Service{Name: "es", Replicas: 1})
	if err := f.Deploy(t.Context(), "db", stack.DeployOptions{Files: []string{"db.yml"}}); err != nil {
		t.Fatal(err)
	}
	f.Break("db", "es", "out of memory")
	err := f.Start(t.Context(), "db", stack.StartOptions{})
	if !errors.Is(err, nuvlaops.ErrVerification) || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("error %v, want a verification error that names the reason", err)
	}
	look := func() *stack.Service {
		s, err := f.Look(t.Context(), "db")
		if err != nil {
			t.Fatal(err)
		}
		return s.Service("es")
	}
	if es := look(); es.Health != stack.HealthFailing || es.Running != 0 || es.Error != "out of memory" {
		t.Errorf("a broken service looks like %+v", es)
	}
	f.Break("db", "es", "")
	if err := f.Start(t.Context(), "db", stack.StartOptions{}); err != nil {
		t.Error(err)
	}
	if es := look(); es.Health != stack.HealthHealthy || es.Running != 1 {
		t.Errorf("a healed service looks like %+v", es)
	}
}

func running(t *testing.T, f *stacktest.Fake, service string) int {
	t.Helper()
	s, err := f.Look(t.Context(), "db")
	if err != nil || s.Service(service) == nil {
		t.Fatalf("no %s: %v", service, err)
	}
	return s.Service(service).Running
}

func TestComposeFilesAreMerged(t *testing.T) {
	f := stacktest.NewFake()
	f.AddFile("db.yml", stacktest.Service{Name: "es", Replicas: 1}, stacktest.Service{Name: "zk", Replicas: 1})
	f.AddFile("more.yml", stacktest.Service{Name: "es", Replicas: 3}, stacktest.Service{Name: "exporter", Replicas: 1})
	if err := f.Deploy(t.Context(), "db", stack.DeployOptions{Files: []string{"db.yml", "more.yml"}}); err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]int{"es": 3, "zk": 1, "exporter": 1} {
		if n := running(t, f, service); n != want {
			t.Errorf("%d %s run, want %d", n, service, want)
		}
	}
	err := f.Deploy(t.Context(), "db", stack.DeployOptions{Files: []string{"db.yml", "nowhere.yml"}})
	if !errors.Is(err, nuvlaops.ErrInvalid) {
		t.Errorf("a file that is not there: %v, want ErrInvalid", err)
	}
}

func TestABrokenServiceFailsFromItsDeployment(t *testing.T) {
	f := stacktest.NewFake()
	f.Break("db", "es", "out of memory")
	f.AddFile("db.yml", stacktest.Service{Name: "es", Replicas: 1})
	if err := f.Deploy(t.Context(), "db", stack.DeployOptions{Files: []string{"db.yml"}}); err != nil {
		t.Fatal(err)
	}
	if n := running(t, f, "es"); n != 0 {
		t.Errorf("%d es run", n)
	}
}

// As of a Swarm: a race between probes shows with the fake too.
func TestProbesOfAGroupAreCalledAtTheSameTime(t *testing.T) {
	f := stacktest.NewFake()
	f.AddFile("db.yml", stacktest.Service{Name: "es", Replicas: 1}, stacktest.Service{Name: "zk", Replicas: 1})
	if err := f.Deploy(t.Context(), "db", stack.DeployOptions{Files: []string{"db.yml"}}); err != nil {
		t.Fatal(err)
	}
	met := make(chan bool)
	probe := func(ctx context.Context) error {
		select {
		case met <- true:
		case <-met:
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	}
	err := f.Start(t.Context(), "db", stack.StartOptions{Groups: [][]string{{"es", "zk"}}, Limit: 5 * time.Second,
		Probes: map[string]func(context.Context) error{"es": probe, "zk": probe}})
	if err != nil {
		t.Error(err)
	}
}

// As of a Swarm: what has the volume's name then, may be data of a later recovery.
func TestAVolumeThatWasMadeAnewWhileTheGuardWasAskedStays(t *testing.T) {
	f := stacktest.NewFake()
	f.AddFile("db.yml", stacktest.Service{Name: "es", Replicas: 1, Volumes: []string{"esdata"}})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(f.Deploy(t.Context(), "db", stack.DeployOptions{Files: []string{"db.yml"}}))
	must(f.Stop(t.Context(), "db", stack.StopOptions{}))
	plan, err := f.PlanWipe(t.Context(), "db", stack.WipeOptions{})
	must(err)
	err = f.Wipe(t.Context(), plan, func(ctx context.Context) error {
		must(f.Wipe(ctx, plan, stack.Unguarded))
		must(f.Start(ctx, "db", stack.StartOptions{}))
		return nil
	})
	if !errors.Is(err, nuvlaops.ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
	if s, err := f.Look(t.Context(), "db"); err != nil || len(s.Volumes) != 1 {
		t.Errorf("%v, volumes %+v", err, s.Volumes)
	}
}
