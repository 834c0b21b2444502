package testenv

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
)

// Who uses the swarm, and what its last user has to put back, is written on the engine's own node as labels: they are
// changed under a version, so that two processes never undo each other's change, and they outlive a kill -9. A swarm that
// this package made carries Label from its first moment.
const (
	// bridgeLabel is on a swarm (as is Label, when this package made it) that made docker_gwbridge: an engine keeps it.
	bridgeLabel = Label + ".bridge"
	// leavingLabel is there while the last user leaves.
	leavingLabel = Label + ".leaving"
	// userLabel and the value of an owner say that this process uses the swarm.
	userLabel = Label + ".user."
	// wasLabel and the name of a label keep what SetNodeLabel found: "=" and the value, or nothing.
	wasLabel = Label + ".was."
)

// swarmBridge is the network through which containers of overlays reach the world.
const swarmBridge = "docker_gwbridge"

// Swarm is the engine's swarm, while this process uses it.
type Swarm struct {
	docker *client.Client
	node   string
	made   bool
}

// StartSwarm uses the swarm that the engine is in; when it is in none, it makes one of a single node on 127.0.0.1, which the
// last process that uses it leaves again. A swarm that was there before is left as it was found.
func StartSwarm(ctx context.Context) (*Swarm, error) {
	ctx, done, err := own().begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	docker, err := own().engine(ctx)
	if err != nil {
		return nil, op("StartSwarm", "", err)
	}
	for {
		s, err := joinSwarm(ctx, docker)
		if s != nil || err != nil {
			return s, op("StartSwarm", "", err)
		}
		select { // another process makes or leaves it right now
		case <-ctx.Done():
			return nil, op("StartSwarm", "", context.Cause(ctx))
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// joinSwarm returns nothing when it must be tried again.
func joinSwarm(ctx context.Context, docker *client.Client) (*Swarm, error) {
	info, err := docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, fmt.Errorf("ask the engine for its state: %w", err)
	}
	switch state := info.Info.Swarm; {
	case state.LocalNodeState == swarm.LocalNodeStateInactive:
		err := makeSwarm(ctx, docker)
		if err != nil && strings.Contains(err.Error(), "already part of a swarm") {
			return nil, nil
		} else if err != nil {
			return nil, fmt.Errorf("make a swarm: %w", err)
		}
	case state.LocalNodeState != swarm.LocalNodeStateActive:
		return nil, nil
	case !state.ControlAvailable:
		return nil, fmt.Errorf("this engine is a worker of a swarm: use the engine of a manager (DOCKER_HOST)")
	}
	s := &Swarm{docker: docker}
	err = s.changeLabels(ctx, func(labels map[string]string) bool {
		leaver, leaving := parseOwner(labels[leavingLabel])
		if leaving && !leaver.dead(own().me, local(docker)) {
			return false
		}
		delete(labels, leavingLabel)
		labels[userLabel+OwnerLabelValue()] = "1"
		return true
	})
	if err != nil || s.node == "" {
		return nil, err
	}
	spec, err := swarmLabels(ctx, docker)
	_, s.made = spec[Label]
	return s, err
}

func makeSwarm(ctx context.Context, docker *client.Client) error {
	spec := labels()
	_, err := docker.NetworkInspect(ctx, swarmBridge, client.NetworkInspectOptions{})
	if errdefs.IsNotFound(err) {
		spec[bridgeLabel] = "made"
	}
	_, err = docker.SwarmInit(ctx, client.SwarmInitOptions{
		ListenAddr: "127.0.0.1:2377", AdvertiseAddr: "127.0.0.1", Availability: swarm.NodeAvailabilityActive,
		Spec: swarm.Spec{Annotations: swarm.Annotations{Name: "default", Labels: spec}},
	})
	return err
}

// swarmLabels are those of the swarm itself; Label among them says who made it with this package.
func swarmLabels(ctx context.Context, docker *client.Client) (map[string]string, error) {
	found, err := docker.SwarmInspect(ctx, client.SwarmInspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the swarm: %w", err)
	}
	return found.Swarm.Spec.Labels, nil
}

// changeLabels changes the labels of the engine's own node; when change says no, or the swarm is gone meanwhile, nothing is
// done and s.node stays empty.
func (s *Swarm) changeLabels(ctx context.Context, change func(labels map[string]string) bool) error {
	for {
		info, err := s.docker.Info(ctx, client.InfoOptions{})
		if err != nil || info.Info.Swarm.NodeID == "" {
			return err
		}
		node, err := s.docker.NodeInspect(ctx, info.Info.Swarm.NodeID, client.NodeInspectOptions{})
		if err != nil {
			return fmt.Errorf("read the engine's node: %w", err)
		}
		spec := node.Node.Spec
		if spec.Labels == nil {
			spec.Labels = map[string]string{}
		}
		if !change(spec.Labels) {
			return nil
		}
		_, err = s.docker.NodeUpdate(ctx, node.Node.ID, client.NodeUpdateOptions{Version: node.Node.Version, Spec: spec})
		if err == nil {
			s.node = node.Node.ID
			return nil
		}
		if !strings.Contains(err.Error(), "out of sequence") {
			return fmt.Errorf("label the engine's node: %w", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// NodeID is the engine's own node.
func (s *Swarm) NodeID() string { return s.node }

// Made says whether this package made the swarm.
func (s *Swarm) Made() bool { return s.made }

// Foreign says whether services run in the swarm that do not carry Label.
func (s *Swarm) Foreign(ctx context.Context) (bool, error) {
	foreign, err := foreignServices(ctx, s.docker)
	return foreign, op("Swarm.Foreign", "", err)
}

func foreignServices(ctx context.Context, docker *client.Client) (bool, error) {
	list, err := docker.ServiceList(ctx, client.ServiceListOptions{})
	if err != nil {
		return false, fmt.Errorf("list services: %w", err)
	}
	for _, service := range list.Items {
		if _, ours := service.Spec.Labels[Label]; !ours {
			return true, nil
		}
	}
	return false, nil
}

// SetNodeLabel sets a label on the engine's own node until the last user of the swarm is gone; then the node has again the
// value that it had, or none. Another value than a live user has set is an error.
func (s *Swarm) SetNodeLabel(ctx context.Context, key, value string) error {
	taken := ""
	err := s.changeLabels(ctx, func(labels map[string]string) bool {
		old, had := labels[key]
		if had && old == value {
			return false
		}
		if _, ours := labels[wasLabel+key]; ours && had {
			taken = old
			return false
		}
		labels[wasLabel+key] = ""
		if had {
			labels[wasLabel+key] = "=" + old
		}
		labels[key] = value
		return true
	})
	if err == nil && taken != "" {
		err = fmt.Errorf("another process has set it to %q", taken)
	}
	return op("Swarm.SetNodeLabel", key, err)
}

// CreateNetwork makes an attachable overlay network, which Close removes.
func (s *Swarm) CreateNetwork(ctx context.Context, name string) error {
	return op("Swarm.CreateNetwork", name, create(ctx, func(ctx context.Context, docker *client.Client) error {
		_, err := docker.NetworkCreate(ctx, name, client.NetworkCreateOptions{
			Driver: "overlay", Scope: "swarm", Attachable: true, Labels: labels(),
		})
		return err
	}))
}

// Close removes all of this process that a swarm holds (services, secrets, configs, overlay networks) and the volumes of
// its services, puts node labels back, and leaves the swarm when this package made it, no other live process uses it, and
// no container runs that would lose its name by it; else a later Sweep leaves it.
func (s *Swarm) Close(ctx context.Context) error {
	r := removal{docker: s.docker, match: func(value string) bool { return value == OwnerLabelValue() }, swarmOnly: true}
	return op("Swarm.Close", "", r.all(ctx))
}

// releaseSwarm takes the users away whose value matches. After the last one it puts the node's labels back, or leaves the
// swarm when this package made it, nothing foreign runs in it, and nobody is harmed.
func releaseSwarm(ctx context.Context, docker *client.Client, match func(value string) bool) (left bool, err error) {
	for try := 1; ; try++ {
		manager, err := isManager(ctx, docker)
		if err != nil || !manager {
			return false, err
		}
		left, err = tryReleaseSwarm(ctx, docker, match)
		if err == nil || try == 20 { // another process may be leaving it right now
			return left, err
		}
		select {
		case <-ctx.Done():
			return false, errors.Join(context.Cause(ctx), err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func tryReleaseSwarm(ctx context.Context, docker *client.Client, match func(value string) bool) (left bool, err error) {
	spec, err := swarmLabels(ctx, docker)
	if err != nil {
		return false, err
	}
	stay, err := mustStay(ctx, docker)
	if err != nil {
		return false, err
	}
	s, leave := &Swarm{docker: docker}, false
	err = s.changeLabels(ctx, func(labels map[string]string) bool {
		changed, users := dropUsers(labels, match)
		if users > 0 {
			return changed
		}
		// Without users, and nobody's use just taken away: its live maker may be about to write down its own.
		maker, ours := parseOwner(spec[Label])
		unused := ours && (changed || match(spec[Label]) || maker.dead(own().me, local(docker)))
		if leave = unused && !stay; leave {
			labels[leavingLabel] = OwnerLabelValue()
			return true
		}
		return putBack(labels) || changed
	})
	if err != nil || !leave {
		return false, err
	}
	if _, err := docker.SwarmLeave(ctx, client.SwarmLeaveOptions{Force: true}); err != nil {
		return false, fmt.Errorf("leave the swarm: %w", err)
	}
	if spec[bridgeLabel] != "" {
		_, _ = docker.NetworkRemove(ctx, swarmBridge, client.NetworkRemoveOptions{}) // the next swarm makes it again
	}
	return true, nil
}

// mustStay says whether leaving the swarm would harm anyone: services that are not ours would be lost, and an engine that
// leaves a swarm forgets the names of all running containers on all networks (moby/moby#45144), and the published ports of
// some (moby/moby#42877). Another process that starts or ends later leaves it then.
func mustStay(ctx context.Context, docker *client.Client) (bool, error) {
	if foreign, err := foreignServices(ctx, docker); err != nil || foreign {
		return foreign, err
	}
	list, err := docker.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		return false, fmt.Errorf("list containers: %w", err)
	}
	for _, c := range list.Items {
		if c.NetworkSettings == nil {
			continue
		}
		for network := range c.NetworkSettings.Networks {
			switch network {
			case "bridge", "host", "none": // which know no names
			default:
				return true, nil
			}
		}
	}
	return false, nil
}

func dropUsers(labels map[string]string, match func(string) bool) (changed bool, left int) {
	for key := range labels {
		if user, found := strings.CutPrefix(key, userLabel); found && match(user) {
			delete(labels, key)
			changed = true
		} else if found {
			left++
		}
	}
	return changed, left
}

func putBack(labels map[string]string) (changed bool) {
	for key, was := range labels {
		name, found := strings.CutPrefix(key, wasLabel)
		if !found {
			continue
		}
		delete(labels, key)
		if old, had := strings.CutPrefix(was, "="); had {
			labels[name] = old
		} else {
			delete(labels, name)
		}
		changed = true
	}
	return changed
}
