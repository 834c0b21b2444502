package testenv_test

import (
	"strings"
	"testing"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

func TestSwarmPutsTheNodeBack(t *testing.T) {
	ctx := t.Context()
	docker, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer docker.Close()
	s, err := testenv.StartSwarm(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(ctx)
	label := func() (string, bool) {
		node, err := docker.NodeInspect(ctx, s.NodeID(), client.NodeInspectOptions{})
		if err != nil {
			return "", false // the swarm is gone
		}
		value, ok := node.Node.Spec.Labels["nuvlaops-test"]
		return value, ok
	}
	for range 2 {
		if err := s.SetNodeLabel(ctx, "nuvlaops-test", "worker-db"); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := label(); got != "worker-db" {
		t.Errorf("label is %q", got)
	}
	if err := s.SetNodeLabel(ctx, "nuvlaops-test", "other"); err == nil {
		t.Error("a label that is set was set to another value")
	}
	if err := s.CreateNetwork(ctx, "nuvlaops-test-overlay"); err != nil {
		t.Fatal(err)
	}
	// The server is reached by name from other containers of the overlay, and by us as ever.
	zk, err := testenv.StartZooKeeper(ctx, testenv.ZooKeeperOptions{Network: "nuvlaops-test-overlay"})
	if err != nil {
		t.Fatal(err)
	}
	if err := zk.Close(ctx); err != nil {
		t.Error(err)
	}
	service, err := docker.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: swarm.ServiceSpec{
		Annotations:  swarm.Annotations{Name: "nuvlaops-test-service", Labels: map[string]string{testenv.Label: testenv.OwnerLabelValue()}},
		TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: "nuvlaops-test-no-such-image"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := docker.ServiceInspect(ctx, service.ID, client.ServiceInspectOptions{}); err == nil {
		t.Error("the service is still there")
	}
	if got, found := label(); found && !othersUse(t, docker) {
		t.Errorf("label is still there: %q", got)
	}
	if _, err := docker.NetworkInspect(ctx, "nuvlaops-test-overlay", client.NetworkInspectOptions{}); err == nil {
		t.Error("the network is still there")
	}
}

// othersUse says whether another process uses the swarm, for which labels stay.
func othersUse(t *testing.T, docker *client.Client) bool {
	t.Helper()
	nodes, err := docker.NodeList(t.Context(), client.NodeListOptions{})
	if err != nil {
		return false
	}
	for _, node := range nodes.Items {
		for key := range node.Spec.Labels {
			if strings.HasPrefix(key, testenv.UserLabel) {
				return true
			}
		}
	}
	return false
}
