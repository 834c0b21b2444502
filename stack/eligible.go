package stack

import (
	"slices"
	"strings"

	"github.com/moby/moby/api/types/swarm"
)

// mayRun says whether the orchestrator may run a service's tasks on a node, now or when the node comes back. A constraint
// that is not understood lets the node pass: it is then in question, which is the safe side.
func mayRun(spec swarm.ServiceSpec, n swarm.Node) bool {
	if spec.TaskTemplate.Placement == nil {
		return true
	}
	for _, c := range spec.TaskTemplate.Placement.Constraints {
		if c != nowhere && !meets(c, n) {
			return false
		}
	}
	return true
}

// hasPlaceFor says whether the orchestrator may make a task of a global service for any node, now or when it comes back.
func (f *fleet) hasPlaceFor(spec swarm.ServiceSpec) bool {
	return slices.ContainsFunc(f.nodes, func(n swarm.Node) bool {
		return n.Spec.Availability == swarm.NodeAvailabilityActive && mayRun(spec, n)
	})
}

func meets(constraint string, n swarm.Node) bool {
	key, want, equal := strings.Cut(constraint, "==")
	if !equal {
		key, want, _ = strings.Cut(constraint, "!=")
	}
	have, known := property(strings.TrimSpace(key), n)
	return !known || strings.EqualFold(have, strings.TrimSpace(want)) == equal
}

func property(key string, n swarm.Node) (value string, known bool) {
	switch strings.ToLower(key) {
	case "node.id":
		return n.ID, true
	case "node.hostname":
		return n.Description.Hostname, true
	case "node.role":
		return string(n.Spec.Role), true
	case "node.platform.os":
		return n.Description.Platform.OS, true
	}
	if label, is := strings.CutPrefix(key, "node.labels."); is {
		return n.Spec.Labels[label], true
	}
	if label, is := strings.CutPrefix(key, "engine.labels."); is {
		return n.Description.Engine.Labels[label], true
	}
	return "", false
}
