package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// Forward is a port on 127.0.0.1 that leads to one of a service's containers, as it runs when a connection is made. Nothing
// is published and no network is joined: each connection is carried by the engine of the container's node, to a shell in the
// container. The image must have bash and cat.
type Forward struct {
	s        *Swarm
	service  string // with the stack's prefix
	port     int
	listener net.Listener
	life     context.Context
	end      context.CancelFunc
	open     sync.WaitGroup
}

// forwardScript joins its input and output with a port of the container, and ends with whichever ends first.
const forwardScript = `exec 3<>/dev/tcp/127.0.0.1/"$1" 4<&0 || exit 1
cat <&3 & from=$!
cat <&4 >&3 & to=$!
wait -n
kill $from $to`

// Forward opens the port. The service need not run yet: a connection is closed at once while it does not. Close it.
func (s *Swarm) Forward(stack, service string, port int) (*Forward, error) {
	if err := errors.Join(ValidateName(stack), validName("service", service), validPort(port)); err != nil {
		return nil, nuvlaops.Wrap("stack.Forward", stack+"/"+service, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nuvlaops.Wrap("stack.Forward", stack+"/"+service, err)
	}
	life, end := context.WithCancel(context.Background())
	f := &Forward{s: s, service: stack + "_" + service, port: port, listener: listener, life: life, end: end}
	f.open.Go(f.serve)
	return f, nil
}

// Addr is host:port of the port.
func (f *Forward) Addr() string { return f.listener.Addr().String() }

// Reach says why no connection can be made now. Errors: ErrNotFound (no container of the service runs, yet),
// ErrUnavailable (it runs on a node whose engine cannot be reached).
func (f *Forward) Reach(ctx context.Context) error {
	_, _, err := f.container(ctx)
	return nuvlaops.Wrap("stack.Forward.Reach", f.service, err)
}

// Close cuts all connections and returns when nothing of the forward is left. It may be called again.
func (f *Forward) Close() error {
	f.end()
	err := f.listener.Close()
	f.open.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return nuvlaops.Wrap("stack.Forward.Close", f.service, err)
}

func (f *Forward) serve() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return // closed
		}
		f.open.Go(func() {
			defer conn.Close()
			if err := f.carry(conn); err != nil && f.life.Err() == nil {
				f.s.opts.Logger.DebugContext(f.life, "connection not forwarded", "service", f.service, "port", f.port, "error", err)
			}
		})
	}
}

func (f *Forward) carry(conn net.Conn) error {
	e, id, err := f.container(f.life)
	if err != nil {
		return err
	}
	made, err := e.api.ExecCreate(f.life, id, client.ExecCreateOptions{AttachStdin: true, AttachStdout: true,
		Cmd: []string{"bash", "-c", forwardScript, "forward", strconv.Itoa(f.port)}})
	if err != nil {
		return explain(f.service, err)
	}
	inside, err := e.api.ExecAttach(f.life, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return explain(f.service, err)
	}
	defer inside.Close()
	stop := context.AfterFunc(f.life, func() { inside.Close(); _ = conn.Close() })
	defer stop()
	f.open.Go(func() {
		_, _ = io.Copy(inside.Conn, conn)
		_ = inside.CloseWrite()
	})
	_, err = stdcopy.StdCopy(conn, io.Discard, inside.Reader)
	return err
}

// container finds the one that runs now.
func (f *Forward) container(ctx context.Context) (*engine, string, error) {
	all, err := f.s.fleet(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, e := range all.engines {
		list, err := e.api.ContainerList(ctx, client.ContainerListOptions{
			Filters: make(client.Filters).Add("label", labelService+"="+f.service).Add("status", "running")})
		if err != nil {
			return nil, "", explain(f.service, err)
		}
		if len(list.Items) > 0 {
			return e, list.Items[0].ID, nil
		}
	}
	return nil, "", f.whyNone(ctx, all)
}

// whyNone says why there is no container to reach: its task has not come that far, or runs where no engine is named.
func (f *Forward) whyNone(ctx context.Context, all *fleet) error {
	none := &nuvlaops.Error{Resource: f.service, Reason: "no container of it runs", Err: nuvlaops.ErrNotFound}
	tasks, err := f.s.api.TaskList(ctx, client.TaskListOptions{Filters: make(client.Filters).Add("service", f.service)})
	if err != nil || len(tasks.Items) == 0 {
		return none // it may not have been made yet
	}
	t := slices.MaxFunc(tasks.Items, func(a, b swarm.Task) int { return a.CreatedAt.Compare(b.CreatedAt) })
	if t.Status.State == swarm.TaskStateRunning && !slices.ContainsFunc(all.engines, func(e *engine) bool { return e.id == t.NodeID }) {
		return &nuvlaops.Error{Resource: f.service, Reason: "its container runs on node " + t.NodeID + ", whose engine cannot be reached from here",
			Err: nuvlaops.ErrUnavailable, Hint: "name the engine of that node: a job cannot forward"}
	}
	none.Reason = strings.TrimSpace(fmt.Sprintf("no container of it runs; its task is %s %s", t.Status.State, t.Status.Err))
	return none
}
