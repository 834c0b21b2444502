package stack_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

const stubbornStack = `
version: "3.7"
services:
  deaf:
    image: %IMAGE%
    command: [stubborn]
    stop_grace_period: 4s
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`

func TestStopNamesWhatIgnoresSIGTERMAndEndsAfterItsGracePeriod(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(stubbornStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	err := b.Stop(t.Context(), b.stack, stack.StopOptions{Limit: time.Second})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "container "+b.stack+"_deaf.1") {
		t.Errorf("stop within a second: %v, want the end of the limit and the name of the container", err)
	}
	if v := b.look().Service("deaf"); !v.Stopped || v.Remembered != 1 {
		t.Errorf("after the limit the service is %+v, want it at nothing with its count remembered", v)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := b.Stop(ctx, b.stack, stack.StopOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop with a context that ends: %v", err)
	}
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{Groups: [][]string{{"deaf"}}}))
	if n := b.containers(b.stack + "_deaf"); n != 0 {
		t.Errorf("%d containers left", n)
	}
}

const globalStack = `
version: "3.7"
services:
  agent:
    image: %IMAGE%
    command: [run]
    deploy: {mode: global, endpoint_mode: dnsrr, placement: {constraints: [node.role == manager]}, labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`

func TestGlobalServiceIsStoppedAndStarted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(globalStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	for range 2 {
		must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
		if v := b.look().Service("agent"); !v.Stopped || v.Running != 0 {
			t.Errorf("after Stop: %+v", v)
		}
	}
	if n := b.containers(b.stack + "_agent"); n != 0 {
		t.Errorf("%d containers left", n)
	}
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	v := b.look().Service("agent")
	if v.Stopped || v.Running != 1 || len(v.Constraints) != 1 || v.Constraints[0] != "node.role == manager" {
		t.Errorf("after Start: %+v, want one task and the constraint of the compose file alone", v)
	}
}

// A restarted service has stopped containers of its earlier tasks: history that holds the volume.
func TestStopRemovesTheContainersOfEarlierTasks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(dbStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	first := b.look().Service("db").Tasks[0].Container
	_, err := b.api.ContainerKill(t.Context(), first, client.ContainerKillOptions{Signal: "KILL"})
	must(t, err)
	b.eventually("a second task of db", func() bool { return b.containers(b.stack+"_db") > 1 })
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	if left := b.look().Volumes[0].Containers; len(left) != 0 {
		t.Errorf("containers %v still hold the volume", left)
	}
	if v, _ := b.api.VolumeInspect(t.Context(), b.stack+"_data", client.VolumeInspectOptions{}); v.Volume.Name == "" {
		t.Error("the volume went with the containers")
	}
}

func TestStopWaitsForTheContainersOfServicesThatWereRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(dbStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	for _, v := range b.look().Services {
		_, err := b.api.ServiceRemove(t.Context(), v.ID, client.ServiceRemoveOptions{})
		must(t, err)
	}
	if n := b.containers(b.stack + "_db"); n == 0 {
		t.Fatal("the container is gone already: this test shows nothing")
	}
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	if n := b.containers(b.stack+"_db") + b.containers(b.stack+"_app"); n != 0 {
		t.Errorf("%d containers left", n)
	}
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
	must(t, err)
	must(t, b.Wipe(t.Context(), plan, stack.Unguarded))
	if left := b.look().Volumes; len(left) != 0 {
		t.Errorf("volumes left: %v", left)
	}
}

func TestReplicasChangedByHandAreRememberedAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(dbStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	b.scale("app", 1)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	if v := b.look().Service("app"); v.Running != 1 {
		t.Errorf("start changed a service that was scaled by hand to 1: it runs %d", v.Running)
	}
	b.scale("app", 3)
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	if v := b.look().Service("app"); v.Remembered != 3 {
		t.Errorf("stop remembers %d, want 3", v.Remembered)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBe(t testing.TB, err, want error, words ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one that matches %q", err, want)
	}
	var e *nuvlaops.Error
	if !errors.As(err, &e) || e.Op == "" {
		t.Errorf("error %v carries no call", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %v does not say %q", err, w)
		}
	}
}

const anonymousStack = `
version: "3.7"
services:
  db:
    image: %IMAGE%
    command: [run]
    volumes: ["data:/data", "/anonymous"]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
volumes:
  data: {labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`

func TestStopLeavesNamedVolumesAndNoAnonymousOnes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(anonymousStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	list, err := b.api.ContainerList(t.Context(), client.ContainerListOptions{
		Filters: make(client.Filters).Add("label", "com.docker.swarm.service.name="+b.stack+"_db")})
	must(t, err)
	volumes := map[string]string{}
	for _, m := range list.Items[0].Mounts {
		volumes[m.Destination] = m.Name
	}
	if len(volumes) != 2 {
		t.Fatalf("mounts: %v", volumes)
	}
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	if _, err := b.api.VolumeInspect(t.Context(), volumes["/data"], client.VolumeInspectOptions{}); err != nil {
		t.Errorf("the named volume: %v", err)
	}
	if _, err := b.api.VolumeInspect(t.Context(), volumes["/anonymous"], client.VolumeInspectOptions{}); err == nil {
		t.Error("the anonymous volume is left, and nobody would find it again")
	}
}

func TestAJobIsRefusedBeforeAnythingIsStoppedOrStarted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(`
version: "3.7"
services:
  app: {image: %IMAGE%, command: [run], deploy: {endpoint_mode: dnsrr, labels: {org.nuvla.ops.needs: job, %OWNED%}}}
  job: {image: %IMAGE%, command: [ok], deploy: {mode: replicated-job, labels: %OWNER%}}
networks:
  default: {labels: %OWNER%}
`)
	defer func() { // what follows the test stops the stack
		_, err := b.api.ServiceRemove(t.Context(), b.stack+"_job", client.ServiceRemoveOptions{})
		must(t, err)
	}()
	mustBe(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}), nuvlaops.ErrUnsupported, b.stack+"_job")
	if v := b.look().Service("app"); v.Stopped {
		t.Error("the other service was stopped")
	}
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{Groups: [][]string{{"app"}}}))
	mustBe(t, b.Start(t.Context(), b.stack, stack.StartOptions{Limit: 20 * time.Second}), nuvlaops.ErrUnsupported, b.stack+"_job")
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{Groups: [][]string{{"app"}}}))
}

// As of a global service whose port another has: such a task is on its node from its beginning, and the node never hears of it.
func TestATaskThatNeverCameToItsNodeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	file := `
version: "3.7"
services:
  %WHO%:
    image: %IMAGE%
    command: [run]
    ports: [{mode: host, target: 9100, published: 39117}]
    deploy: {mode: global, endpoint_mode: dnsrr, labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`
	b.deploy(strings.Replace(file, "%WHO%", "first", 1))
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	b.deploy(strings.Replace(file, "%WHO%", "second", 1))
	b.eventually("a task that waits", func() bool {
		v := b.look().Service("second")
		return len(v.Tasks) == 1 && v.Tasks[0].State == "pending" && v.Tasks[0].Error != ""
	})
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{Groups: [][]string{{"second"}}, Limit: 20 * time.Second}))
}
