package stack_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv/images"
	"github.com/nuvla/nuvlaops/stack"
)

// things lists what is there under a stack's name: services, volumes, networks, with the moment in which each was made.
func (b *bench) things(name string) (out []string) {
	b.t.Helper()
	filter := make(client.Filters).Add("label", "com.docker.stack.namespace="+name)
	services, err := b.api.ServiceList(b.t.Context(), client.ServiceListOptions{Filters: filter})
	must(b.t, err)
	for _, v := range services.Items {
		out = append(out, "service "+v.Spec.Name+" "+v.UpdatedAt.String())
	}
	volumes, err := b.api.VolumeList(b.t.Context(), client.VolumeListOptions{Filters: filter})
	must(b.t, err)
	for _, v := range volumes.Items {
		out = append(out, "volume "+v.Name+" "+v.CreatedAt)
	}
	networks, err := b.api.NetworkList(b.t.Context(), client.NetworkListOptions{Filters: filter})
	must(b.t, err)
	for _, n := range networks.Items {
		out = append(out, "network "+n.Name+" "+n.Created.String())
	}
	slices.Sort(out)
	return out
}

func TestAStackIsCopiedAndTheCopyRemovedWithoutTouchingIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.secret(b.stack + "_key")
	b.deploy(copiedStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	before, marks := b.things(b.stack), b.marks(b.stack+"_data")
	copied, net := b.stack+"-copy", b.stack+"-copynet"
	t.Cleanup(func() { _ = b.RemoveStackCopy(context.Background(), b.stack, copied) })

	for range 2 { // the second time it is there
		must(t, b.CopyStack(t.Context(), b.stack, copied, stack.CopyStackOptions{Network: net}))
	}
	if s, err := b.Look(t.Context(), copied); err != nil || len(s.Services) != 1 || !s.Services[0].Stopped || s.Services[0].Networks[0] != net {
		t.Fatalf("the copy is %+v, %v, want its one service, stopped, on its own network", s, err)
	}
	must(t, b.Start(t.Context(), copied, stack.StartOptions{}))
	b.eventually("the copy runs on a volume of its own", func() bool { return b.marks(copied+"_data") == 1 })
	b.sameButForNetworks(b.stack+"_db", copied+"_db")
	if diff := cmp.Diff([]string{"database", "db", b.stack + "_db"}, b.names(copied+"_db")); diff != "" {
		t.Errorf("names of the copy (-want +got):\n%s", diff)
	}
	if v, err := b.api.ServiceInspect(t.Context(), copied+"_db", client.ServiceInspectOptions{}); err != nil || v.Service.Spec.Labels["traefik.enable"] != "" {
		t.Errorf("labels of the copy: %v, %v, want none that a proxy routes by", v.Service.Spec.Labels, err)
	}
	if n := b.marks(b.stack + "_data"); n != marks {
		t.Errorf("the copy wrote to the stack's volume: %d marks became %d", marks, n)
	}

	for range 2 { // the second time it is gone
		must(t, b.RemoveStackCopy(t.Context(), b.stack, copied))
	}
	if left := b.things(copied); len(left) > 0 {
		t.Errorf("of the copy there is left: %v", left)
	}
	if diff := cmp.Diff(before, b.things(b.stack)); diff != "" {
		t.Errorf("the stack (-before +after):\n%s", diff)
	}
}

// sameButForNetworks compares what makes a container run as the original does.
func (b *bench) sameButForNetworks(original, copied string) {
	b.t.Helper()
	look := func(name string) []any {
		v, err := b.api.ServiceInspect(b.t.Context(), name, client.ServiceInspectOptions{})
		must(b.t, err)
		c := v.Service.Spec.TaskTemplate.ContainerSpec
		return []any{c.Image, c.Args, c.Env, c.Secrets}
	}
	if diff := cmp.Diff(look(original), look(copied)); diff != "" {
		b.t.Errorf("image, command, environment, secrets (-original +copy):\n%s", diff)
	}
}

func TestAStackIsNotCopiedWhereTheCopyWouldTouchIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dir := t.TempDir()
	b.deploy(strings.Replace(`
version: "3.7"
services:
  own:
    image: %IMAGE%
    command: [run]
    networks: [default]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
  bound:
    image: %IMAGE%
    command: [run]
    volumes: ["%DIR%:/data"]
    networks: [default]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
networks:
  default: {labels: %OWNER%, attachable: true}
`, "%DIR%", dir, 1))
	refused := func(to, word string, opts stack.CopyStackOptions) {
		t.Helper()
		mustBe(t, b.CopyStack(t.Context(), b.stack, to, opts), nuvlaops.ErrRefused, word)
		if left := b.things(to); to != b.stack && len(left) > 0 {
			t.Errorf("a refused copy left: %v", left)
		}
	}
	own := []string{"own"}
	refused(b.stack+"-a", "at /data", stack.CopyStackOptions{Network: b.stack + "-net"})
	refused(b.stack+"-a", "is on the network", stack.CopyStackOptions{Services: own, Network: b.stack + "_default"})
	refused(b.stack, "is no copy", stack.CopyStackOptions{Services: own, Network: b.stack + "-net"})
	mustBe(t, b.RemoveStackCopy(t.Context(), "another", b.stack), nuvlaops.ErrRefused, "is no copy")
	mustBe(t, b.CopyStack(t.Context(), b.stack, b.stack+"-a", stack.CopyStackOptions{Services: []string{"none"}, Network: b.stack + "-net"}), nuvlaops.ErrNotFound, "none")
	if n := len(b.look().Services); n != 2 {
		t.Errorf("%d services are left of 2", n)
	}
}

func TestAStackIsNotCopiedOntoWhatAnEarlierCopyHasWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.secret(b.stack + "_key")
	must(t, b.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: []string{b.file(copiedStack)}, Stopped: true}))
	copied := b.stack + "-copy"
	t.Cleanup(func() { _ = b.RemoveStackCopy(context.Background(), b.stack, copied) })
	again := func() error {
		return b.CopyStack(t.Context(), b.stack, copied, stack.CopyStackOptions{Network: copied + "net"})
	}
	must(t, again())
	must(t, b.Start(t.Context(), copied, stack.StartOptions{}))
	must(t, again()) // it is there
	_, err := b.api.ServiceRemove(t.Context(), copied+"_db", client.ServiceRemoveOptions{})
	must(t, err)
	mustBe(t, again(), nuvlaops.ErrRefused, copied+"_data is left")
	must(t, b.RemoveStackCopy(t.Context(), b.stack, copied))
	must(t, again())
}

// A volume without a name, whose driver brings it from somewhere, is the same data for each container.
func TestAStackIsNotCopiedWhereAVolumeWithoutANamePointsAtData(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	must(t, b.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: []string{b.file(stubbornStack)}, Stopped: true}))
	v, err := b.api.ServiceInspect(t.Context(), b.stack+"_deaf", client.ServiceInspectOptions{})
	must(t, err)
	spec := v.Service.Spec
	spec.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Type: mount.TypeVolume, Target: "/data", VolumeOptions: &mount.VolumeOptions{
		DriverConfig: &mount.Driver{Name: "local", Options: map[string]string{"type": "none", "o": "bind", "device": t.TempDir()}}}}}
	_, err = b.api.ServiceUpdate(t.Context(), v.Service.ID, client.ServiceUpdateOptions{Version: v.Service.Version, Spec: spec})
	must(t, err)
	t.Cleanup(func() { must(t, b.RemoveStackCopy(context.Background(), b.stack, b.stack+"-a")) })
	err = b.CopyStack(t.Context(), b.stack, b.stack+"-a", stack.CopyStackOptions{Network: b.stack + "-net"})
	mustBe(t, err, nuvlaops.ErrRefused, "at /data")
}

// namedStack: on one network the name web leads to a and c, on the other one to b.
const namedStack = `
version: "3.7"
services:
  a:
    image: %IMAGE%
    command: [run]
    networks: {front: {aliases: [web]}, back: {aliases: [data]}}
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
  b:
    image: %IMAGE%
    command: [run]
    networks: {back: {aliases: [web]}}
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
  c:
    image: %IMAGE%
    command: [run]
    networks: {front: {aliases: [web]}}
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
networks:
  front: {labels: %OWNER%}
  back: {labels: %OWNER%}
`

// names are those that a service has on its one network.
func (b *bench) names(service string) []string {
	b.t.Helper()
	v, err := b.api.ServiceInspect(b.t.Context(), service, client.ServiceInspectOptions{})
	must(b.t, err)
	if n := len(v.Service.Spec.TaskTemplate.Networks); n != 1 {
		b.t.Fatalf("service %s is on %d networks, want one", service, n)
	}
	return slices.Sorted(slices.Values(v.Service.Spec.TaskTemplate.Networks[0].Aliases))
}

func TestANameLeadsWhereItLedInTheOriginalOrTheCopyIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	must(t, b.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: []string{b.file(namedStack)}, Stopped: true}))
	copied := b.stack + "-copy"
	t.Cleanup(func() { must(t, b.RemoveStackCopy(context.Background(), b.stack, copied)) })
	of := func(services ...string) error {
		return b.CopyStack(t.Context(), b.stack, copied, stack.CopyStackOptions{Services: services, Network: copied + "net"})
	}
	mustBe(t, of(), nuvlaops.ErrRefused, "the name web leads to a, c on one network and to b on another")
	mustBe(t, of("a", "b"), nuvlaops.ErrRefused, "the name web")
	if left := b.things(copied); len(left) > 0 {
		t.Errorf("a refused copy left: %v", left)
	}
	must(t, of("a", "c"))
	if diff := cmp.Diff([]string{"a", "data", b.stack + "_a", "web"}, b.names(copied+"_a")); diff != "" {
		t.Errorf("names of the copy (-want +got):\n%s", diff)
	}
	mustBe(t, of("b"), nuvlaops.ErrRefused, "the name web") // of the copies that are there
}

func TestACopyIsFoundUnderTheWholeNameOfItsOriginal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	must(t, b.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: []string{b.file(serverStack)}, Stopped: true}))
	copied, net := b.stack+"-copy", b.stack+"-copynet"
	t.Cleanup(func() { must(t, b.RemoveStackCopy(context.Background(), b.stack, copied)) })
	must(t, b.CopyStack(t.Context(), b.stack, copied, stack.CopyStackOptions{Services: []string{"server"}, Network: net}))
	limit := 30 * time.Second
	for _, name := range []string{"server", b.stack + "_server"} {
		probe := b.ProbeFrom(net, b.image, "/testservice", "dial", name+":8080")
		must(t, b.Start(t.Context(), copied, stack.StartOptions{Limit: limit, Probes: map[string]func(context.Context) error{"server": probe}}))
	}
}

// A service of others on the network, which is found there by the name of a service that is copied.
func TestAStackIsNotCopiedOntoANetworkThatKnowsItsNames(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stopped := stack.DeployOptions{Files: []string{b.file(namedStack)}, Stopped: true}
	must(t, b.Deploy(t.Context(), b.stack, stopped))
	other, copied := b.stack+"2", b.stack+"-copy"
	t.Cleanup(func() { b.removeStack(other) })
	t.Cleanup(func() { must(t, b.RemoveStackCopy(context.Background(), b.stack, copied)) })
	stopped.Files = []string{b.file(strings.ReplaceAll(serverStack, "networks: [net]", "networks: {net: {aliases: [data]}}"))}
	must(t, b.Deploy(t.Context(), other, stopped))
	of := func(service string) error {
		return b.CopyStack(t.Context(), b.stack, copied, stack.CopyStackOptions{Services: []string{service}, Network: other + "_net"})
	}
	mustBe(t, of("a"), nuvlaops.ErrRefused, "is on the network", "its name data")
	for range 2 { // the second time the copy itself is on it
		must(t, of("b"))
	}
}

func TestAForwardLeadsIntoTheContainerAsItRunsNow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	resolver, err := images.New(nil)
	must(t, err)
	image, err := resolver.Resolve(t.Context(), images.Spec{Name: images.ZooKeeper, Version: images.ZooKeeperVersion})
	must(t, err)
	b.deploy(strings.ReplaceAll(`
version: "3.7"
services:
  zk:
    image: %ZK%
    networks: [default]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`, "%ZK%", image.Ref))
	forward, err := b.Forward(b.stack, "zk", 2181)
	must(t, err)
	probe := map[string]func(context.Context) error{"zk": stack.ProbeZooKeeper(forward.Addr())}
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{Probes: probe}))
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	gone, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := probe["zk"](gone); err == nil || gone.Err() != nil {
		t.Errorf("the probe of a stopped service: %v, want a connection that is closed at once", err)
	}
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{Probes: probe})) // in another container
	must(t, forward.Close())
	if err := probe["zk"](t.Context()); err == nil {
		t.Error("a closed forward forwards")
	}
}

// Volumes of another stack of that name, whose services are gone: the copy would write to them, and a wipe of it remove them.
func TestAStackIsNotCopiedOntoVolumesThatAreThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.secret(b.stack + "_key")
	b.deploy(copiedStack)
	to := b.stack + "-a"
	t.Cleanup(func() { _ = b.RemoveStackCopy(context.Background(), b.stack, to) })
	for _, c := range []struct{ name, of string }{{to + "_other", to}, {to + "_data", ""}} {
		b.volume(c.name, c.of, nil)
		mustBe(t, b.CopyStack(t.Context(), b.stack, to, stack.CopyStackOptions{Network: to + "net"}), nuvlaops.ErrRefused, c.name)
		must(t, b.RemoveStackCopy(t.Context(), b.stack, to))
		_, err := b.api.VolumeRemove(t.Context(), c.name, client.VolumeRemoveOptions{})
		must(t, err)
	}
}
