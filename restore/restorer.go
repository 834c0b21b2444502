package restore

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// Client sends a request to Elasticsearch: go-elasticsearch v8 and v9 clients fit. Switch the client's own retries off
// (DisableRetry).
type Client interface {
	Perform(*http.Request) (*http.Response, error)
}

// Restorer restores snapshots of one repository and proves that they came back.
//
// Choose, Plan and Verify read only, and may overlap. Apply does what a plan says and no more; run one at a time on a cluster,
// since what a crash leaves is put back from one journal: another plan is refused (ErrBusy) while the server restores what an
// Apply has begun. Every call may be made again.
type Restorer interface {
	// Choose finds the snapshot to restore: complete ones only, unless a partial one is asked for by name. The latest may hold
	// next to nothing, when it was taken after the data was lost: look at Snapshot.Larger. Errors:
	// ErrInvalid (a name, also a pattern); ErrNotFound, saying what was there; ErrPartial; ErrBusy (the one that is named
	// still runs); ErrRepository when an object of it is missing in the repository, or one of another snapshot that may be the
	// latest one when that is asked for: what began more than eight days ago is read only where nothing newer is good.
	Choose(ctx context.Context, sel Selector) (*Snapshot, error)
	// Plan reads the snapshot and the cluster and says what would be restored and what stands in the way, which is in
	// Plan.Findings and no error. Errors: ErrInvalid (the request), ErrNotFound (repository or snapshot), ErrRepository.
	Plan(ctx context.Context, req Request) (*Plan, error)
	// Apply restores, follows and verifies. A plan with findings of SeverityError is refused (ErrRefused), and so are a world
	// that is not what the plan saw (ErrConflict), a plan of another repository or one that was changed after it was made
	// (ErrInvalid), and any while the server restores for another one (ErrBusy). Called again with the same plan it goes on
	// where the first call was, restores what has failed again, and finds done what is done, also where indices of a data
	// stream were deleted since that was proven, as ILM does by age (IndexRemoved). It ends when all primaries are started, or
	// when one has finally failed (ErrVerification). When the context ends, the restore goes on in the server, and the error
	// says in which state what is left; Repo.Abandon cleans it up. The report is returned beside an error as soon as a restore
	// was begun.
	Apply(ctx context.Context, plan *Plan, opts ApplyOptions) (*Report, error)
	// Verify proves that each primary of the plan is started and came from the plan's snapshot, compares the documents
	// with the snapshot's manifest, and asks the caller's queries. A difference is an error that matches ErrVerification,
	// beside the report; a plan or options that make no sense are ErrInvalid.
	Verify(ctx context.Context, plan *Plan, opts VerifyOptions) (*Report, error)
}

// Options of a Repo. The zero value is right for most.
type Options struct {
	// Retry is the policy for reads and for writes that may be repeated. It is also how long Apply waits for a server
	// that restarts.
	Retry nuvlaops.RetryPolicy
	// Logger gets a debug record for each retry and an info record for each change. Nil discards.
	Logger *slog.Logger
}

// ApplyOptions says how to restore.
type ApplyOptions struct {
	// BytesPerSecond is what the limit of recovery of each node (indices.recovery.max_bytes_per_sec) is raised to for the time of
	// the restore; a higher one stays, so that this slows nothing down. Default 1 GiB/s; negative leaves the cluster's own limit.
	BytesPerSecond int64
	// KeepGoing restores the other shards to their end after one has failed, and then reports all that have failed. Without
	// it Apply ends at the first failure; the server goes on with the others, and ILM stays stopped, if it ran, until Attach,
	// Abandon or another Apply.
	KeepGoing bool
	// Detach returns when the server has taken the restore, without waiting for its end: the report then says what runs, and
	// its OK is false. Limits stay raised and ILM stays stopped until Attach, or Apply with the same plan, has seen the end.
	Detach bool
	// Progress is called about once a second, never by two goroutines at a time.
	Progress func(nuvlaops.Progress)
}

// Repo is a Restorer from one repository of an Elasticsearch cluster. It holds nothing that needs closing.
type Repo struct {
	conn       *es.Conn
	name       string
	log        *slog.Logger
	now        func() time.Time
	journalKey string // the setting that holds it
	scratch    bool   // restores for a drill: beside all, changing no setting of others

	claimEvery time.Duration // 0 for the default
}

var _ Restorer = (*Repo)(nil)

// New returns a Repo for the repository of this name. Nothing is sent. Error: ErrInvalid.
func New(client Client, repository string, opts *Options) (*Repo, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if err := o.validate(client, repository); err != nil {
		return nil, nuvlaops.Wrap("restore.New", repository, err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Repo{conn: &es.Conn{Client: client, Retry: o.Retry, Logger: o.Logger}, name: repository, log: o.Logger, now: time.Now, journalKey: journalSetting}, nil
}

func (o Options) validate(client Client, repository string) error {
	return cmp.Or(es.CheckClient(client), es.CheckRepository(repository), o.Retry.Validate())
}

func invalid(reason, hint string) error {
	return &nuvlaops.Error{Reason: reason, Hint: hint, Err: nuvlaops.ErrInvalid}
}

// resource names a snapshot in errors and reports.
func (r *Repo) resource(snapshot string) string {
	if snapshot == "" {
		return r.name
	}
	return r.name + "/" + snapshot
}
