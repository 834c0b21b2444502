// Package zkjobs rebuilds Nuvla's job queue in ZooKeeper from the job documents in Elasticsearch: each job that belongs
// there exactly once, at its priority, in its order, however often it is called and whatever dies on the way.
//
// # How it works
//
// Plan lists the queue, reads the open jobs (Documents: a refresh, then a point in time, page by page), and lists the
// queue again. A job that is on neither list is missing. Apply compares with the queue once more and writes the missing
// jobs in one stream of transactions, by priority, creation and id; each is at most 500 operations and 256 KiB, which
// ZooKeeper 3.4.13 survives. Jobs so young that a living api-server may still be about to queue them are looked at again
// after a moment. Then it lists the queue and compares that with what should be there.
//
// Each transaction also sets the data of /job/entries, if its version is still the one that was read. So one that is
// on its way from a process that died, or from a rebuild beside ours, is refused instead of writing jobs twice; and the
// token in the data says whether our own was carried out when its reply was lost. Executors and the api-server never look
// at that data. /job/entries and /job/taken are created where they are missing and never deleted.
//
// Entries at another priority than their job's are reported, and moved only if asked (ApplyOptions.Move): one transaction
// locks the old entry as a consumer does, removes it with its lock, and makes the new one. It fails as a whole when a
// consumer has the entry or has finished with it, so that a job is on the queue once at every moment. What was at the right
// priority stays where it is, so a moved entry comes after it, even if its job is older.
//
// # Errors
//
// Every error is an *nuvlaops.Error. ErrBusy: consumers or producers are alive (see ApplyOptions.Force). ErrRefused: no
// open job in an index that has documents, or a consumer whose lock would hide new entries. ErrInvalid: a wrong mapping,
// plan or option. ErrConflict: the queue was deleted on the way. ErrVerification: the queue is not what it should be;
// the Report says how. ErrNotFound: there is no index of jobs. ErrDenied and ErrUnavailable: of Elasticsearch or ZooKeeper.
//
// # Retries
//
// Reads are repeated as nuvlaops.RetryPolicy says, across lost connections, expired sessions and new leaders. When
// Elasticsearch restarts while the jobs are read, its point in time is gone: Plan then reads all jobs again, at most four
// times. A transaction that writes jobs is never repeated: when its reply is lost, the queue is listed again, what is there
// is found by its data, and the rest goes on, until every transaction was lost for RetryPolicy.MaxElapsed.
package zkjobs
