// Package nuvlaops holds what the packages of the nuvlaops SDK share: one error type with its sentinels, one retry
// policy and one progress report. It imports the standard library only.
//
// The SDK backs up, restores and rebuilds the stateful part of Nuvla:
//
//   - package snapshot registers a repository and takes Elasticsearch snapshots that can be trusted;
//   - package restore chooses a snapshot, plans its restore, follows it and proves that every primary came back;
//   - package zkjobs rebuilds the job queue in ZooKeeper from the job documents, each job exactly once;
//   - package stack stops, wipes, deploys and starts the Docker Swarm stacks around them.
//
// The four packages never import each other: they hand over plain values (names, counts, times), and the programs under
// examples join them into backup and disaster-recovery flows.
//
// # Errors
//
// Every exported call returns nil or an error in which errors.As finds an [*Error]. errors.Is tells its kind by the
// sentinels of this package ([ErrNotFound], [ErrPartial], ...), and the end of the caller's context by its cause:
// context.Canceled, context.DeadlineExceeded, or in their place what the caller ended it with.
//
// # Retries
//
// There is one retry layer, configured by [RetryPolicy]. Switch the retries of the clients that you hand in off
// (elasticsearch.Config.DisableRetry): two layers multiply. Reads are repeated on connection errors and on the statuses
// 429, 502, 503 and 504. A write is repeated only when it surely was not carried out (no connection was made, or the answer
// is 429) or when repeating it changes nothing; otherwise the state is read again first.
package nuvlaops
