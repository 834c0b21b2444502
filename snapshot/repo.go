package snapshot

import (
	"cmp"
	"context"
	"iter"
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

// SnapshotRepo is one snapshot repository and the snapshots in it.
//
// Every call may be made again: Ensure changes nothing when the settings are right, Create with the same RunID adopts
// what an earlier call began, Delete counts what is gone as deleted. Calls may overlap.
//
// Each call may fail with ErrDenied and ErrUnavailable. Further errors are said of each call.
type SnapshotRepo interface {
	// Ensure registers the repository, or changes its registration to what is wanted, verifies it on every node, and
	// says what changed. When verification fails, the registration is put back as it was. Errors: ErrInvalid,
	// ErrRepository, ErrConflict (a snapshot is running in it).
	Ensure(ctx context.Context, want Settings) (Change, error)
	// Create takes a snapshot and waits for its end. One that ended PARTIAL or FAILED is returned beside an error that
	// matches ErrPartial. When the context ends, the snapshot goes on in the server, or is aborted if so chosen, and
	// the error says which. Errors: ErrInvalid, ErrNotFound (repository, or no index matches and neither the global state nor
	// a partial snapshot is asked for), ErrExists (the name is taken by another run), ErrRefused (primary shards are missing),
	// ErrBusy, ErrRepository, ErrPartial, ErrVerification.
	Create(ctx context.Context, req CreateRequest) (*Snapshot, error)
	// List yields the snapshots that the filter lets through, oldest first, reading page by page. An error ends the
	// sequence: ErrNotFound (repository), ErrRepository.
	List(ctx context.Context, f Filter) iter.Seq2[Snapshot, error]
	// Get returns one snapshot. Errors: ErrInvalid (a name), ErrNotFound, ErrRepository.
	Get(ctx context.Context, name string) (*Snapshot, error)
	// Delete removes snapshots and returns when they are gone: also pinned ones, which only a Policy keeps. A running one is
	// aborted. Errors: ErrInvalid (a name, also a pattern), ErrNotFound (repository), ErrRepository, ErrVerification (one is
	// still there).
	Delete(ctx context.Context, names ...string) error
}

// Options of a Repo. The zero value is right for most.
type Options struct {
	// Retry is the policy for reads and for writes that surely were not carried out.
	Retry nuvlaops.RetryPolicy
	// VerifyTimeout bounds the verification of the repository by Ensure, Verify and ReloadSecrets, since a server waits up to
	// 212 s for an endpoint that never answers; its end is ErrRepository. Default 1 minute; below 0 is ErrInvalid.
	VerifyTimeout time.Duration
	// Logger gets a debug record for each retry and an info record for each change. Nil discards.
	Logger *slog.Logger
}

// Repo is a SnapshotRepo on an Elasticsearch cluster. It holds nothing that needs closing.
type Repo struct {
	conn          *es.Conn
	name          string
	verifyTimeout time.Duration
	log           *slog.Logger
	now           func() time.Time
}

var _ SnapshotRepo = (*Repo)(nil)

// New returns a Repo for the repository of this name, which need not be registered yet. Nothing is sent.
func New(client Client, repository string, opts *Options) (*Repo, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if err := o.validate(client, repository); err != nil {
		return nil, nuvlaops.Wrap("snapshot.New", repository, err)
	}
	if o.VerifyTimeout == 0 {
		o.VerifyTimeout = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Repo{conn: &es.Conn{Client: client, Retry: o.Retry, Logger: o.Logger}, name: repository,
		verifyTimeout: o.VerifyTimeout, log: o.Logger, now: time.Now}, nil
}

func (o Options) validate(client Client, repository string) error {
	if o.VerifyTimeout < 0 {
		return invalid("VerifyTimeout is negative", "")
	}
	return cmp.Or(es.CheckClient(client), es.CheckRepository(repository), o.Retry.Validate())
}

// Name is the name of the repository.
func (r *Repo) Name() string { return r.name }

// resource names a snapshot in an error.
func (r *Repo) resource(snapshot string) string {
	if snapshot == "" {
		return r.name
	}
	return r.name + "/" + snapshot
}

func invalid(reason, hint string) error {
	return &nuvlaops.Error{Reason: reason, Hint: hint, Err: nuvlaops.ErrInvalid}
}
