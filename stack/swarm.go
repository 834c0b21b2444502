package stack

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// Labels that docker stack deploy sets, and ours.
const (
	labelStack     = "com.docker.stack.namespace"
	labelReplicas  = "org.nuvla.ops.replicas" // on a stopped service: the replicas to come back to, or "global"
	labelService   = "com.docker.swarm.service.name"
	labelServiceID = "com.docker.swarm.service.id"
	labelTask      = "com.docker.swarm.task.id"
	labelProbe     = "org.nuvla.ops.probe" // on the container of a probe

	// nowhere is the constraint of a stopped global service: node identifiers have no dashes.
	nowhere = "node.id==nuvlaops-stopped"
)

// Options of a Swarm. The zero value is right on a manager.
type Options struct {
	// Host is the address of a manager's engine, as in DOCKER_HOST. Default: DOCKER_HOST, the docker program's current
	// context, then the local engine.
	Host string
	// Docker is the docker program, which Deploy runs. Default "docker".
	Docker string
	// VolumeSizes makes Look and PlanWipe read the sizes of volumes. The engine walks through all files for them.
	VolumeSizes bool
	Retry       nuvlaops.RetryPolicy
	Logger      *slog.Logger
}

func (o *Options) validate() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Docker == "" {
		out.Docker = "docker"
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if err := out.Retry.Validate(); err != nil {
		return Options{}, err
	}
	out.Retry = out.Retry.WithDefaults()
	return out, nil
}

// Swarm is the StackController of Docker Swarm. It talks to the engine of one manager, and may be used by many goroutines.
type Swarm struct {
	api  *client.Client
	host string // as given by Options.Host, for the docker program
	opts Options
	now  func() time.Time
}

var _ StackController = (*Swarm)(nil)

// NewSwarm returns a controller that finds its engine as the docker program does. Nothing is sent yet. Close it.
func NewSwarm(opts *Options) (*Swarm, error) {
	const op = "stack.NewSwarm"
	o, err := opts.validate()
	if err != nil {
		return nil, nuvlaops.Wrap(op, "", err)
	}
	endpoint, err := findEndpoint(o.Host, os.Getenv)
	if err != nil {
		return nil, nuvlaops.Wrap(op, "engine", err)
	}
	api, err := client.New(endpoint.clientOptions()...)
	if err != nil {
		return nil, nuvlaops.Wrap(op, "engine", &nuvlaops.Error{Reason: err.Error(), Err: nuvlaops.ErrInvalid,
			Hint: "check DOCKER_HOST, DOCKER_CONTEXT, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"})
	}
	return &Swarm{api: api, host: o.Host, opts: o, now: time.Now}, nil
}

// Close closes idle connections to the engine.
func (s *Swarm) Close() error { return s.api.Close() }

// manager returns the identifier and name of the engine's own node, or an error when it does not manage a swarm.
func (s *Swarm) manager(ctx context.Context) (self node, err error) {
	res, err := read(ctx, s, "engine", func(ctx context.Context) (client.SystemInfoResult, error) {
		return s.api.Info(ctx, client.InfoOptions{})
	})
	if err != nil {
		return node{}, err
	}
	if !res.Info.Swarm.ControlAvailable {
		return node{}, notManager(string(res.Info.Swarm.LocalNodeState))
	}
	return node{id: res.Info.Swarm.NodeID, name: res.Info.Name}, nil
}

type node struct{ id, name string }
