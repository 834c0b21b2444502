// Package snapshot takes Elasticsearch snapshots that can be trusted.
//
// A [Repo] stands for one repository. Ensure registers and verifies it, Create takes a snapshot, List, Get and Delete
// work on what is there; what is to be kept is decided by a [Policy] and carried out by [Prune]. [Cycle] is one whole backup.
// [Marks] in a file say what became known later: that a snapshot is pinned, or that a drill has restored it.
//
// Create counts the documents by index, writes them and an identifier of the run into the snapshot's metadata, begins
// the snapshot with the blocking call and watches it beside that. The state is what a GET of the snapshot says
// afterwards, never that a call returned 200: PARTIAL and FAILED are errors.
//
// # Errors
//
// Every error is an *nuvlaops.Error. ErrInvalid: an argument, or what Elasticsearch refuses as such; nothing was changed.
// ErrRepository: the repository cannot be reached or used; reason and hint name the cause (bucket, keys, endpoint).
// ErrPartial: the snapshot is returned beside it. ErrBusy: another snapshot runs, and its name is in the reason. ErrDenied:
// no credentials, or a role that is too small, and the privilege is in the reason. ErrNotFound, ErrExists, ErrConflict,
// ErrUnavailable as usual.
//
// # Retries
//
// Reads are repeated. A snapshot is begun again after a lost reply only under the same name, which Elasticsearch grants
// once: the one that is found there with this run's identifier is adopted. A registration and a deletion change nothing
// more when they are repeated.
package snapshot
