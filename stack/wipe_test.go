package stack_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
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
		foreign, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Volumes: []string{name}})
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

func TestAPlanWhoseNodeWentDarkRemovesNothing(t *testing.T) {
	engine := fakeEngine(t, 1, 1, new(atomic.Int64))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1.41/nodes" {
			_, _ = io.WriteString(w, `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"down"}}]`)
			return
		}
		engine.ServeHTTP(w, r)
	}))
	defer server.Close()
	s, err := stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String()})
	must(t, err)
	defer s.Close()
	plan, err := s.PlanWipe(t.Context(), "big", stack.WipeOptions{})
	must(t, err)
	plan.Volumes = append(plan.Volumes, stack.Volume{Name: "big_s000", Node: "far", NodeID: "f"}) // as when it was up
	err = s.Wipe(t.Context(), plan, func(context.Context) error { t.Error("the guard was asked"); return nil })
	mustBe(t, err, nuvlaops.ErrRefused, "node far of the plan cannot be looked at any more")
}

// Where a service ran that is gone, nobody knows: its volume may be on the node that cannot be looked at, too.
func TestAVolumeOfAServiceThatIsGoneMayBeOnEveryNode(t *testing.T) {
	state := "ready"
	engine := fakeEngine(t, 1, 1, new(atomic.Int64))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1.41/nodes":
			_, _ = io.WriteString(w, `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"`+state+`"}}]`)
		case "/v1.41/services":
			_, _ = io.WriteString(w, `[{"ID":"service000","Spec":{"Name":"big_s000","Labels":{"com.docker.stack.namespace":"big"},"Mode":{"Replicated":{"Replicas":0}},
				"TaskTemplate":{"Placement":{"Constraints":["node.id==self"]},"ContainerSpec":{"Mounts":[{"Type":"volume","Source":"big_s000","Target":"/data",
				"VolumeOptions":{"Labels":{"com.docker.stack.namespace":"big"}}}]}}}}]`)
		case "/v1.41/volumes/big_gone":
			w.WriteHeader(http.StatusNotFound)
		default:
			engine.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	s, err := stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String()})
	must(t, err)
	defer s.Close()
	for volume, want := range map[string]int{"big_s000": 0, "big_gone": 1} {
		plan, err := s.PlanWipe(t.Context(), "big", stack.WipeOptions{Volumes: []string{volume}})
		must(t, err)
		if len(plan.Obstacles) != want {
			t.Errorf("%s: in the way %q, want %d", volume, plan.Obstacles, want)
		}
	}
	state = "down" // and its machine may have been made anew, under the same name
	plan, err := s.PlanWipe(t.Context(), "big", stack.WipeOptions{Volumes: []string{"big_gone"}})
	must(t, err)
	if len(plan.Obstacles) != 1 || !strings.Contains(plan.Obstacles[0], "docker node rm --force f") {
		t.Errorf("in the way %q, want how to leave a machine behind that is gone", plan.Obstacles)
	}
}

// What is left alone may have run anywhere.
func TestANodeThatHoldsOnlyVolumesThatAreNotMeantIsNotInTheWay(t *testing.T) {
	engine := fakeEngine(t, 3, 1, new(atomic.Int64))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1.41/nodes":
			_, _ = io.WriteString(w, `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"ready"}}]`)
		case "/v1.41/services":
			service := func(name, place, volume string) string {
				return `{"ID":"` + name + `","Spec":{"Name":"big_` + name + `","Labels":{"com.docker.stack.namespace":"big"},"Mode":{"Replicated":{"Replicas":0}},
					"TaskTemplate":{"Placement":{"Constraints":["` + place + `"]},"ContainerSpec":{"Mounts":[{"Type":"volume","Source":"` + volume + `","Target":"/data","ReadOnly":true,
					"VolumeOptions":{"Labels":{"com.docker.stack.namespace":"big"}}}]}}}}`
			}
			_, _ = io.WriteString(w, "["+service("es", "node.id==self", "big_s000")+","+service("exporter", "node.id!=none", "big_s001")+","+service("reader", "node.id!=none", "big_s002")+
				","+service("written", "node.id==self", "big_s002")+"]")
		default:
			engine.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	s, err := stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String()})
	must(t, err)
	defer s.Close()
	for _, tt := range []struct {
		opts stack.WipeOptions
		dark int
	}{
		{stack.WipeOptions{Services: []string{"es"}}, 0},
		{stack.WipeOptions{Volumes: []string{"big_s000"}}, 0},
		{stack.WipeOptions{Services: []string{"exporter"}}, 1},
		{stack.WipeOptions{Services: []string{"written"}}, 1}, // another one has its volume there
		{stack.WipeOptions{}, 1},
	} {
		plan, err := s.PlanWipe(t.Context(), "big", tt.opts)
		must(t, err)
		if len(plan.Dark) != tt.dark || len(plan.Obstacles) != tt.dark {
			t.Errorf("%+v: in the way %q, want %d", tt.opts, plan.Obstacles, tt.dark)
		}
	}
}

// The compose file of a service that is gone says what it has mounted, and where it may have run.
func TestAServiceThatIsGoneIsSeenInItsComposeFile(t *testing.T) {
	engine := fakeEngine(t, 2, 1, new(atomic.Int64)) // of which there are the volumes
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1.41/nodes":
			_, _ = io.WriteString(w, `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"ready"}}]`)
		case "/v1.41/services":
			_, _ = io.WriteString(w, `[]`)
		default:
			engine.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	s, err := stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String()})
	must(t, err)
	defer s.Close()
	for name, tt := range map[string]struct {
		services, volumes, kept, unseen, dark []string
		place                                 string
	}{
		"pinned to this node":   {[]string{"one"}, []string{"big_s000"}, []string{"big_s002"}, []string{"far"}, nil, "node.id==self"},
		"pinned to another one": {[]string{"one"}, []string{"big_s000"}, []string{"big_s002"}, nil, []string{"far"}, "node.hostname==far"},
		"all of them":           {nil, []string{"big_s000", "big_s001"}, []string{"big_s002"}, nil, []string{"far"}, "node.id!=self"},
	} {
		file := filepath.Join(t.TempDir(), "big.yml")
		must(t, os.WriteFile(file, []byte(`version: "3.7"
services:
  one:
    image: one
    volumes: ["s000:/data", "foreign:/foreign"]
    deploy: {placement: {constraints: ["`+tt.place+`"]}}
volumes:
  s000: {}
  foreign: {external: true, name: big_s002}
networks:
  default: {}
`), 0o600))
		plan, err := s.PlanWipe(t.Context(), "big", stack.WipeOptions{Services: tt.services, Files: []string{file}})
		must(t, err)
		var kept []string
		for _, k := range plan.Kept {
			kept = append(kept, k.Source)
		}
		want := [][]string{tt.volumes, tt.kept, tt.unseen, tt.dark}
		if diff := cmp.Diff(want, [][]string{names(plan.Volumes), kept, plan.Unseen, plan.Dark}); diff != "" || len(plan.Obstacles) != len(tt.dark) {
			t.Errorf("%s: removed, kept, not looked at, dark (-want +got):\n%s\n%s", name, diff, plan)
		}
	}
}

// What Deploy has read with variables must be read with them again, or other volumes are looked for.
func TestVariablesOfAComposeFileAreThoseOfTheCall(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	text := strings.NewReplacer("data: {labels", "data: {name: '%STACK%_${WHOSE}', labels", "command: [run]", "command: [run]\n    environment: ['OF=${WHOSE}']").Replace(dbStack)
	files, env := []string{b.file(text)}, map[string]string{"WHOSE": "ours"}
	must(t, b.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: files, Env: env}))
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	_, err := b.api.ServiceRemove(t.Context(), b.stack+"_db", client.ServiceRemoveOptions{})
	must(t, err)
	c, err := b.RunCopy(t.Context(), b.stack, "db", stack.CopyOptions{Aside: true, Files: files, Env: env})
	must(t, err)
	v, err := b.api.ServiceInspect(t.Context(), b.stack+"_db-copy", client.ServiceInspectOptions{})
	must(t, err)
	if diff := cmp.Diff([]string{"OF=ours"}, v.Service.Spec.TaskTemplate.ContainerSpec.Env); diff != "" {
		t.Errorf("environment of the copy (-want +got):\n%s", diff)
	}
	must(t, c.Remove(t.Context()))
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Services: []string{"db"}, Files: files, Env: env})
	must(t, err)
	if diff := cmp.Diff([]string{b.stack + "_ours"}, names(plan.Volumes)); diff != "" {
		t.Errorf("volumes to remove (-want +got):\n%s", diff)
	}
	must(t, b.KeepVolumes(t.Context(), plan, stack.KeepOptions{Dir: b.dir}))
	plain, err := json.Marshal(plan)
	must(t, err)
	var written stack.WipePlan
	must(t, json.Unmarshal(plain, &written))
	mustBe(t, b.Wipe(t.Context(), &written, stack.Unguarded), nuvlaops.ErrConflict, b.stack+"_ours", "is not meant any more")
	written.Options.Env = env
	must(t, b.Wipe(t.Context(), &written, stack.Unguarded))
	if left := b.look().Volumes; len(left) > 0 {
		t.Errorf("left: %v", left)
	}
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
