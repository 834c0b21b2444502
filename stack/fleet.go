package stack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// engine is the engine of one node: only it sees and removes the node's containers and volumes.
type engine struct {
	id, name string // of its node
	api      *client.Client
}

// fleet is the manager's engine, the others that can be reached, the nodes that jobs reach, and those that nothing does.
type fleet struct {
	nodes   []swarm.Node // all of them
	engines []*engine
	byJob   []swarm.Node
	dark    []darkNode
}

type darkNode struct {
	swarm.Node
	why string
}

// fleet finds the engines for one call. An engine that was named and does not answer leaves its node dark: the manager
// still says which tasks are there.
func (s *Swarm) fleet(ctx context.Context) (*fleet, error) {
	self, err := s.manager(ctx)
	if err != nil {
		return nil, err
	}
	f := &fleet{engines: []*engine{self}}
	nodes, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	f.nodes = nodes
	known := map[string]bool{} // the keys of Options.Engines that are those of nodes
	for _, n := range nodes {
		key := n.ID // several nodes may have one host name
		known[key], known[n.Description.Hostname] = true, true
		if n.ID == self.id { // the same engines may be named on each manager
			self.name = n.Description.Hostname
			continue
		}
		if s.others[key] == nil {
			key = n.Description.Hostname
		}
		api := s.others[key]
		if api == nil {
			f.withoutEngine(n, s.opts.Job)
			continue
		}
		info, err := s.infoOf(ctx, api)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			f.dark = append(f.dark, darkNode{n, "its engine cannot be reached: " + err.Error()})
		case info.Info.Swarm.NodeID == "": // as one that has just been started
			f.dark = append(f.dark, darkNode{n, fmt.Sprintf("its engine is in no swarm, or still joins it (%s)", info.Info.Swarm.LocalNodeState)})
		case hasTwin(n, nodes, info.Info.Swarm.NodeID):
			f.withoutEngine(n, s.opts.Job)
		case info.Info.Swarm.NodeID != n.ID:
			return nil, wrongEngine(key, "the engine is that of another node: "+info.Info.Name)
		default:
			f.engines = append(f.engines, &engine{id: n.ID, name: n.Description.Hostname, api: api})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.others)) {
		if !known[key] {
			return nil, wrongEngine(key, "no node of the swarm has this name")
		}
	}
	return f, nil
}

func (f *fleet) withoutEngine(n swarm.Node, job *NodeJob) {
	if why := job.cannotReach(n); why != "" {
		f.dark = append(f.dark, darkNode{n, why})
	} else {
		f.byJob = append(f.byJob, n)
	}
}

// hasTwin says whether the engine is that of another node of the same host name: one that was made anew has joined again,
// and what it was stays listed until it is removed.
func hasTwin(n swarm.Node, nodes []swarm.Node, engine string) bool {
	return engine != n.ID && slices.ContainsFunc(nodes, func(other swarm.Node) bool {
		return other.ID == engine && other.Description.Hostname == n.Description.Hostname
	})
}

// defaultAnswer is how long the engine of another node may take to say which one it is.
const defaultAnswer = 10 * time.Second

func (s *Swarm) infoOf(ctx context.Context, api *client.Client) (client.SystemInfoResult, error) {
	ctx, cancel := limited(ctx, s.answer)
	defer cancel()
	return api.Info(ctx, client.InfoOptions{})
}

func wrongEngine(key, reason string) error {
	return &nuvlaops.Error{Resource: fmt.Sprintf("Options.Engines[%q]", key), Reason: reason, Err: nuvlaops.ErrInvalid,
		Hint: "names and identifiers of nodes: docker node ls"}
}

// on returns the engine of a node, or nil.
func (f *fleet) on(node string) *engine {
	for _, e := range f.engines {
		if e.id == node {
			return e
		}
	}
	return nil
}

// unreached are the nodes whose engines cannot be reached from here.
func (f *fleet) unreached() []swarm.Node {
	out := slices.Clone(f.byJob)
	for _, d := range f.dark {
		out = append(out, d.Node)
	}
	return out
}

// silence says why a node does not tell the end of its tasks, or "".
func (f *fleet) silence(id string) string {
	for _, n := range f.nodes {
		if n.ID == id && n.Status.State == swarm.NodeStateDown {
			return ", which is down: bring it back, or remove it from the swarm when nothing runs there: docker node rm --force " + id
		}
	}
	return ""
}

// nodeName is for people.
func (f *fleet) nodeName(id string) string {
	if e := f.on(id); e != nil {
		return e.name
	}
	for _, n := range f.byJob {
		if n.ID == id {
			return n.Description.Hostname
		}
	}
	for _, n := range f.dark {
		if n.ID == id {
			return n.Description.Hostname
		}
	}
	return id
}
