package testenv

import "context"

// The versions of ZooKeeper that tests run on.
const (
	// ZooKeeper34 is what Nuvla runs.
	ZooKeeper34 = "3.4.13"
	// ZooKeeper39 is a current one.
	ZooKeeper39 = "3.9.3"
)

// ZooKeeperOptions says which server to start. The zero value is a single 3.4.13.
type ZooKeeperOptions struct {
	// Version of the server. Default ZooKeeper34.
	Version string
	// Network that the server joins. Default: the network of this process.
	Network string
	// Port on 127.0.0.1. Default: a free one.
	Port int
}

// ZooKeeper is a running server.
type ZooKeeper struct {
	*Container
}

// StartZooKeeper starts a single server and returns when it serves. The caller must Close it.
func StartZooKeeper(ctx context.Context, opts ZooKeeperOptions) (*ZooKeeper, error) {
	return nil, errTodo
}

// StartZooKeeperEnsemble starts n servers that form one ensemble and returns when there is a leader. Options.Port is not
// used. The caller must Close each.
func StartZooKeeperEnsemble(ctx context.Context, n int, opts ZooKeeperOptions) ([]*ZooKeeper, error) {
	return nil, errTodo
}

// Mode is what the server says it is: "standalone", "leader" or "follower"; an error when it does not serve.
func (z *ZooKeeper) Mode(ctx context.Context) (string, error) { return "", errTodo }
