package stack

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// Labels that docker stack deploy sets, and ours.
const (
	labelStack     = "com.docker.stack.namespace"
	labelReplicas  = "org.nuvla.ops.replicas" // on a stopped service: the replicas to come back to, or "global"
	labelNeeds     = "org.nuvla.ops.needs"    // set by people: services that it needs, divided by commas
	labelService   = "com.docker.swarm.service.name"
	labelServiceID = "com.docker.swarm.service.id"
	labelTask      = "com.docker.swarm.task.id"
	labelJob       = "org.nuvla.ops.job"       // the stack, on a job service that looks at one node
	labelProbe     = "org.nuvla.ops.probe"     // on the container of a probe
	labelKeep      = "org.nuvla.ops.keep"      // the volume, on the container that it is read through and on its copy
	labelPart      = "org.nuvla.ops.keep.part" // a copy of a volume, on the container that says that it is not whole

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
	// Engines are the engines of other nodes, by the node's host name or identifier, as in DOCKER_HOST: the API of one
	// engine sees and removes only its own node's containers and volumes. A node without one is stopped and started like
	// the others, but its volumes cannot be wiped, and containers that have ended stay on it, unless there is a Job. One of
	// the manager itself is not used, so that the same ones may be given on each manager.
	Engines map[string]string
	// VolumeSizes makes Look and PlanWipe read the sizes of volumes. The engine walks through all files for them.
	VolumeSizes bool
	// Job reaches the volumes of the nodes that Engines does not name, if it is set.
	Job *NodeJob
	// Retry is the policy for reads, and for updates of services, which carry the version that was read.
	Retry nuvlaops.RetryPolicy
	// Logger gets a debug record for each retry and an info record for each change. Nil discards.
	Logger *slog.Logger
}

func (o *Options) validate() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Docker == "" {
		out.Docker = "docker"
	}
	var err error
	if out.Job, err = out.Job.withDefaults(); err != nil {
		return Options{}, err
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
	api    *client.Client
	host   string                    // as given by Options.Host, for the docker program
	others map[string]*client.Client // by the keys of Options.Engines
	opts   Options
	now    func() time.Time
	answer time.Duration // see defaultAnswer
	// managed: the engine has been seen to manage a swarm. When it says that it does not, later, it may be restarting.
	managed atomic.Bool
}

var _ StackController = (*Swarm)(nil)

// NewSwarm returns a controller that finds its engine as the docker program does. Nothing is sent yet. Close it. Errors:
// ErrInvalid (an option, an address, TLS files), ErrNotFound (a docker context), ErrUnsupported (an address over ssh).
func NewSwarm(opts *Options) (*Swarm, error) {
	const op = "stack.NewSwarm"
	o, err := opts.validate()
	if err != nil {
		return nil, nuvlaops.Wrap(op, "", err)
	}
	s := &Swarm{host: o.Host, others: map[string]*client.Client{}, opts: o, now: time.Now, answer: defaultAnswer}
	if s.api, err = dial(o.Host); err != nil {
		return nil, nuvlaops.Wrap(op, "engine", err)
	}
	for node, host := range o.Engines {
		if s.others[node], err = dial(host); err != nil {
			_ = s.Close()
			return nil, nuvlaops.Wrap(op, "engine of "+node, err)
		}
	}
	return s, nil
}

func dial(host string) (api *client.Client, err error) {
	endpoint, err := findEndpoint(host, os.Getenv)
	if err != nil {
		return nil, err
	}
	opts, err := endpoint.clientOptions()
	if err == nil {
		api, err = client.New(opts...)
	}
	if err != nil {
		return nil, &nuvlaops.Error{Reason: err.Error(), Err: nuvlaops.ErrInvalid,
			Hint: "check DOCKER_HOST, DOCKER_CONTEXT, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"}
	}
	return api, nil
}

// Close closes idle connections to the engines.
func (s *Swarm) Close() error {
	var errs []error
	if s.api != nil {
		errs = append(errs, s.api.Close())
	}
	for _, api := range s.others {
		if api != nil {
			errs = append(errs, api.Close())
		}
	}
	return nuvlaops.Wrap("stack.Close", "engine", errors.Join(errs...))
}

// manager returns the engine's own node, or an error when it does not manage a swarm.
func (s *Swarm) manager(ctx context.Context) (*engine, error) {
	res, err := read(ctx, s, "engine", func(ctx context.Context) (client.SystemInfoResult, error) {
		res, err := s.api.Info(ctx, client.InfoOptions{})
		if err == nil && !res.Info.Swarm.ControlAvailable {
			err = notManager(string(res.Info.Swarm.LocalNodeState))
		}
		if err == nil {
			err = newEnough(s.api.ClientVersion())
		}
		return res, err
	})
	if err != nil {
		return nil, err
	}
	s.managed.Store(true)
	return &engine{id: res.Info.Swarm.NodeID, name: res.Info.Name, api: s.api}, nil
}
