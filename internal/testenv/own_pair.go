package testenv

import (
	"fmt"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
)

// OwnPair is a swarm of two engines of one test's own, each in a network namespace, joined by a virtual cable.
type OwnPair struct{ Manager, Worker *OwnEngine }

// The addresses are on the cable between the two namespaces, and nowhere else.
const managerAddr, workerAddr = "10.213.77.1", "10.213.77.2"

// NewOwnPair starts both, with (*OwnEngine).Start or KeepRunning, and returns when they are ready for services. A machine where
// no engine can be started skips the test.
func NewOwnPair(t testing.TB, start func(*OwnEngine) error) *OwnPair {
	t.Helper()
	p := &OwnPair{Manager: NewOwnEngine(t, "m"), Worker: NewOwnEngine(t, "w")}
	if err := p.join(t, start); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *OwnPair) join(t testing.TB, start func(*OwnEngine) error) error {
	m, w := p.Manager.Name, p.Worker.Name
	if err := shell(t, fmt.Sprintf("ip link add %[1]s netns %[1]s type veth peer name %[2]s netns %[2]s", m, w)); err != nil {
		return err
	}
	for e, addr := range map[*OwnEngine]string{p.Manager: managerAddr, p.Worker: workerAddr} {
		if err := shell(t, fmt.Sprintf("ip -n %[1]s addr add %[2]s/24 dev %[1]s && ip -n %[1]s link set %[1]s up", e.Name, addr)); err != nil {
			return err
		}
		if err := start(e); err != nil {
			return err
		}
	}
	ctx := t.Context()
	if _, err := p.Manager.API.SwarmInit(ctx, client.SwarmInitOptions{ListenAddr: managerAddr + ":2377", AdvertiseAddr: managerAddr + ":2377"}); err != nil {
		return err
	}
	info, err := p.Manager.API.SwarmInspect(ctx, client.SwarmInspectOptions{})
	if err != nil {
		return err
	}
	if _, err := p.Worker.API.SwarmJoin(ctx, client.SwarmJoinOptions{ListenAddr: workerAddr + ":2377", AdvertiseAddr: workerAddr + ":2377",
		RemoteAddrs: []string{managerAddr + ":2377"}, JoinToken: info.Swarm.JoinTokens.Worker}); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if n, err := p.workerNode(t); err != nil || n.Status.State == swarm.NodeStateReady {
			return err
		}
	}
	return fmt.Errorf("the worker does not join")
}

// Load copies images of the machine's engine into both.
func (p *OwnPair) Load(t testing.TB, images ...string) {
	t.Helper()
	load(t, images, p.Manager, p.Worker)
}

// workerNode is the worker as the manager knows it, or none while it has not joined.
func (p *OwnPair) workerNode(t testing.TB) (swarm.Node, error) {
	nodes, err := p.Manager.API.NodeList(t.Context(), client.NodeListOptions{})
	for _, n := range nodes.Items {
		if n.Description.Hostname == p.Worker.Name {
			return n, nil
		}
	}
	return swarm.Node{}, err
}

// LabelWorker sets the one label that the worker has.
func (p *OwnPair) LabelWorker(t testing.TB, key, value string) error {
	n, err := p.workerNode(t)
	if err != nil {
		return err
	}
	n.Spec.Labels = map[string]string{key: value}
	_, err = p.Manager.API.NodeUpdate(t.Context(), n.ID, client.NodeUpdateOptions{Version: n.Version, Spec: n.Spec})
	return err
}

func shell(t testing.TB, command string) error {
	if out, err := Command(t, "sh", "-c", command).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, out)
	}
	return nil
}
