package zkjobs

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// JobQueueRebuilder makes the job queue what it would have been: every job that belongs there once, at its priority, in
// its order.
//
// Plan reads only. Apply writes what a plan says is missing, compares with the queue once more right before writing, and
// may be called again after any failure: what is there is found by its data and never written twice. Verify compares the
// queue with the plan's jobs and reads only. Calls on one rebuilder may not overlap; several rebuilders on one queue do
// not disturb each other. The caller closes the connection.
type JobQueueRebuilder interface {
	// Plan reads the jobs and the queue and says for each job what is to be done. Errors: those of the Source, ErrInvalid
	// (an option), ErrUnavailable, ErrDenied.
	Plan(ctx context.Context, opts PlanOptions) (*Plan, error)
	// Apply puts the missing jobs on the queue and verifies them. It refuses (ErrBusy) when consumers are alive or others
	// change the queue, unless opts.Force; then it is correct too. The result says what was done, also beside an error.
	// Other errors: ErrInvalid, ErrRefused, ErrConflict (the queue was deleted), ErrDenied, ErrUnavailable, ErrVerification.
	Apply(ctx context.Context, plan *Plan, opts ApplyOptions) (*Result, error)
	// Verify reads the whole queue and compares it with what the plan wants there. A difference is an error that matches
	// ErrVerification; the report is returned beside it. What consumers finished that was not on the queue yet when the plan
	// was made, or that a plan from a file wants, counts as missing: plan again to verify later than right after Apply.
	Verify(ctx context.Context, plan *Plan) (*Report, error)
}

// Options say where the queue is. Zero fields take the defaults.
type Options struct {
	// Path of the queue: it begins with a slash and ends without one. Default "/job".
	Path string
	// ACL of what is created. Default: everybody may do everything, as the api-server and the executors create.
	ACL []ACL
	// Logger gets debug records of repetitions and info records of changes; nil discards.
	Logger *slog.Logger
}

// ACL is one line of a znode's access control list. Permissions is a set of ZooKeeper's bits: read 1, write 2, create 4,
// delete 8, admin 16. Rebuilding needs all but admin.
type ACL struct {
	Permissions int32
	Scheme, ID  string
}

func (o *Options) withDefaults() Options {
	out := Options{}
	if o != nil {
		out = *o
	}
	if out.Path == "" {
		out.Path = "/job"
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}

func (o Options) validate() error {
	if !strings.HasPrefix(o.Path, "/") || strings.HasSuffix(o.Path, "/") {
		return &nuvlaops.Error{Resource: "Options.Path", Reason: fmt.Sprintf("%q must begin with / and not end with it", o.Path), Err: nuvlaops.ErrInvalid}
	}
	return nil
}

func (o Options) acl() []zk.ACL {
	if len(o.ACL) == 0 {
		return zk.WorldACL(zk.PermAll)
	}
	var list []zk.ACL
	for _, a := range o.ACL {
		list = append(list, zk.ACL{Perms: a.Permissions, Scheme: a.Scheme, ID: a.ID})
	}
	return list
}

// Rebuilder is the JobQueueRebuilder over a real queue.
type Rebuilder struct {
	source Source
	conn   *Conn
	opts   Options
	now    func() time.Time
}

var _ JobQueueRebuilder = (*Rebuilder)(nil)

// New returns a rebuilder of the queue behind conn from the jobs of source. Error: ErrInvalid.
func New(source Source, conn *Conn, opts *Options) (*Rebuilder, error) {
	o := opts.withDefaults()
	err := o.validate()
	if err == nil && (es.IsNil(source) || conn == nil) {
		err = &nuvlaops.Error{Reason: "want a source and a connection", Err: nuvlaops.ErrInvalid}
	}
	if err != nil {
		return nil, nuvlaops.Wrap("zkjobs.New", o.Path, err)
	}
	return &Rebuilder{source: source, conn: conn, opts: o, now: time.Now}, nil
}

func (r *Rebuilder) entriesPath() string { return r.opts.Path + entriesNode }
func (r *Rebuilder) takenPath() string   { return r.opts.Path + takenNode }

// newRunID names one Apply, so that it knows its own transactions again.
func newRunID() string { return rand.Text() }
