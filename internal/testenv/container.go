package testenv

import (
	"context"
	"errors"
)

var errTodo = errors.New("not written yet")

// Container is one server in a container of its own. Its methods may be called from several goroutines.
type Container struct {
	name, addr string
}

// Name is the host name of the server on its network, and the name of its container.
func (c *Container) Name() string { return c.name }

// Addr is host:port of the server's port on 127.0.0.1. It stays the same until Close.
func (c *Container) Addr() string { return c.addr }

// Stop ends the server in order (SIGTERM). Data and address stay; Start brings it back.
func (c *Container) Stop(ctx context.Context) error { return errTodo }

// Kill ends the server as a power cut does (SIGKILL). Data and address stay; Start brings it back.
func (c *Container) Kill(ctx context.Context) error { return errTodo }

// Start brings a stopped or killed server back, and returns when it serves.
func (c *Container) Start(ctx context.Context) error { return errTodo }

// Pause freezes the server: connections are accepted by the kernel, nothing answers.
func (c *Container) Pause(ctx context.Context) error { return errTodo }

// Unpause ends a Pause.
func (c *Container) Unpause(ctx context.Context) error { return errTodo }

// Exec runs a command as root in the container and returns what it wrote to both outputs. A status other than 0 is an error.
func (c *Container) Exec(ctx context.Context, cmd ...string) (string, error) { return "", errTodo }

// Logs returns all that the server has written to its outputs.
func (c *Container) Logs(ctx context.Context) (string, error) { return "", errTodo }

// Close removes the container and its data. A second Close does nothing.
func (c *Container) Close(ctx context.Context) error { return errTodo }
