package zkjobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// Conn is a connection to ZooKeeper: one session, which finds another server by itself when its own is lost. It may be
// used by several goroutines.
type Conn struct {
	zk     *zk.Conn
	events <-chan zk.Event
	dialer *dialer
	opts   ConnectOptions
	chroot string

	once    sync.Once
	session chan struct{} // closed at the first session
	closing sync.Once
}

// observe is go-zookeeper's callback; it must not block.
func (c *Conn) observe(e zk.Event) {
	if e.State == zk.StateHasSession {
		c.once.Do(func() { close(c.session) })
	}
}

// Close ends the session and returns when nothing of the connection is left here. Locks held by it are gone then; where no server
// could be told, they go when the session has timed out.
func (c *Conn) Close() {
	c.closing.Do(func() {
		if c.zk.State() != zk.StateHasSession { // nobody to say good-bye to: do not wait for an answer
			c.dialer.cancel()
		}
		c.zk.Close()
		c.dialer.cancel()
		for range c.events {
		}
	})
}

// call runs one request of go-zookeeper under a context. When the context ends first the call returns at once; what was
// sent may still be carried out, in the order of the connection's requests.
func call[T any](ctx context.Context, c *Conn, request func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var zero T
	if ctx.Err() != nil {
		return zero, context.Cause(ctx)
	}
	done := make(chan answer, 1)
	go func() {
		v, err := request()
		done <- answer{v, err}
	}()
	limit := time.NewTimer(c.opts.CallTimeout)
	defer limit.Stop()
	select {
	case a := <-done:
		return a.value, c.explain(a.err)
	case <-ctx.Done():
		return zero, context.Cause(ctx)
	case <-limit.C:
		reason := fmt.Sprintf("no answer within %v", c.opts.CallTimeout)
		if last := c.dialer.lastError(); last != nil {
			reason += ": " + last.Error()
		}
		return zero, &nuvlaops.Error{Reason: reason, Hint: "check that ZooKeeper runs and can be reached", Err: nuvlaops.ErrUnavailable}
	}
}

// explain gives an error of go-zookeeper its sentinel. Errors of connection and session, after which nobody knows whether
// a request was carried out, match ErrUnavailable.
func (c *Conn) explain(err error) error {
	var network net.Error
	e := &nuvlaops.Error{Err: err}
	kind := func(sentinel error, hint string) error {
		e.Err, e.Reason, e.Hint = fmt.Errorf("%w: %w", sentinel, err), err.Error(), hint
		return e
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, zk.ErrNoAuth), errors.Is(err, zk.ErrAuthFailed), errors.Is(err, zk.ErrInvalidACL):
		return kind(nuvlaops.ErrDenied, "give the user of the queue's ACL, with the right to read, write, create and delete")
	case errors.Is(err, zk.ErrInvalidPath):
		return kind(nuvlaops.ErrInvalid, "")
	case errors.Is(err, zk.ErrNoNode):
		return kind(nuvlaops.ErrNotFound, "")
	case errors.Is(err, zk.ErrNodeExists):
		return kind(nuvlaops.ErrExists, "")
	case errors.Is(err, zk.ErrBadVersion):
		return kind(nuvlaops.ErrConflict, "")
	case errors.Is(err, zk.ErrConnectionClosed), errors.Is(err, zk.ErrSessionExpired), errors.Is(err, zk.ErrSessionMoved),
		errors.Is(err, zk.ErrClosing), errors.Is(err, zk.ErrNoServer), errors.Is(err, io.EOF), errors.As(err, &network):
		return kind(nuvlaops.ErrUnavailable, "check that ZooKeeper runs and can be reached")
	}
	return err
}

// read repeats a request that changes nothing.
func read[T any](ctx context.Context, c *Conn, request func() (T, error)) (T, error) {
	var out T
	again := func(err error) bool { return unavailable(err) && c.dialer.life.Err() == nil } // not after Close
	err := retry.Do(ctx, c.opts.Retry, c.opts.Logger, again, func(ctx context.Context) (err error) {
		out, err = call(ctx, c, request)
		return err
	})
	return out, err
}

// mayGoOn says whether what is lost since then may be sent once more.
func (c *Conn) mayGoOn(now, since time.Time) bool {
	limit := c.opts.Retry.WithDefaults().MaxElapsed
	return limit < 0 || now.Sub(since) < limit
}

func unavailable(err error) bool { return errors.Is(err, nuvlaops.ErrUnavailable) }

// node is a znode's data and description.
type node struct {
	data []byte
	stat *zk.Stat
}

func (c *Conn) get(ctx context.Context, path string) (node, error) {
	return read(ctx, c, func() (node, error) {
		data, stat, err := c.zk.Get(c.chroot + path)
		return node{data, stat}, err
	})
}

// listed is a znode's children and its description, of one moment.
type listed struct {
	names []string
	stat  *zk.Stat
}

func (c *Conn) children(ctx context.Context, path string) (listed, error) {
	return read(ctx, c, func() (listed, error) {
		names, stat, err := c.zk.Children(c.chroot + path)
		return listed{names, stat}, err
	})
}

// sync makes the server that we are connected to catch up with its leader.
func (c *Conn) sync(ctx context.Context, path string) error {
	_, err := read(ctx, c, func() (string, error) { return c.zk.Sync(c.chroot + path) })
	return err
}

// ensure creates a path and its parents where they are missing.
func (c *Conn) ensure(ctx context.Context, path string, acl []zk.ACL) error {
	full := c.chroot + path
	for i := 1; i <= len(full); i++ {
		if i < len(full) && full[i] != '/' {
			continue
		}
		_, err := read(ctx, c, func() (string, error) { return c.zk.Create(full[:i], nil, 0, acl) })
		if errors.Is(err, nuvlaops.ErrDenied) { // no right to create does not matter where the node is there
			exists, _ := read(ctx, c, func() (bool, error) { ok, _, err := c.zk.Exists(full[:i]); return ok, err })
			if exists {
				continue
			}
		}
		if err != nil && !errors.Is(err, nuvlaops.ErrExists) {
			return fmt.Errorf("create %s: %w", full[:i], err)
		}
	}
	return nil
}

// multi sends one transaction, once.
func (c *Conn) multi(ctx context.Context, ops []any) ([]zk.MultiResponse, error) {
	return call(ctx, c, func() ([]zk.MultiResponse, error) { return c.zk.Multi(ops...) })
}
