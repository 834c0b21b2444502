package main

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/stack"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// zookeeper is how ZooKeeper is reached.
type zookeeper struct {
	hosts   []string
	options zkjobs.ConnectOptions
}

// newZooKeeper reads -zk, whose addresses may carry a chroot, and the flags of the connection.
func newZooKeeper(addresses string, flags cli.ZooKeeper) (z zookeeper, err error) {
	hosts, chroot, err := zkjobs.ParseHosts(addresses)
	if err != nil {
		return z, cli.Usagef("-zk %q: %w", addresses, err)
	}
	options, err := flags.Options()
	if err != nil {
		return z, err
	}
	z = zookeeper{hosts: hosts, options: *options}
	z.options.Chroot = chroot
	return z, nil
}

func (z zookeeper) String() string { return strings.Join(z.hosts, ",") + z.options.Chroot }

func (z zookeeper) connect(ctx context.Context) (*zkjobs.Conn, error) {
	return zkjobs.Connect(ctx, z.hosts, &z.options)
}

// serves is a probe: ZooKeeper gives a session.
func (z zookeeper) serves(ctx context.Context) error {
	return cli.ZooKeeperServes(&z.options, z.hosts...)(ctx)
}

// answers reports whether one of the hosts is there. A session is tried for again and again, which the dead need not be.
func (z zookeeper) answers(ctx context.Context) bool {
	return slices.ContainsFunc(z.hosts, func(host string) bool {
		if z.options.TLS == nil {
			return stack.ProbeZooKeeper(host)(ctx) == nil
		}
		conn, err := (&tls.Dialer{Config: z.options.TLS}).DialContext(ctx, "tcp", host)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// copied is how the copy is reached that a drill makes: by the forward, at its plain port, and with a tree of its own.
func (z zookeeper) copied(forward string) zookeeper {
	return zookeeper{hosts: []string{forward}, options: zkjobs.ConnectOptions{User: z.options.User, Password: z.options.Password}}
}
