// Package stack looks at, stops, wipes, deploys and starts stacks of services, without a race and without regret.
//
// [StackController] is the contract, for any orchestrator; [Swarm] is Docker Swarm, and keeps it so:
//
//   - Stop remembers the replicas of a service as a label on the service, in the same update that scales it to nothing, so
//     that neither can be lost without the other. It is done when no container is left, running or stopped: a stopped one
//     holds its volumes for good. What the orchestrator has given up is told to end at once, with its own signal and grace
//     period: Swarm waits three seconds first. A global service is stopped by a constraint that no node meets. The order is
//     given, or derived from the label org.nuvla.ops.needs of services.
//   - Wipe is a plan and its application. It takes local volumes that carry the stack's label and that nothing uses, and
//     refuses when anything differs from the plan. The caller's guard is asked last, right before the first removal. Each
//     node's volumes go through the node's own engine ([Options].Engines), or through a job service of ours that runs once
//     on the node ([NodeJob]); a node that may hold some and cannot be looked at stands in the way. [Swarm.KeepVolumes]
//     archives or copies them first.
//   - Deploy leaves alone what is there. It checks networks, secrets and configs of the compose file first, waits for the
//     last containers of removed services (or the new ones come up with old data), and gives what is missing to the docker
//     program.
//   - Start brings back the remembered replicas, group after group. A service is healthy when its tasks have been running
//     for a while and its probe has succeeded since.
//
// Beside the contract, for a recovery: Swarm.Claim keeps a second one out, RunCopy and CopyStack look and try beside what is
// there, Forward leads into a container that publishes nothing.
//
// Waits follow the engine's events, and look again from time to time in case one is missed or happens on another node.
//
// # Engines and docker programs
//
// Engines of Docker 20.10 to 29 are served, with either image store. The docker program, which Deploy and all that is given
// compose files run, is 23.0 or later; for an engine of 29.0, which serves no program before 25.0, it is 25.0 or later
// (later engines of 29 serve older ones again). It may be newer than the engine.
//
// # Errors
//
// Every error is a *nuvlaops.Error. ErrNotFound: a service, secret, config, network or the docker program is missing.
// ErrRefused: a volume is in use, foreign, external or out of reach. ErrConflict: the stack changed since the plan, or
// while it was waited for. ErrVerification: a service keeps failing, with its last error and log lines, or an archive of a
// volume ends too early. ErrBusy: somebody else works on the stack (Swarm.Claim). ErrExists: an archive or a copy of a
// volume is there already (Swarm.KeepVolumes). ErrInvalid: a name, an option or a compose file; nothing was changed.
// ErrDenied: the user may not use the engine, or a certificate is wrong. ErrUnavailable: the engine cannot be reached.
// ErrUnsupported: the engine is not a manager of a swarm, or it and this client, or the docker program, have no version of
// the API in common. A wait that the context ends names what it still waited for.
//
// # Retries
//
// Reads are repeated while the engine cannot be reached, also while it restarts. An update carries the version that was
// read: one whose reply is lost is decided by reading the service again, and never applied twice.
package stack
