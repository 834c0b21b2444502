package stack_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

// pair is a swarm of two engines of our own, each in a network namespace, joined by a virtual cable. Nothing of the
// machine's own engine is touched.
type pair struct {
	t               testing.TB
	manager, worker *testenv.OwnEngine
}

func newPair(t testing.TB) *pair {
	t.Helper()
	p := &pair{t: t, manager: testenv.NewOwnEngine(t, "m"), worker: testenv.NewOwnEngine(t, "w")}
	shell(t, fmt.Sprintf("ip link add %[1]s netns %[1]s type veth peer name %[2]s netns %[2]s", p.manager.Name, p.worker.Name))
	for i, e := range []*testenv.OwnEngine{p.manager, p.worker} {
		shell(t, fmt.Sprintf("ip -n %[1]s addr add 10.213.77.%[2]d/24 dev %[1]s && ip -n %[1]s link set %[1]s up", e.Name, i+1))
		must(t, e.Start())
	}
	ctx := t.Context()
	_, err := p.manager.API.SwarmInit(ctx, client.SwarmInitOptions{ListenAddr: "10.213.77.1:2377", AdvertiseAddr: "10.213.77.1:2377"})
	must(t, err)
	info, err := p.manager.API.SwarmInspect(ctx, client.SwarmInspectOptions{})
	must(t, err)
	_, err = p.worker.API.SwarmJoin(ctx, client.SwarmJoinOptions{ListenAddr: "10.213.77.2:2377", AdvertiseAddr: "10.213.77.2:2377",
		RemoteAddrs: []string{"10.213.77.1:2377"}, JoinToken: info.Swarm.JoinTokens.Worker})
	must(t, err)
	p.labelWorker()
	return p
}

func (p *pair) labelWorker() {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		nodes, err := p.manager.API.NodeList(p.t.Context(), client.NodeListOptions{})
		must(p.t, err)
		for _, n := range nodes.Items {
			if n.Description.Hostname == p.worker.Name && n.Status.State == swarm.NodeStateReady {
				n.Spec.Labels = map[string]string{"type": "worker-db"}
				_, err := p.manager.API.NodeUpdate(p.t.Context(), n.ID, client.NodeUpdateOptions{Version: n.Version, Spec: n.Spec})
				must(p.t, err)
				return
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatal("the worker does not join")
		}
	}
}

func shell(t testing.TB, command string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.SplitN(command, "\n", 2)[0], err, out)
	}
}
