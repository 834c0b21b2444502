package stack_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/stack"
)

const volumesStack = `
version: "3.7"
services:
  db:
    image: %IMAGE%
    command: [run]
    volumes: ["data:/data", "foreign:/foreign", "/tmp:/host", "/anonymous", "linked:/linked", "named:/named"]
    deploy: {endpoint_mode: dnsrr, replicas: 0, labels: %OWNER%}
volumes:
  data: {labels: %OWNER%}
  named: {name: %STACK%-with-a-name, labels: %OWNER%}
  linked: {labels: %OWNER%, driver_opts: {type: none, o: bind, device: /tmp}}
  foreign: {external: true, name: %STACK%_x}
networks:
  default: {labels: %OWNER%}
`

func TestPlanTakesTheStacksOwnVolumesAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(volumesStack)
	b.volume(b.stack+"_data", b.stack, nil)
	b.volume(b.stack+"-with-a-name", b.stack, nil)
	b.volume(b.stack+"_x", "", nil)              // its name looks like the stack's
	b.volume(b.stack+"2_data", b.stack+"2", nil) // of a stack with a similar name
	linked := map[string]string{"type": "none", "o": "bind", "device": "/tmp"}
	b.volume(b.stack+"_linked", b.stack, linked)

	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Volumes: []string{b.stack + "_data", b.stack + "-with-a-name"}})
	must(t, err)
	if diff := cmp.Diff([]string{b.stack + "-with-a-name", b.stack + "_data"}, names(plan.Volumes)); diff != "" || len(plan.Obstacles) > 0 {
		t.Errorf("planned volumes (-want +got):\n%s\n%s", diff, plan)
	}
	all, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Services: []string{"db"}})
	must(t, err)
	mustBe(t, b.Wipe(t.Context(), all, stack.Unguarded), nuvlaops.ErrRefused, b.stack+"_linked only points at /tmp")
	var kept []string
	for _, k := range all.Kept {
		kept = append(kept, k.Target+": "+k.Why)
	}
	if diff := cmp.Diff([]string{"/foreign: an external volume, not the stack's own", "/host: a bind mount, its data is a folder of the host",
		"/anonymous: an anonymous volume"}, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	for _, name := range []string{b.stack + "_x", b.stack + "2_data"} {
		foreign, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Volumes: []string{name, b.stack + "_data"}}) // which is the stack's
		must(t, err)
		mustBe(t, b.Wipe(t.Context(), foreign, stack.Unguarded), nuvlaops.ErrRefused, name+" on node", "is not the stack's own")
	}
	must(t, b.Wipe(t.Context(), plan, stack.Unguarded))
	for _, name := range []string{b.stack + "_x", b.stack + "2_data", b.stack + "_linked"} {
		if _, err := b.api.VolumeInspect(t.Context(), name, client.VolumeInspectOptions{}); err != nil {
			t.Errorf("volume %s: %v", name, err)
		}
	}
}

func TestVolumeThatAnotherContainerHoldsIsNotRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(volumesStack)
	b.volume(b.stack+"_data", b.stack, nil)
	c, err := b.api.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: b.stack + "-holder",
		Config:     &container.Config{Image: b.image, Cmd: []string{"run"}, Labels: map[string]string{testenv.Label: testenv.OwnerLabelValue()}},
		HostConfig: &container.HostConfig{Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: b.stack + "_data", Target: "/data"}}}})
	must(t, err)
	only := stack.WipeOptions{Volumes: []string{b.stack + "_data"}}
	plan, err := b.PlanWipe(t.Context(), b.stack, only)
	must(t, err)
	mustBe(t, b.Wipe(t.Context(), plan, stack.Unguarded), nuvlaops.ErrRefused, "in use by container "+b.stack+"-holder")
	_, err = b.api.ContainerRemove(t.Context(), c.ID, client.ContainerRemoveOptions{})
	must(t, err)
	must(t, b.Wipe(t.Context(), plan, stack.Unguarded)) // what stood in the way is gone
}

// volume makes a volume as the orchestrator does for a stack, or a foreign one.
func (b *bench) volume(name, of string, options map[string]string) {
	b.t.Helper()
	labels := map[string]string{testenv.Label: testenv.OwnerLabelValue()}
	if of != "" {
		labels["com.docker.stack.namespace"] = of
	}
	if _, err := b.api.VolumeCreate(b.t.Context(), client.VolumeCreateOptions{Name: name, Labels: labels, DriverOpts: options}); err != nil {
		b.t.Fatal(err)
	}
}

// volumeAnew removes a volume of the stack and makes another one of its name.
func (b *bench) volumeAnew(name string) {
	b.t.Helper()
	_, err := b.api.VolumeRemove(b.t.Context(), name, client.VolumeRemoveOptions{})
	must(b.t, err)
	time.Sleep(1100 * time.Millisecond) // the engine may know the time to the second only
	b.volume(name, b.stack, nil)
}

func names(volumes []stack.Volume) []string {
	var out []string
	for _, v := range volumes {
		out = append(out, v.Name)
	}
	return out
}

// Swarm mounts what has the right name, whoever made it: the services would come back to its data.
func TestAVolumeWithoutTheStacksLabelIsNotPassedOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.volume(b.stack+"_data", "", nil)
	b.atEnd(func(ctx context.Context) {
		_, _ = b.api.VolumeRemove(ctx, b.stack+"_data", client.VolumeRemoveOptions{})
	})
	b.deploy(strings.Replace(volumesStack, `, "linked:/linked", "named:/named"`, "", 1))
	for _, opts := range []stack.WipeOptions{{}, {Services: []string{"db"}}} {
		plan, err := b.PlanWipe(t.Context(), b.stack, opts)
		must(t, err)
		mustBe(t, b.Wipe(t.Context(), plan, stack.Unguarded), nuvlaops.ErrRefused, b.stack+"_data on node", "is not the stack's own")
	}
}

// A name with a placeholder, {{.Task.Slot}}, is that of many volumes, and of none that could be looked at.
func TestAVolumeForEachTaskIsPlannedByItsLabel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(strings.Replace(dbStack, "data: {labels", "data: {name: '%STACK%_data-{{.Task.Slot}}', labels", 1))
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{Groups: [][]string{{"db"}}}))
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Services: []string{"db"}})
	must(t, err)
	mustBe(t, b.Wipe(t.Context(), plan, stack.Unguarded), nuvlaops.ErrRefused, "service db", "name those volumes themselves")
	one := []string{b.stack + "_data-1"}
	for _, opts := range []stack.WipeOptions{{}, {Services: []string{"db"}, Volumes: one}} {
		plan, err = b.PlanWipe(t.Context(), b.stack, opts)
		must(t, err)
		if len(plan.Volumes) != 1 || plan.Volumes[0].Name != one[0] || len(plan.Obstacles) != 0 {
			t.Fatalf("want the volume of the first task alone:\n%s", plan)
		}
	}
}

// A guard may take hours, as one that asks people does. What has the volume's name then, may be data of a later recovery.
func TestAVolumeThatWasMadeAnewWhileTheGuardWasAskedIsNotRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	name := b.stack + "_data"
	b.volume(name, b.stack, nil)
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
	must(t, err)
	err = b.Wipe(t.Context(), plan, func(context.Context) error {
		b.volumeAnew(name)
		return nil
	})
	mustBe(t, err, nuvlaops.ErrConflict, name)
	_, err = b.api.VolumeInspect(t.Context(), name, client.VolumeInspectOptions{})
	must(t, err)
}

// No container holds it yet, but the next task will.
func TestAVolumeForEachTaskOfAServiceThatIsNotStoppedIsInTheWay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(`
version: "3.7"
services:
  db:
    image: %IMAGE%
    command: [run]
    volumes: ["data:/data"]
    deploy: {endpoint_mode: dnsrr, placement: {constraints: [node.labels.none == such]}, labels: %OWNER%}
volumes:
  data: {name: '%STACK%_data-{{.Task.Slot}}', labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`)
	b.volume(b.stack+"_data-1", b.stack, nil)
	b.volume(b.stack+"_other", b.stack, nil)
	all, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
	must(t, err)
	mustBe(t, b.Wipe(t.Context(), all, stack.Unguarded), nuvlaops.ErrRefused, b.stack+"_data-1 is wanted by service "+b.stack+"_db")
	other, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Volumes: []string{b.stack + "_other"}})
	must(t, err)
	must(t, b.Wipe(t.Context(), other, stack.Unguarded))
}

// The data of a service that nobody has named may be what the named one only looks into.
func TestAVolumeThatAnUnnamedServiceWritesToIsInTheWay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deployStopped(`
version: "3.7"
services:
  es:
    image: %IMAGE%
    command: [run]
    volumes: ["data:/data", "objects:/backups"]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
  s3:
    image: %IMAGE%
    command: [run]
    volumes: ["objects:/objects", "data:/data:ro"]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
volumes:
  data: {labels: %OWNER%}
  objects: {labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`)
	data, objects := b.stack+"_data", b.stack+"_objects"
	b.volume(data, b.stack, nil)
	b.volume(objects, b.stack, nil)
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Services: []string{"es"}})
	must(t, err)
	mustBe(t, b.Wipe(t.Context(), plan, stack.Unguarded), nuvlaops.ErrRefused, objects+" is also mounted by service s3")
	if len(plan.Obstacles) != 1 || len(plan.Lasting) != 1 {
		t.Errorf("in the way: %q, want the one of the objects, which stays", plan.Obstacles)
	}
	for _, opts := range []stack.WipeOptions{{}, {Services: []string{"es", "s3"}}, {Services: []string{"es"}, Volumes: []string{objects}}, {Volumes: []string{objects}}} {
		plan, err := b.PlanWipe(t.Context(), b.stack, opts)
		must(t, err)
		if len(plan.Obstacles) > 0 || !slices.Contains(names(plan.Volumes), objects) {
			t.Errorf("%+v: want the objects, and nothing in the way:\n%s", opts, plan)
		}
	}
}

// Another stack has declared it as external: nobody here knows what it keeps there, nor when it is started again.
func TestAVolumeThatAServiceOfAnotherStackMountsStaysInTheWay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.volume(b.stack+"_data", b.stack, nil)
	b.volume(b.stack+"_other", b.stack, nil)
	spec := swarm.ServiceSpec{Annotations: swarm.Annotations{Name: b.stack + "2_reader", Labels: map[string]string{testenv.Label: testenv.OwnerLabelValue(), "com.docker.stack.namespace": b.stack + "2"}},
		TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: b.image, Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: b.stack + "_data", Target: "/data", ReadOnly: true}}}},
		Mode:         swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: new(uint64)}}}
	_, err := b.api.ServiceCreate(t.Context(), client.ServiceCreateOptions{Spec: spec})
	must(t, err)
	b.atEnd(func(ctx context.Context) {
		_, _ = b.api.ServiceRemove(ctx, spec.Name, client.ServiceRemoveOptions{})
	})
	for _, opts := range []stack.WipeOptions{{}, {Volumes: []string{b.stack + "_data"}}} {
		plan, err := b.PlanWipe(t.Context(), b.stack, opts)
		must(t, err)
		mustBe(t, b.Wipe(t.Context(), plan, stack.Unguarded), nuvlaops.ErrRefused, b.stack+"_data is also mounted by service "+spec.Name)
		if len(plan.Obstacles) != 1 || len(plan.Lasting) != 1 {
			t.Errorf("in the way %q, and when all is stopped %q, want the other stack's service in both", plan.Obstacles, plan.Lasting)
		}
	}
	other, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Volumes: []string{b.stack + "_other"}})
	must(t, err)
	must(t, b.Wipe(t.Context(), other, stack.Unguarded))
}

// Who stops the named services alone would find out only then.
func TestAServiceThatIsNotNamedAndRunsOnTheVolumeStaysInTheWay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deployStopped(`
version: "3.7"
services:
  es:
    image: %IMAGE%
    command: [run]
    volumes: ["data:/data"]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
  reader:
    image: %IMAGE%
    command: [run]
    volumes: ["data:/read:ro"]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
volumes:
  data: {labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{Groups: [][]string{{"es"}}}))
	for name, tt := range map[string]struct {
		opts    stack.WipeOptions
		lasting int
	}{
		"es":         {stack.WipeOptions{Services: []string{"es"}}, 1},
		"both":       {stack.WipeOptions{Services: []string{"es", "reader"}}, 0},
		"all":        {stack.WipeOptions{}, 0},
		"the volume": {stack.WipeOptions{Volumes: []string{b.stack + "_data"}}, 0},
	} {
		plan, err := b.PlanWipe(t.Context(), b.stack, tt.opts)
		must(t, err)
		if len(plan.Obstacles) == 0 || len(plan.Lasting) != tt.lasting {
			t.Errorf("%s: in the way %q, and when it is stopped %q, want %d", name, plan.Obstacles, plan.Lasting, tt.lasting)
		}
	}
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Services: []string{"es"}})
	must(t, err)
	if len(plan.Obstacles) > 0 {
		t.Errorf("all is stopped, and in the way is %q", plan.Obstacles)
	}
}
