package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/client"
	tclog "github.com/testcontainers/testcontainers-go/log"

	"github.com/nuvla/nuvlaops"
)

// minAPI is that of Docker 20.10, the oldest engine that was tried.
const minAPI = "1.41"

// process is what there is one of in a process: the engine, the network of its servers, and the right to make things,
// which ends when everything is removed.
type process struct {
	me owner

	setup  sync.Mutex // held while an engine is looked for and swept
	docker *client.Client
	swept  bool

	mu       sync.Mutex
	closing  bool
	kept     bool
	stop     chan struct{} // closed when closing begins
	inFlight sync.WaitGroup
	watch    sync.Once   // for signals, in tests
	ending   atomic.Bool // since a signal came
	engines  sync.Map    // folders of a test's own engines, by name

	network network
	shared  shared
}

// own is the only variable of the package: the resources of a process are known by the label that names it, and the
// handlers of signals belong to it as well.
var own = sync.OnceValue(func() *process {
	return &process{me: self(), stop: make(chan struct{})}
})

// engine returns the client of the engine, after the first call has seen that it can be used and has swept it.
func (p *process) engine(ctx context.Context) (*client.Client, error) {
	p.setup.Lock()
	defer p.setup.Unlock()
	if p.docker == nil {
		docker, err := connect(ctx)
		if err != nil {
			return nil, explain(err)
		}
		p.docker = docker
	}
	if !p.swept {
		p.swept = true // once: what cannot be swept must not keep anyone from working
		if _, err := sweep(ctx, p.docker, p.me, 5*time.Second); err != nil && ctx.Err() != nil {
			p.swept = false
			return nil, err
		}
	}
	return p.docker, nil
}

// connect also tells testcontainers how to work here, before its first use: its reaper is an image that many sites cannot
// pull (Sweep does its work), and in a container it would take the gateway for the host.
func connect(ctx context.Context) (*client.Client, error) {
	docker, err := client.New(client.FromEnv)
	if err != nil {
		return nil, fmt.Errorf("read the address of the engine: %w", err)
	}
	for name, value := range map[string]string{
		"TESTCONTAINERS_RYUK_DISABLED": "true",
		"TESTCONTAINERS_HOST_OVERRIDE": "localhost",
		"DOCKER_HOST":                  docker.DaemonHost(),
	} {
		if os.Getenv(name) == "" {
			if err := os.Setenv(name, value); err != nil {
				return nil, err
			}
		}
	}
	tclog.SetDefault(tclog.NewNoopLogger())
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	ping, err := docker.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if err != nil {
		_ = docker.Close()
		return nil, err
	}
	if older(ping.APIVersion, minAPI) {
		_ = docker.Close()
		return nil, &nuvlaops.Error{Reason: "the engine's API is " + ping.APIVersion + ", at least " + minAPI + " is needed",
			Hint: "install Docker 20.10 or later", Err: ErrEngineTooOld}
	}
	return docker, nil
}

// older compares versions like 1.9 and 1.41.
func older(a, b string) bool {
	var aMajor, aMinor, bMajor, bMinor int
	if n, _ := fmt.Sscanf(a, "%d.%d", &aMajor, &aMinor); n != 2 {
		return false
	}
	_, _ = fmt.Sscanf(b, "%d.%d", &bMajor, &bMinor)
	return aMajor < bMajor || aMajor == bMajor && aMinor < bMinor
}

// begin allows one call to make things until done. The context that it returns ends when removal begins, and removal
// waits for done: so nothing is made behind its back.
func (p *process) begin(ctx context.Context) (_ context.Context, done func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return nil, nil, ErrClosing
	}
	p.inFlight.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop, over := p.stop, make(chan struct{})
	go func() {
		select {
		case <-stop:
			cancel(ErrClosing)
		case <-over:
		}
	}()
	return ctx, sync.OnceFunc(func() {
		close(over)
		cancel(context.Canceled)
		p.inFlight.Done()
	}), nil
}

// removeOwn removes all that this process has made. Final means that nothing is made any more afterwards.
func (p *process) removeOwn(ctx context.Context, final bool) error {
	p.mu.Lock()
	if !p.closing {
		p.closing = true
		close(p.stop)
	}
	p.mu.Unlock()
	p.inFlight.Wait()
	p.setup.Lock()
	docker := p.docker
	p.setup.Unlock()
	var err error
	if docker != nil {
		err = removeOf(ctx, docker, p.me.String())
	}
	if !final {
		p.mu.Lock()
		p.closing, p.stop = false, make(chan struct{})
		p.mu.Unlock()
	}
	return err
}

// local says whether the engine runs on this machine.
func local(docker *client.Client) bool {
	return strings.HasPrefix(docker.DaemonHost(), "unix://")
}

// OwnerLabelValue is the value of Label for what this process makes. Put it, in a compose file, under deploy.labels and
// labels of each service and under labels of each volume, network, secret and config.
func OwnerLabelValue() string { return own().me.String() }

// labels returns what everything that this process makes carries.
func labels() map[string]string { return map[string]string{Label: OwnerLabelValue()} }

// op puts the name of the exported call on an error, and an instruction where there is one.
func op(call, resource string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrClosing) {
		return err
	}
	return nuvlaops.Wrap("testenv."+call, resource, explain(err))
}
