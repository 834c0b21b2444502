package stack_test

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

const copiedStack = `
version: "3.7"
services:
  db:
    image: %IMAGE%
    command: [run]
    environment: [GREETING=hello]
    volumes: ["data:/data"]
    secrets: [key]
    networks: {default: {aliases: [database]}}
    deploy: {endpoint_mode: dnsrr, labels: {%OWNED%, traefik.enable: "true"}}
volumes:
  data: {labels: %OWNER%}
secrets:
  key: {external: true, name: %STACK%_key}
networks:
  default: {labels: %OWNER%}
`

func TestACopyHasEverythingOfItsServiceButTheVolumes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.secret(b.stack + "_key")
	b.deploy(copiedStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	if _, err := b.RunCopy(t.Context(), b.stack, "db", stack.CopyOptions{}); err == nil {
		t.Fatal("a copy of a service that runs: both would answer under one name")
	} else {
		mustBe(t, err, nuvlaops.ErrRefused, "stop it first")
	}
	b.aside("beside the service that runs")
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	marks := b.marks(b.stack + "_data")

	first, err := b.RunCopy(t.Context(), b.stack, "db", stack.CopyOptions{})
	must(t, err)
	name := b.stack + "_db-copy"
	b.eventually("the copy runs", func() bool { return b.containers(name) == 1 })
	b.sameButForVolumes(b.stack+"_db", name)
	if n := b.marks(b.stack + "_data"); n != marks {
		t.Errorf("the copy wrote to the service's volume: %d marks became %d", marks, n)
	}
	if v := b.look(); len(v.Services) != 1 || !v.Services[0].Stopped {
		t.Errorf("the stack is %s, want its one service, stopped", v)
	}
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
	must(t, err)
	if len(plan.Obstacles) > 0 {
		t.Errorf("the copy holds the volumes: %v", plan.Obstacles)
	}

	second, err := b.RunCopy(t.Context(), b.stack, "db", stack.CopyOptions{}) // as after a kill of whoever made the first
	must(t, err)
	must(t, b.RemoveCopy(t.Context(), b.stack, "db"))
	must(t, second.Remove(t.Context()))
	must(t, first.Remove(t.Context()))
	if n := b.containers(name); n != 0 {
		t.Errorf("%d containers of the copy are left", n)
	}
	if _, err := b.api.ServiceInspect(t.Context(), name, client.ServiceInspectOptions{}); err == nil {
		t.Error("the copy's service is left")
	}
}

func TestACopyOfNothingIsNotFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.RunCopy(t.Context(), b.stack, "db", stack.CopyOptions{})
	mustBe(t, err, nuvlaops.ErrNotFound, "db")
}

// sameButForVolumes compares what makes a container answer as the original does.
func (b *bench) sameButForVolumes(original, copied string) {
	b.t.Helper()
	look := func(name string) (image string, env, secrets, aliases []string, mounts int) {
		v, err := b.api.ServiceInspect(b.t.Context(), name, client.ServiceInspectOptions{})
		must(b.t, err)
		c := v.Service.Spec.TaskTemplate.ContainerSpec
		for _, s := range c.Secrets {
			secrets = append(secrets, s.SecretID+" "+s.File.Name)
		}
		for _, n := range v.Service.Spec.TaskTemplate.Networks {
			aliases = append(aliases, append(slices.Clone(n.Aliases), n.Target)...)
		}
		return c.Image, c.Env, secrets, aliases, len(c.Mounts)
	}
	image, env, secrets, aliases, mounts := look(original)
	image2, env2, secrets2, aliases2, mounts2 := look(copied)
	if diff := cmp.Diff([]any{image, env, secrets, aliases}, []any{image2, env2, secrets2, aliases2}); diff != "" {
		b.t.Errorf("image, environment, secrets, networks (-original +copy):\n%s", diff)
	}
	if mounts != 1 || mounts2 != 0 {
		b.t.Errorf("mounts: %d of the original, %d of the copy, want 1 and 0", mounts, mounts2)
	}
}

// aside runs a copy that nobody finds by the service's name, and that the service does not notice.
func (b *bench) aside(when string, files ...string) {
	b.t.Helper()
	before, name := b.things(b.stack), b.stack+"_db-copy"
	c, err := b.RunCopy(b.t.Context(), b.stack, "db", stack.CopyOptions{Aside: true, Files: files})
	must(b.t, err)
	b.eventually("the copy runs "+when, func() bool { return b.containers(name) == 1 })
	v, err := b.api.ServiceInspect(b.t.Context(), name, client.ServiceInspectOptions{})
	must(b.t, err)
	if label := v.Service.Spec.Labels["traefik.enable"]; label != "" {
		b.t.Errorf("%s the copy has the label of a proxy, which would route requests to it", when)
	}
	spec := v.Service.Spec.TaskTemplate
	if len(spec.ContainerSpec.Secrets) != 1 || len(spec.ContainerSpec.Env) != 1 || len(spec.ContainerSpec.Mounts) != 0 || len(spec.Networks) != 1 || len(spec.Networks[0].Aliases) != 0 {
		b.t.Errorf("%s the copy has networks %v and container %+v, want a network without names, the secret, the environment, no volume", when, spec.Networks, spec.ContainerSpec)
	}
	if left, err := b.CopyIsLeft(b.t.Context(), b.stack, "db"); err != nil || !left {
		b.t.Errorf("%s a copy is there: %t, %v", when, left, err)
	}
	must(b.t, c.Remove(b.t.Context()))
	if left, err := b.CopyIsLeft(b.t.Context(), b.stack, "db"); err != nil || left {
		b.t.Errorf("%s something of the copy is left: %t, %v", when, left, err)
	}
	if left := b.things("nuvlaops-copy-" + b.stack); len(left) > 0 {
		b.t.Errorf("%s there is left: %v", when, left)
	}
	if diff := cmp.Diff(before, b.things(b.stack)); diff != "" {
		b.t.Errorf("%s the stack (-before +after):\n%s", when, diff)
	}
}

func TestACopyIsMadeOfTheComposeFileWhereTheServiceIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	file := b.file(copiedStack)
	if _, err := b.RunCopy(t.Context(), b.stack, "db", stack.CopyOptions{Aside: true, Files: []string{file}}); err == nil {
		t.Fatal("a copy without its secret")
	} else {
		mustBe(t, err, nuvlaops.ErrNotFound, b.stack+"_key")
	}
	b.secret(b.stack + "_key")
	b.aside("of the file", file)
	b.aside("of a file whose network is not there",
		b.file(strings.Replace(copiedStack, "default: {labels: %OWNER%}", "default: {external: true, name: %STACK%-nowhere}", 1)))
	_, err := b.RunCopy(t.Context(), b.stack, "other", stack.CopyOptions{Files: []string{file}})
	mustBe(t, err, nuvlaops.ErrNotFound, "other")
}

// namesakes are a service and another one that is called as a copy of the first would be.
const namesakes = `
version: "3.7"
services:
  db:
    image: %IMAGE%
    command: [run]
    deploy: {endpoint_mode: dnsrr, replicas: 0, labels: %OWNER%}
  db-copy:
    image: %IMAGE%
    command: [run]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`

func TestAServiceThatIsCalledLikeACopyIsNotTouched(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(namesakes)
	before := b.things(b.stack)
	if left, err := b.CopyIsLeft(t.Context(), b.stack, "db"); err != nil || left {
		t.Errorf("the service is taken for a copy: %t, %v", left, err)
	}
	must(t, b.RemoveCopy(t.Context(), b.stack, "db"))
	_, err := b.RunCopy(t.Context(), b.stack, "db", stack.CopyOptions{})
	mustBe(t, err, nuvlaops.ErrConflict, "db-copy")
	if diff := cmp.Diff(before, b.things(b.stack)); diff != "" {
		t.Errorf("the stack (-before +after):\n%s", diff)
	}
}

func TestACopyOfAStoppedGlobalServiceRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	must(t, b.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: []string{b.file(globalStack)}, Stopped: true}))
	for _, aside := range []bool{true, false} {
		c, err := b.RunCopy(t.Context(), b.stack, "agent", stack.CopyOptions{Aside: aside})
		must(t, err)
		b.eventually("the copy runs", func() bool { return b.containers(b.stack+"_agent-copy") == 1 })
		must(t, c.Remove(t.Context()))
	}
	copied := b.stack + "-copy"
	t.Cleanup(func() { must(t, b.RemoveStackCopy(context.Background(), b.stack, copied)) })
	must(t, b.CopyStack(t.Context(), b.stack, copied, stack.CopyStackOptions{Network: copied + "net"}))
	v, err := b.api.ServiceInspect(t.Context(), copied+"_agent", client.ServiceInspectOptions{})
	must(t, err)
	if diff := cmp.Diff([]string{"node.role == manager"}, v.Service.Spec.TaskTemplate.Placement.Constraints); diff != "" {
		t.Errorf("where the copy of the stack runs (-want +got):\n%s", diff)
	}
}

func TestACopyWritesToNoFolderOfTheHost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dir := t.TempDir()
	b.deploy(strings.Replace(stubbornStack, "command: [stubborn]", `command: [run]
    volumes: ["`+dir+`:/data"]`, 1))
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	before, err := os.ReadDir(dir)
	must(t, err)
	c, err := b.RunCopy(t.Context(), b.stack, "deaf", stack.CopyOptions{Aside: true})
	must(t, err)
	b.eventually("a task of the copy", func() bool { return b.containers(b.stack+"_deaf-copy") > 0 })
	v, err := b.api.ServiceInspect(t.Context(), b.stack+"_deaf-copy", client.ServiceInspectOptions{})
	must(t, err)
	if m := v.Service.Spec.TaskTemplate.ContainerSpec.Mounts; len(m) != 1 || !m[0].ReadOnly {
		t.Errorf("mounts of the copy: %+v, want the folder, to read only", m)
	}
	must(t, c.Remove(t.Context()))
	if files, err := os.ReadDir(dir); err != nil || len(files) != len(before) {
		t.Errorf("the copy wrote %v, %v", files, err)
	}
}

// As while it restarts.
func TestAnEngineThatIsAwayForAMomentIsAskedAgainForWhatIsCopied(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	must(t, b.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: []string{b.file(dbStack)}, Stopped: true}))
	var cuts atomic.Int64
	s, err := stack.NewSwarm(&stack.Options{Host: inFront(t, func(w http.ResponseWriter, r *http.Request, engine http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/services/"+b.stack+"_db") && cuts.Add(1) <= 3 { // the client itself asks twice
			panic(http.ErrAbortHandler)
		}
		engine.ServeHTTP(w, r)
	})})
	must(t, err)
	defer s.Close()
	c, err := s.RunCopy(t.Context(), b.stack, "db", stack.CopyOptions{})
	must(t, err)
	must(t, c.Remove(t.Context()))
}

// What a copy is read from keeps its ports reserved while it is there, also when the call was killed.
func TestACopyOfAComposeFileTakesNoPort(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	files := []string{b.file(strings.Replace(stubbornStack, "deploy: {endpoint_mode: dnsrr,", "ports: ['18219:9200']\n    deploy: {", 1))}
	c, err := b.RunCopy(t.Context(), b.stack, "deaf", stack.CopyOptions{Aside: true, Files: files})
	must(t, err)
	err = b.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: files, Stopped: true})
	must(t, c.Remove(t.Context()))
	must(t, err)
}

// The wipe comes while the copy is being removed, or after a call that was killed.
func TestACopyOfAComposeFileStandsNotInTheWayOfAWipe(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.volume(b.stack+"-data", b.stack, nil)
	files := []string{b.file(`
version: "3.7"
services:
  db:
    image: %IMAGE%
    command: [run]
    volumes: ["data:/data", "/etc:/host:ro"]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
volumes:
  data: {name: %STACK%-data, labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`)}
	c, err := b.RunCopy(t.Context(), b.stack, "db", stack.CopyOptions{Files: files})
	must(t, err)
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{Services: []string{"db"}, Files: files})
	must(t, c.Remove(t.Context()))
	must(t, err)
	if len(plan.Volumes) != 1 || len(plan.Obstacles) > 0 {
		t.Errorf("want one volume, and nothing in its way:\n%s", plan)
	}
}
