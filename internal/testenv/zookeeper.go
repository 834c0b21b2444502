package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

// The versions of ZooKeeper that tests run on.
const (
	// ZooKeeper34 is what Nuvla runs.
	ZooKeeper34 = images.ZooKeeperVersion
	// ZooKeeper39 is a current one.
	ZooKeeper39 = images.ZooKeeperNextVersion
)

// ZooKeeperOptions says which server to start. The zero value is a single 3.4.13.
type ZooKeeperOptions struct {
	// Version of the server. Default ZooKeeper34.
	Version string
	// Env holds more variables of the image, such as ZOO_MAX_CLIENT_CNXNS.
	Env map[string]string
	// Network that the server joins. Default: the network of this process.
	Network string
	// Port on 127.0.0.1. Default: a free one. An ensemble takes free ones always.
	Port int
}

// ZooKeeper is a running server.
type ZooKeeper struct {
	*Container
}

// StartZooKeeper starts a single server and returns when it serves. The caller must Close it.
func StartZooKeeper(ctx context.Context, opts ZooKeeperOptions) (*ZooKeeper, error) {
	z, err := startZooKeeper(ctx, newName("zk"), opts, nil)
	return z, op("StartZooKeeper", opts.Version, err)
}

// StartZooKeeperEnsemble starts n servers that form one ensemble and returns when there is a leader and each serves. The
// caller must Close each.
func StartZooKeeperEnsemble(ctx context.Context, n int, opts ZooKeeperOptions) ([]*ZooKeeper, error) {
	if opts.Version == "" {
		opts.Version = ZooKeeper34
	}
	opts.Port = 0
	names, lines := make([]string, n), make([]string, n)
	for i := range n {
		names[i] = newName("zk")
		lines[i] = fmt.Sprintf("server.%d=%s:2888:3888", i+1, names[i])
		if !strings.HasPrefix(opts.Version, "3.4.") {
			lines[i] += ";2181" // where 3.5 and later want the client's port
		}
	}
	servers, errs := make([]*ZooKeeper, n), make([]error, n)
	var started sync.WaitGroup
	for i := range n { // at once: none serves before most are there
		started.Go(func() {
			servers[i], errs[i] = startZooKeeper(ctx, names[i], opts, map[string]string{
				"ZOO_MY_ID": fmt.Sprint(i + 1), "ZOO_SERVERS": strings.Join(lines, " "),
			})
		})
	}
	started.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, z := range servers {
			if z != nil {
				err = errors.Join(err, z.Close(context.WithoutCancel(ctx)))
			}
		}
		return nil, op("StartZooKeeperEnsemble", opts.Version, err)
	}
	return servers, nil
}

func startZooKeeper(ctx context.Context, name string, opts ZooKeeperOptions, env map[string]string) (*ZooKeeper, error) {
	if opts.Version == "" {
		opts.Version = ZooKeeper34
	}
	image, err := resolve(ctx, images.ZooKeeper, opts.Version)
	if err != nil {
		return nil, err
	}
	s := spec{
		kind: "zk", name: name, image: image.Ref, network: opts.Network, port: images.ZooKeeperPort, publish: opts.Port,
		env: map[string]string{}, serving: func(ctx context.Context, addr string) error {
			_, err := zooKeeperMode(ctx, addr)
			return err
		},
	}
	for _, vars := range []map[string]string{opts.Env, env} {
		for k, v := range vars {
			s.env[k] = v
		}
	}
	c, err := run(ctx, s)
	if err != nil {
		return nil, err
	}
	return &ZooKeeper{Container: c}, nil
}

// Mode is what the server says it is: "standalone", "leader" or "follower"; an error when it does not serve.
func (z *ZooKeeper) Mode(ctx context.Context) (string, error) {
	mode, err := zooKeeperMode(ctx, z.addr)
	return mode, op("Mode", z.name, err)
}

// zooKeeperMode asks with the four letters "srvr", which a server without a quorum answers without a mode.
func zooKeeperMode(ctx context.Context, addr string) (string, error) {
	answer, err := AskZooKeeper(ctx, addr, "srvr")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(answer) {
		if mode, found := strings.CutPrefix(line, "Mode: "); found {
			return strings.TrimSpace(mode), nil
		}
	}
	return "", fmt.Errorf("the server does not serve: %.100q", answer)
}

// AskZooKeeper sends a four letter word to a server and returns its answer, within the context's deadline.
func AskZooKeeper(ctx context.Context, addr, word string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := io.WriteString(conn, word); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 1<<16))
	return string(answer), err
}
