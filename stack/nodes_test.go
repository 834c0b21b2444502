package stack_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

const workerStack = `
version: "3.7"
services:
  db:
    image: %IMAGE%
    command: [run]
    volumes: ["data:/data"]
    deploy: {endpoint_mode: dnsrr, placement: {constraints: ["node.labels.type == worker-db"]}}
  core:
    image: %IMAGE%
    command: [run]
    deploy: {endpoint_mode: dnsrr, replicas: 2}
volumes:
  data: {}
`

// The steps go on from each other: two engines take a while to start.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	image, err := shared()
	must(t, err)
	p.Load(t, image)
	open := func(engines map[string]string, job *stack.NodeJob) *bench {
		s, err := stack.NewSwarm(&stack.Options{Host: p.Manager.Host(), Engines: engines, Job: job, VolumeSizes: true})
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return &bench{Swarm: s, t: t, api: p.Worker.API, stack: "db", image: image, dir: t.TempDir()}
	}
	blind, b := open(nil, nil), open(map[string]string{p.Worker.Name: p.Worker.Host()}, nil)
	byJob, badJob := open(nil, p.jobOnWorker(t)), open(nil, &stack.NodeJob{Image: image, Command: []string{"/testservice", "fail"}})
	b.deploy(workerStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	volume := b.stack + "_data"
	if n := b.marks(volume); n != 1 {
		t.Fatalf("%d starts on the volume of the second node, want 1", n)
	}

	t.Run("a worker's engine is refused", func(t *testing.T) {
		s, err := stack.NewSwarm(&stack.Options{Host: p.Worker.Host()})
		must(t, err)
		defer s.Close()
		_, err = s.Look(t.Context(), b.stack)
		mustBe(t, err, nuvlaops.ErrUnsupported, "not a manager", "node is active", "DOCKER_HOST")
	})
	t.Run("an engine under a wrong name is refused", func(t *testing.T) {
		s, err := stack.NewSwarm(&stack.Options{Host: p.Manager.Host(), Engines: map[string]string{p.Worker.Name: p.Manager.Host()}})
		must(t, err)
		defer s.Close()
		_, err = s.Look(t.Context(), b.stack)
		mustBe(t, err, nuvlaops.ErrInvalid, "that of another node")
	})
	t.Run("containers of another node are waited for, and its volumes refused without its engine", func(t *testing.T) {
		must(t, blind.Stop(t.Context(), b.stack, stack.StopOptions{}))
		for _, c := range running(t, p.Worker.API) {
			t.Errorf("container %s still runs on the second node", c)
		}
		plan, err := blind.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
		must(t, err)
		mustBe(t, blind.Wipe(t.Context(), plan, stack.Unguarded), nuvlaops.ErrRefused, p.Worker.Name, "its engine is not named")
		must(t, blind.Start(t.Context(), b.stack, stack.StartOptions{}))
		if n := b.marks(volume); n != 2 {
			t.Errorf("%d starts on the volume, want 2: it is the same", n)
		}
	})
	t.Run("a volume of another node is found and removed through its engine", func(t *testing.T) {
		must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
		plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
		must(t, err)
		if len(plan.Volumes) != 1 || plan.Volumes[0].Node != p.Worker.Name || plan.Volumes[0].Bytes < 0 || len(plan.Volumes[0].Containers) > 0 {
			t.Fatalf("want a plan for the volume of node %s, with its size:\n%s", p.Worker.Name, plan)
		}
		must(t, b.Wipe(t.Context(), plan, stack.Unguarded))
		must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
		if n := b.marks(volume); n != 1 {
			t.Errorf("%d starts on the new volume, want 1", n)
		}
	})
	t.Run("services that were removed are waited for on another node", func(t *testing.T) {
		far := open(nil, nil)
		far.stack = "far"
		far.deploy(farStack)
		must(t, far.Start(t.Context(), far.stack, stack.StartOptions{}))
		again := stack.DeployOptions{Files: []string{far.file(farStack)}, Stopped: true}
		_, err := p.Manager.API.ServiceRemove(t.Context(), far.stack+"_db", client.ServiceRemoveOptions{})
		must(t, err)
		if far.containers(far.stack+"_db") == 0 {
			t.Fatal("the containers are gone already: this test shows nothing")
		}
		var waits sync.WaitGroup
		for name, wait := range map[string]func() error{
			"Stop":           func() error { return far.Stop(t.Context(), far.stack, stack.StopOptions{}) },
			"Stop by groups": func() error { return far.Stop(t.Context(), far.stack, stack.StopOptions{Groups: [][]string{{"db"}}}) },
			"Deploy":         func() error { return far.Deploy(t.Context(), far.stack, again) },
		} {
			waits.Go(func() {
				err := wait()
				list, listErr := p.Worker.API.ContainerList(t.Context(), client.ContainerListOptions{
					Filters: make(client.Filters).Add("label", "com.docker.swarm.service.name="+far.stack+"_db")})
				if err := errors.Join(err, listErr); err != nil || len(list.Items) != 0 {
					t.Errorf("after %s: %v, %d containers still run", name, err, len(list.Items))
				}
			})
		}
		waits.Wait()
	})
	t.Run("what is on another node is reached by a job of ours", func(t *testing.T) { p.reachedByJob(t, b, byJob) })
	t.Run("a job that fails leaves its node in question", func(t *testing.T) { p.jobThatFails(t, b, badJob) })
	t.Run("what a copy left on another node is named until it has been looked at", func(t *testing.T) {
		copied := b.stack + "-copy"
		must(t, blind.CopyStack(t.Context(), b.stack, copied, stack.CopyStackOptions{Services: []string{"db"}, Network: copied + "net"}))
		must(t, blind.Start(t.Context(), copied, stack.StartOptions{}))
		// It is ended as soon as the services are gone, and with them what tells of the node.
		middle, end := context.WithCancel(t.Context())
		go func() {
			defer end()
			for gone := false; !gone; time.Sleep(10 * time.Millisecond) {
				_, err := p.Manager.API.ServiceInspect(middle, copied+"_db", client.ServiceInspectOptions{})
				gone = err != nil
			}
		}()
		mustBe(t, b.RemoveStackCopy(middle, b.stack, copied), context.Canceled)
		for range 2 {
			mustBe(t, blind.RemoveStackCopy(t.Context(), b.stack, copied), nuvlaops.ErrRefused, "volumes on node "+p.Worker.Name, "is not named")
		}
		mustBe(t, badJob.RemoveStackCopy(t.Context(), b.stack, copied), nuvlaops.ErrRefused, "volumes on node "+p.Worker.Name, "no such luck")
		for _, s := range []*bench{b, blind, byJob} {
			err := s.CopyStack(t.Context(), b.stack, copied, stack.CopyStackOptions{Services: []string{"db"}, Network: copied + "net"})
			mustBe(t, err, nuvlaops.ErrRefused, "left", p.Worker.Name)
		}
		if _, err := p.Worker.API.VolumeInspect(t.Context(), copied+"_data", client.VolumeInspectOptions{}); err != nil {
			t.Errorf("the volume of the copy: %v: this test shows nothing", err)
		}
		for _, s := range []*bench{byJob, blind} { // the first one looks
			must(t, s.RemoveStackCopy(t.Context(), b.stack, copied))
		}
		if _, err := p.Worker.API.VolumeInspect(t.Context(), copied+"_data", client.VolumeInspectOptions{}); err == nil {
			t.Error("the volume of the copy is left")
		}
	})
	t.Run("a copy without volumes on another node is waited for and gone", func(t *testing.T) {
		must(t, blind.CopyStack(t.Context(), "far", "far-copy", stack.CopyStackOptions{Network: "far-copynet"}))
		must(t, blind.Start(t.Context(), "far-copy", stack.StartOptions{}))
		must(t, blind.RemoveStackCopy(t.Context(), "far", "far-copy"))
		for _, c := range running(t, p.Worker.API) {
			if strings.Contains(c, "far-copy") {
				t.Errorf("container %s of the copy still runs", c)
			}
		}
	})
	t.Run("a manager that restarts in the middle of a wait is waited for", func(t *testing.T) {
		restarted, failure := make(chan struct{}), error(nil)
		probes := 0
		probe := func(ctx context.Context) error {
			if probes++; probes == 1 {
				go func() {
					defer close(restarted)
					failure = p.Manager.Restart()
				}()
			}
			select {
			case <-restarted:
				return failure
			default:
				return errors.New("not yet")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		must(t, b.Start(ctx, b.stack, stack.StartOptions{Probes: map[string]func(context.Context) error{"db": probe}}))
		<-restarted
		// A manager that is back takes a node that does not say at once that it is there for lost, and moves its task.
		b.eventually("all run after the restart", func() bool {
			s := b.look()
			return s.Service("core").Running == 2 && s.Service("db").Running == 1
		})
	})
	t.Run("a manager that restarts in the middle of a stop is waited for", func(t *testing.T) {
		restarted, failure, once := make(chan struct{}), error(nil), sync.Once{}
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		must(t, b.Stop(ctx, b.stack, stack.StopOptions{Groups: [][]string{{"core"}, {"db"}}, Progress: func(nuvlaops.Progress) {
			once.Do(func() {
				go func() {
					defer close(restarted)
					failure = p.Manager.Restart()
				}()
			})
		}}))
		<-restarted
		must(t, failure)
		s := b.look()
		for name, want := range map[string]int{"core": 2, "db": 1} {
			if v := s.Service(name); !v.Stopped || v.Remembered != want {
				t.Errorf("%s after the restart: %+v, want it stopped with %d remembered", name, v, want)
			}
		}
		for _, api := range []*client.Client{p.Manager.API, p.Worker.API} {
			if left := running(t, api); len(left) > 0 {
				t.Errorf("containers still run: %v", left)
			}
		}
	})
	t.Run("a volume whose node is down is refused", func(t *testing.T) {
		must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
		must(t, b.CopyStack(t.Context(), b.stack, b.stack+"-copy", stack.CopyStackOptions{Services: []string{"db"}, Network: b.stack + "-copynet"}))
		must(t, b.Start(t.Context(), b.stack+"-copy", stack.StartOptions{}))
		p.Worker.Kill()
		plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
		must(t, err)
		asked := false
		err = b.Wipe(t.Context(), plan, func(context.Context) error { asked = true; return nil })
		mustBe(t, err, nuvlaops.ErrRefused, p.Worker.Name, "cannot be reached")
		if asked {
			t.Error("the guard was asked")
		}
		if files, _ := filepath.Glob(filepath.Join(p.Worker.Dir, "data", "volumes", volume, "_data", "mark-*")); len(files) == 0 {
			t.Error("the volume on the node that is down is gone")
		}
	})
	t.Run("what a copy left on a node that is down is named again and again", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		for range 2 {
			mustBe(t, b.RemoveStackCopy(ctx, b.stack, b.stack+"-copy"), nuvlaops.ErrRefused, "volumes on node "+p.Worker.Name,
				"containers on node "+p.Worker.Name+", which is down")
		}
	})
}

func running(t *testing.T, api *client.Client) []string {
	t.Helper()
	list, err := api.ContainerList(t.Context(), client.ContainerListOptions{})
	must(t, err)
	var out []string
	for _, c := range list.Items {
		out = append(out, strings.Join(c.Names, " "))
	}
	return out
}
