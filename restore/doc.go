// Package restore brings a snapshot back and proves that each of its primaries came back.
//
// Elasticsearch answers a restore with 200 also when shards have failed, and its list of recoveries forgets those.
// Apply therefore reads the routing table: a restore is done when each primary that the snapshot's description promises
// is STARTED, and its recovery came from this repository and snapshot.
//
//   - Choose finds a snapshot, Plan reads the snapshot and the cluster and says what would be done and what stands in the
//     way. Neither changes anything.
//   - Apply writes a journal into the cluster's settings (cluster.metadata.nuvlaops.restore), in the same change that
//     raises the limits of recovery; stops ILM where there is one; sends one blocking restore and looks beside it, once
//     a second, at the shards and bytes; and puts everything back as it was. The journal holds
//     what was before and which indices the restore made, so that a call after a crash, of this program or of the
//     server, puts back what is left to put back and takes the restore up where it stands.
//   - A plan that replaces (Request.Replace) restores beside what is there, proves all of it, and only then deletes index by
//     index what it replaces and clones the replacement to its name, by hard links. A shard that fails leaves every original
//     as it was.
//   - A time series data stream whose end has passed since the snapshot takes documents at once: the end is moved on.
//   - The global state, when it is asked for, is restored before the indices, by a request of its own.
//   - Attach follows a restore that was left, by its snapshot: it finds the request in the journal and plans it again. Abandon
//     deletes what a restore has left half done and puts back the rest; it needs the cluster alone, since a repository that
//     cannot be read any more is a reason to abandon. Only an index that a restart of the server has made it forget stays then.
//   - Verify proves the primaries, compares documents with what the snapshot's metadata or a whole manifest say was there,
//     and asks the caller's queries. Its report says what was verified, and what was not.
//   - Drill tries a snapshot in a cluster that works: it restores into hidden scratch indices, verifies, measures and
//     removes them. What a killed drill has left proves by name and by a setting to be scratch, and the next one removes it.
//
// A primary that a server found on its own disk after a restart no longer says that it came from a snapshot, nor does one that was
// moved to another node, or a replica in the place of one that was lost. It is proven by the journal: its index has the UUID that
// the restore gave it, and Elasticsearch never starts a half restored primary.
//
// # Errors
//
// ErrNotFound (no such repository or snapshot), ErrInvalid (a request that makes no sense), ErrRefused (a finding of the
// plan stands in the way), ErrConflict (the cluster or the snapshot is not what the plan saw), ErrBusy (the snapshot is still
// being taken, or the server restores for another plan), ErrPartial (the snapshot is not complete), ErrVerification (a shard has
// failed or documents are missing; the report names them), ErrDenied (no credentials, or a role that is too small),
// ErrRepository, ErrUnavailable.
//
// # Retries
//
// Reads, settings and deletions are repeated as the policy says. A restore whose answer was lost is looked for in the
// cluster first, and sent again only while one of its indices is not there.
package restore
