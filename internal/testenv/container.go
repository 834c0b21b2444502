package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	dockernet "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/wait"
)

// startDeadline is how long a server may take until it serves. Elasticsearch takes 12 s on two idle cores; 9.5 took more than two
// minutes on two slow ones that twenty processes waited for.
const startDeadline = 6 * time.Minute

// Container is one server in a container of its own. Its methods may be called from several goroutines.
type Container struct {
	name   string
	addr   string
	tc     testcontainers.Container
	docker *client.Client
	leave  func(context.Context) error // the network of the process

	mu     sync.Mutex
	closed bool
}

// spec says which container to run.
type spec struct {
	kind    string // what is in it; part of its name
	name    string // default: a new one
	image   string
	cmd     []string // default: the image's
	env     map[string]string
	files   map[string]string // content by path, put there before the server starts
	volumes map[string]string // path by name of volume
	tmpfs   map[string]string // options by path
	network string            // default: the one of this process
	within  *cluster          // whose network it has, in the place of one of its own
	port    int               // of the server, in the container
	publish int               // on 127.0.0.1; 0: a free one
	// serving asks the server at addr whether it serves; each try has a second or two.
	serving func(ctx context.Context, addr string) error
}

// run makes the container, starts it and waits until it serves. After an error nothing is left.
func run(ctx context.Context, s spec) (_ *Container, err error) {
	ctx, done, err := own().begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	docker, err := own().engine(ctx)
	if err != nil {
		return nil, err
	}
	if s.name == "" {
		s.name = newName(s.kind)
	}
	c := &Container{name: s.name, docker: docker, leave: func(context.Context) error { return nil }}
	defer func() {
		if err != nil {
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			err = errors.Join(err, c.Close(clean))
		}
	}()
	if s.within != nil {
		s.network, c.leave = "container:"+s.within.holder.name, s.within.leave
	} else if s.network == "" {
		network, leave, err := own().network.join(ctx)
		if err != nil {
			return nil, err
		}
		s.network, c.leave = network, leave
	}
	return c, c.create(ctx, s)
}

// create tries other ports when a port that nobody asked for was taken meanwhile.
func (c *Container) create(ctx context.Context, s spec) error {
	for try := 1; ; try++ {
		port := s.publish
		if port == 0 {
			var err error
			if port, err = freePort(); err != nil {
				return err
			}
		}
		c.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if s.within != nil {
			c.addr = net.JoinHostPort(s.within.address, strconv.Itoa(s.port))
		}
		tc, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{ContainerRequest: c.request(s, port)})
		if tc != nil {
			c.tc = tc
		}
		if err == nil {
			err = tc.Start(ctx)
		}
		if err == nil {
			return nil
		}
		err = explain(err)
		if s.publish != 0 || try == 5 || !errors.Is(err, ErrPortTaken) {
			return c.withLogs(ctx, err)
		}
		if err := c.removeContainer(ctx); err != nil {
			return err
		}
	}
}

func (c *Container) request(s spec, publish int) testcontainers.ContainerRequest {
	port := dockernet.MustParsePort(strconv.Itoa(s.port) + "/tcp")
	req := testcontainers.ContainerRequest{
		Name:         c.name,
		Image:        s.image,
		Cmd:          s.cmd,
		Env:          s.env,
		Labels:       labels(),
		Tmpfs:        s.tmpfs,
		Networks:     []string{s.network},
		ExposedPorts: []string{port.String()},
		WaitingFor:   wait.ForAll(&served{addr: c.addr, probe: s.serving}).WithDeadline(startDeadline),
		HostConfigModifier: func(h *container.HostConfig) {
			h.NetworkMode = container.NetworkMode(s.network) // an overlay is not joined by being named as endpoint alone
			h.PortBindings = dockernet.PortMap{port: {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: strconv.Itoa(publish)}}}
			h.Binds = binds(s.volumes)
		},
	}
	if s.within != nil {
		req.Networks, req.ExposedPorts = nil, nil
		req.HostConfigModifier = func(h *container.HostConfig) {
			h.NetworkMode = container.NetworkMode(s.network)
			h.Binds = binds(s.volumes)
		}
	}
	for path, content := range s.files {
		req.Files = append(req.Files, testcontainers.ContainerFile{
			Reader: strings.NewReader(content), ContainerFilePath: path, FileMode: 0o444,
		})
	}
	return req
}

func binds(volumes map[string]string) (out []string) {
	for volume, path := range volumes {
		out = append(out, volume+":"+path)
	}
	return out
}

// served waits until the server answers a probe, or its container ends.
type served struct {
	addr  string
	probe func(ctx context.Context, addr string) error
}

func (s *served) WaitUntilReady(ctx context.Context, target wait.StrategyTarget) error {
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := s.probe(try, s.addr)
		cancel()
		if err == nil {
			return nil
		}
		state, stateErr := target.State(ctx)
		switch {
		case stateErr != nil:
			return errors.Join(stateErr, err)
		case state.Status == container.StateExited || state.Status == container.StateDead:
			return fmt.Errorf("the server ended with status %d", state.ExitCode)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until the server serves: %w; last: %w", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// withLogs adds the last lines that the server wrote to an error of its start.
func (c *Container) withLogs(ctx context.Context, err error) error {
	if c.tc == nil || ctx.Err() != nil {
		return err
	}
	logs, logErr := c.Logs(ctx)
	lines := strings.Split(strings.TrimSpace(logs), "\n")
	if logErr != nil || logs == "" {
		return err
	}
	return fmt.Errorf("%w; its last lines were:\n%s", err, strings.Join(lines[max(0, len(lines)-20):], "\n"))
}

// Name is the host name of the server on its network, and the name of its container.
func (c *Container) Name() string { return c.name }

// Addr is host:port of the server's port on 127.0.0.1. It stays the same until Close.
func (c *Container) Addr() string { return c.addr }

// Stop ends the server in order (SIGTERM), or after 30 s not in order. Data and address stay; Start brings it back.
func (c *Container) Stop(ctx context.Context) error {
	grace := 30 * time.Second
	return op("Stop", c.name, c.tc.Stop(ctx, &grace))
}

// Kill ends the server as a power cut does (SIGKILL), and returns when it is gone. Data and address stay; Start brings it
// back.
func (c *Container) Kill(ctx context.Context) error {
	gone := c.docker.ContainerWait(ctx, c.tc.GetContainerID(), client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	if _, err := c.docker.ContainerKill(ctx, c.tc.GetContainerID(), client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		return op("Kill", c.name, err)
	}
	select {
	case <-gone.Result:
		return nil
	case err := <-gone.Error:
		return op("Kill", c.name, err)
	}
}

// Start brings a stopped or killed server back, and returns when it serves.
func (c *Container) Start(ctx context.Context) error {
	ctx, done, err := own().begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := c.tc.Start(ctx); err != nil {
		return op("Start", c.name, c.withLogs(ctx, explain(err)))
	}
	return nil
}

// Pause freezes the server: the kernel accepts connections, nothing answers.
func (c *Container) Pause(ctx context.Context) error {
	_, err := c.docker.ContainerPause(ctx, c.tc.GetContainerID(), client.ContainerPauseOptions{})
	return op("Pause", c.name, err)
}

// Unpause ends a Pause.
func (c *Container) Unpause(ctx context.Context) error {
	_, err := c.docker.ContainerUnpause(ctx, c.tc.GetContainerID(), client.ContainerUnpauseOptions{})
	return op("Unpause", c.name, err)
}

// Exec runs a command as root in the container and returns what it wrote to both outputs. A status other than 0 is an error.
func (c *Container) Exec(ctx context.Context, cmd ...string) (string, error) {
	out, err := c.exec(ctx, "0", cmd...)
	return out, op("Exec", c.name, err)
}

func (c *Container) exec(ctx context.Context, user string, cmd ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	status, output, err := c.tc.Exec(ctx, cmd, tcexec.WithUser(user), tcexec.Multiplexed())
	if err != nil {
		return "", fmt.Errorf("run %s: %w", cmd[0], err)
	}
	text, err := io.ReadAll(output)
	if err == nil && status != 0 {
		err = fmt.Errorf("%s ended with status %d: %s", cmd[0], status, bytes.TrimSpace(text))
	}
	return string(text), err
}

// Logs returns all that the server has written to its outputs.
func (c *Container) Logs(ctx context.Context) (string, error) {
	raw, err := c.docker.ContainerLogs(ctx, c.tc.GetContainerID(), client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return "", op("Logs", c.name, err)
	}
	defer raw.Close()
	var text bytes.Buffer
	_, err = stdcopy.StdCopy(&text, &text, raw)
	return text.String(), op("Logs", c.name, err)
}

// write puts a file into the container, whether it runs or not.
func (c *Container) write(ctx context.Context, path, content string) error {
	if err := c.tc.CopyToContainer(ctx, []byte(content), path, 0o444); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Close removes the container and its data. A second Close does nothing.
func (c *Container) Close(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	if err := c.removeContainer(ctx); err != nil {
		return op("Close", c.name, err)
	}
	c.closed = true
	return op("Close", c.name, c.leave(ctx))
}

// removeContainer goes by name: a call that was cut off may have made the container without telling its id.
func (c *Container) removeContainer(ctx context.Context) error {
	r := removal{docker: c.docker}
	return r.pass(ctx, []thing{{"container", c.name, func(ctx context.Context) error {
		_, err := c.docker.ContainerRemove(ctx, c.name, client.ContainerRemoveOptions{RemoveVolumes: true, Force: true})
		return err
	}}})
}
