package testenv

import "context"

// Swarm is the engine's swarm, while this process uses it.
type Swarm struct{}

// StartSwarm uses the swarm that the engine is in; when it is in none, it makes one of a single node on 127.0.0.1, which the
// last process that uses it leaves again. A swarm that was there before is left as it was found.
func StartSwarm(ctx context.Context) (*Swarm, error) { return nil, errTodo }

// NodeID is the engine's own node.
func (s *Swarm) NodeID() string { return "" }

// Made says whether this package made the swarm.
func (s *Swarm) Made() bool { return false }

// Foreign says whether the swarm runs services that this package's callers did not label.
func (s *Swarm) Foreign(ctx context.Context) (bool, error) { return false, errTodo }

// SetNodeLabel sets a label on the engine's own node until the last user of the swarm closes it; then the node has again
// the label that it had, or none. A label that another live user has set to another value is an error.
func (s *Swarm) SetNodeLabel(ctx context.Context, key, value string) error { return errTodo }

// CreateNetwork makes an attachable overlay network that carries the label. It is removed by Close.
func (s *Swarm) CreateNetwork(ctx context.Context, name string) error { return errTodo }

// Close removes the services, secrets, configs, overlay networks and volumes of this process, puts node labels back, and
// leaves the swarm when this package made it and no other live process uses it.
func (s *Swarm) Close(ctx context.Context) error { return errTodo }
