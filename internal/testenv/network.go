package testenv

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"sync"

	"github.com/moby/moby/client"
)

// network is the bridge that the servers of a process share. It is there while one of them is.
type network struct {
	mu    sync.Mutex
	name  string
	users int
}

// join returns the network's name, and what to call when its user is gone.
func (n *network) join(ctx context.Context) (name string, leave func(context.Context) error, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.users == 0 {
		if n.name, err = NewNetwork(ctx); err != nil {
			return "", nil, err
		}
	}
	n.users++
	var once sync.Once
	return n.name, func(ctx context.Context) (err error) {
		once.Do(func() { err = n.leave(ctx) })
		return err
	}, nil
}

func (n *network) leave(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.users--; n.users > 0 {
		return nil
	}
	return RemoveNetwork(ctx, n.name)
}

// NewNetwork makes a bridge network and returns its name.
func NewNetwork(ctx context.Context) (string, error) {
	name := newName("net")
	err := create(ctx, func(ctx context.Context, docker *client.Client) error {
		_, err := docker.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge", Labels: labels()})
		return err
	})
	return name, op("NewNetwork", name, err)
}

// RemoveNetwork removes a network that NewNetwork made; one that is gone is no error.
func RemoveNetwork(ctx context.Context, name string) error {
	return op("RemoveNetwork", name, remove(ctx, "network", name, func(ctx context.Context, docker *client.Client) error {
		_, err := docker.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
		return err
	}))
}

// NewVolume makes an empty volume and returns its name.
func NewVolume(ctx context.Context) (string, error) {
	name := newName("vol")
	err := create(ctx, func(ctx context.Context, docker *client.Client) error {
		_, err := docker.VolumeCreate(ctx, client.VolumeCreateOptions{Name: name, Labels: labels()})
		return err
	})
	return name, op("NewVolume", name, err)
}

// RemoveVolume removes a volume that NewVolume made and nothing uses any more; one that is gone is no error.
func RemoveVolume(ctx context.Context, name string) error {
	return op("RemoveVolume", name, remove(ctx, "volume", name, func(ctx context.Context, docker *client.Client) error {
		_, err := docker.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
		return err
	}))
}

func create(ctx context.Context, make func(context.Context, *client.Client) error) error {
	ctx, done, err := own().begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	docker, err := own().engine(ctx)
	if err != nil {
		return err
	}
	return make(ctx, docker)
}

func remove(ctx context.Context, kind, name string, rm func(context.Context, *client.Client) error) error {
	docker, err := own().engine(ctx)
	if err != nil {
		return err
	}
	r := removal{docker: docker}
	return r.pass(ctx, []thing{{kind, name, func(ctx context.Context) error { return rm(ctx, docker) }}})
}

// newName is a name that nothing else has, short enough for a host name.
func newName(kind string) string {
	return fmt.Sprintf("nuvlaops-%s-%d-%s", kind, own().me.pid, randomHex(4))
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never returns an error
	return hex.EncodeToString(b)
}

// Ports are chosen below the ones that the kernel gives to outgoing connections (32768 and up): a server that is stopped
// for a while must find its port free when it is started again.
const (
	firstPort = 20000
	lastPort  = 32000
)

// freePort returns a port of 127.0.0.1 on which nothing listens now.
func freePort() (int, error) {
	for range 100 {
		n, err := rand.Int(rand.Reader, big.NewInt(lastPort-firstPort))
		if err != nil {
			return 0, err
		}
		port := firstPort + int(n.Int64())
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, ErrPortTaken
}
