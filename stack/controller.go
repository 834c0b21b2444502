package stack

import (
	"context"
	"time"

	"github.com/nuvla/nuvlaops"
)

// StackController looks at, stops, wipes, deploys and starts the services of one stack. Nothing in it assumes one
// orchestrator: a service is what runs replicas of a container, a volume is what keeps their data.
//
// Calls may overlap, but two that change one stack undo each other's work (see Swarm.Claim). Every call may be made again, at
// any time and after a crash at any point, and then finishes the work. Stop, Deploy, Wipe and Start return when the
// orchestrator shows the state that they promise, not when it has accepted the request. Services are named without the stack's
// prefix, volumes by their full names, as the orchestrator has them. An option for something that an orchestrator does not
// have, such as networks to be made, changes nothing.
//
// Each call may fail with ErrInvalid (a name or an option), ErrDenied, ErrUnavailable and ErrUnsupported (the orchestrator
// cannot be driven: an engine is no manager of a swarm). The end of the context, or of a limit, names what was still waited
// for. Further errors are said of each call.
type StackController interface {
	// Look describes the stack. A stack that is not there has no services, and is no error.
	Look(ctx context.Context, stack string) (*Stack, error)
	// Stop scales services to nothing, group after group, remembers their replicas in the orchestrator, and returns when
	// no container of them is left, running or stopped. Volumes that have names stay. A service that is not there is stopped
	// already. Errors: ErrInvalid (also services that need each other in a circle), ErrConflict (one was scaled up again),
	// ErrUnsupported (one is a job).
	Stop(ctx context.Context, stack string, opts StopOptions) error
	// PlanWipe reads which volumes would be removed, where they are, and what stands in the way. It changes nothing. Error:
	// ErrNotFound (no such service).
	PlanWipe(ctx context.Context, stack string, opts WipeOptions) (*WipePlan, error)
	// Wipe removes exactly the plan's volumes. It refuses with ErrRefused when something stands in the way, and with
	// ErrConflict when the stack's volumes are no longer those of the plan; volumes that are gone already are no
	// conflict. guard is asked last, right before the first removal, and only if there is one; its error ends the call
	// with nothing removed. A nil guard is ErrInvalid: hand in Unguarded to remove without one. ErrVerification: a volume is
	// there again.
	Wipe(ctx context.Context, plan *WipePlan, guard func(context.Context) error) error
	// Deploy makes the services that are missing, and leaves those that are there alone, stopped or not. What they need
	// (networks, secrets) is checked before anything is changed. It does not wait for health: Start does. Errors: ErrInvalid
	// (also one of the files that describe the services, one that is missing too), ErrNotFound (a network, secret or config, or
	// a file that one is made of), ErrRefused (a network that cannot be used), ErrVerification (something is not there
	// afterwards).
	Deploy(ctx context.Context, stack string, opts DeployOptions) error
	// Start brings services back to their remembered replicas, group after group, and returns when all are healthy:
	// their tasks run and stay, and their probes succeed. Volumes that were wiped are made anew, empty. A service that runs
	// already is only waited for. Errors:
	// ErrInvalid (also services that need each other in a circle), ErrNotFound (no such service), ErrRefused (a probe of a
	// service without replicas), ErrConflict (one was removed or stopped meanwhile), ErrVerification (one keeps failing, or
	// ends), ErrUnsupported (one is a job).
	Start(ctx context.Context, stack string, opts StartOptions) error
}

// Unguarded is the guard of a caller who has nothing to check.
func Unguarded(context.Context) error { return nil }

// StopOptions says what to stop and in which order. A limit below 0 is ErrInvalid.
type StopOptions struct {
	// Groups are names of services; a group is stopped when the one before is gone. Empty means all services, in the
	// order of Stack.Groups backwards: nothing outlives what it needs.
	Groups [][]string
	// Gone is called when a group is gone, before the next one is stopped. The call waits for it.
	Gone func(group []string)
	// Limit is how long one group may take; what is left then is named in the error. Default: as long as the context.
	Limit time.Duration
	// Progress is called when services are gone and when what is waited for changes.
	Progress func(nuvlaops.Progress)
}

// WipeOptions says which volumes to plan for. Without Services and Volumes all volumes of the stack are meant, also those of
// services that are gone.
type WipeOptions struct {
	// Services whose volumes are meant. Empty with Volumes set means none but those. A volume that another service writes to as
	// well stands in the way, unless that one is named too, or the volume.
	Services []string `json:"services,omitempty"`
	// Volumes are full names of volumes that are meant, besides those of Services: of services that are gone, for instance.
	Volumes []string `json:"volumes,omitempty"`
	// Files describe services, as DeployOptions.Files. Services of theirs that are gone count as there, and stopped: they mount
	// what the files say, and have run where the files let them run.
	Files []string `json:"files,omitempty"`
	// Env are variables for the files, as DeployOptions.Env: a volume may have its name from one. They may be secret, and are
	// left out of a plan's JSON: whoever hands one to Wipe that was read from there sets them again.
	Env map[string]string `json:"-"`
}

// DeployOptions says what to deploy.
type DeployOptions struct {
	// Files are the paths of the files that describe the services, merged in this order: for a Swarm compose files, as docker
	// stack deploy takes them. Paths in them are relative to the first. No file is ErrInvalid.
	Files []string
	// Env are variables for the files, before those of the process.
	Env map[string]string
	// CreateNetworks makes external networks that are missing, attachable. Otherwise a missing one is ErrNotFound.
	CreateNetworks bool
	// Stopped makes the services as Stop would leave them: no task of them runs, and nothing touches their volumes, before
	// Start brings them to the replicas of the file. A job among them is ErrUnsupported.
	Stopped bool
	// RegistryAuth hands the login of the docker program to the nodes of a Swarm, for images of a private registry.
	RegistryAuth bool
	// Progress is called when what is done or waited for changes.
	Progress func(nuvlaops.Progress)
}

// StartOptions says what to start, in which order, and how health is seen. Numbers below 0 are ErrInvalid.
type StartOptions struct {
	// Groups are names of services; a group is started when the one before is healthy. Empty means all services, in the
	// order of Stack.Groups: nothing is started before what it needs.
	Groups [][]string
	// Healthy is called when a group is healthy, before the next one is started. The call waits for it.
	Healthy func(group []string)
	// Probes by service: called again and again until nil, each time with a deadline of ProbeTimeout, and those of a group at
	// the same time. A service without one is healthy when its tasks have been running for Stable. A probe of a service that
	// is not there is ErrNotFound, one of a service that has no replicas to come back to ErrRefused; one of a service that is in
	// no group is not called.
	Probes map[string]func(context.Context) error
	// ProbeTimeout ends one call of a probe. Default 5 s.
	ProbeTimeout time.Duration
	// Stable is how long the same tasks must have been running. Default 1 s.
	Stable time.Duration
	// Failures of one replica's tasks end the wait. Default 3: one may be a dependency that was not ready.
	Failures int
	// Limit is how long one group may take; what is missing then is named in the error. Default: as long as the context.
	Limit time.Duration
	// Progress is called when services are healthy and when what is waited for changes.
	Progress func(nuvlaops.Progress)
}
