package zkjobs

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/units"
)

// The limits of a transaction. ZooKeeper 3.4.13 acknowledges larger ones, and cannot start again after a crash.
const (
	mostOps   = 500
	mostBytes = 256 << 10
)

// ApplyOptions says how to write. Zero fields take the defaults.
type ApplyOptions struct {
	// Force goes on although consumers are alive or others change the queue.
	Force bool
	// Prune removes the plan's Extra and Doubled entries; never one that is locked, nor one whose job is there when the jobs are
	// read once more, PlanOptions.Settle after the plan read them.
	Prune bool
	// Move puts entries that are at another priority than their job's where they belong: the old one is removed and the new
	// one made in one transaction, and only when no consumer has the lock. Inside its priority a moved entry comes after what
	// was there before, and among what this call adds and moves by creation and id.
	Move bool
	// DryRun compares with the queue and writes nothing.
	DryRun bool
	// Batch is the most operations in a transaction, 2 to 500, with Move 5 to 500: one of them is the rebuild's own, and a move
	// takes four. Default 500.
	Batch int
	// BatchBytes is the most bytes in a transaction, 1 KiB to 256 KiB. Default 256 KiB.
	BatchBytes int
	// Rate is the most jobs written in a second. Default 0, no limit.
	Rate float64
	// Progress is called after each transaction, and while young jobs are waited for.
	Progress func(nuvlaops.Progress)
}

func (o ApplyOptions) withDefaults() ApplyOptions {
	if o.Batch == 0 {
		o.Batch = mostOps
	}
	if o.BatchBytes == 0 {
		o.BatchBytes = mostBytes
	}
	return o
}

// Validate returns an error that matches ErrInvalid and names the field when an option is out of range.
func (o ApplyOptions) Validate() error {
	o = o.withDefaults()
	invalid := func(field string, got any, want string) error {
		return &nuvlaops.Error{Resource: "ApplyOptions." + field, Reason: fmt.Sprintf("%v is out of range, want %s", got, want), Err: nuvlaops.ErrInvalid}
	}
	switch {
	case o.Batch < 2 || o.Batch > mostOps:
		return invalid("Batch", o.Batch, "2 to 500")
	case o.Move && o.Batch < 1+operationsOfMove:
		return invalid("Batch", o.Batch, "5 to 500 with Move")
	case o.BatchBytes < 1<<10 || o.BatchBytes > mostBytes:
		return invalid("BatchBytes", o.BatchBytes, "1024 to 262144")
	case !(o.Rate >= 0) || math.IsInf(o.Rate, 1):
		return invalid("Rate", o.Rate, "0 (no limit) or more")
	}
	return nil
}

// Result says what Apply did.
type Result struct {
	// Written counts the jobs that were put on the queue, by this call; ToWrite is what a dry run would write.
	Written int `json:"written"`
	ToWrite int `json:"to_write,omitempty"`
	// Present counts jobs that were on the queue already; Consumed those whose entry was there and is gone.
	Present  int `json:"present"`
	Consumed int `json:"consumed,omitempty"`
	// Moved counts entries that were put at their job's priority; ToMove is what a dry run would move. Entries that cannot be
	// moved, since consumers have them, count as Present.
	Moved  int `json:"moved,omitempty"`
	ToMove int `json:"to_move,omitempty"`
	// Pruned counts entries that were removed; ToPrune is what a dry run would remove.
	Pruned  int `json:"pruned,omitempty"`
	ToPrune int `json:"to_prune,omitempty"`
	// Dropped counts jobs of the plan that ended or were consumed before they were written.
	Dropped int `json:"dropped,omitempty"`
	// Transactions that were sent; Resolved counts those whose reply was lost and whose outcome was found by listing again.
	Transactions int           `json:"transactions"`
	Resolved     int           `json:"resolved,omitempty"`
	Elapsed      time.Duration `json:"-"` // elapsed_seconds in JSON
	// Report is the verification; nil when it did not come to that.
	Report *Report `json:"report,omitempty"`
}

// inJSON is the result with Elapsed in seconds.
func (r *Result) inJSON() any {
	type plain Result
	return &struct {
		*plain
		Elapsed *units.Seconds `json:"elapsed_seconds"`
	}{(*plain)(r), (*units.Seconds)(&r.Elapsed)}
}

// MarshalJSON encodes Elapsed in seconds.
func (r Result) MarshalJSON() ([]byte, error) { return json.Marshal(r.inJSON()) }

// UnmarshalJSON decodes what MarshalJSON has encoded.
func (r *Result) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, r.inJSON()) }

// Apply writes what the plan wants and the queue lacks, as one ordered stream of transactions, and verifies it.
func (r *Rebuilder) Apply(ctx context.Context, plan *Plan, opts ApplyOptions) (*Result, error) {
	result, err := r.apply(ctx, plan, opts.withDefaults())
	return result, nuvlaops.Wrap("zkjobs.Apply", r.opts.Path, err)
}

func (r *Rebuilder) apply(ctx context.Context, plan *Plan, opts ApplyOptions) (*Result, error) {
	begun := r.now()
	result := &Result{}
	defer func() { result.Elapsed = r.now().Sub(begun) }()
	if err := opts.Validate(); err != nil {
		return result, err
	}
	if err := plan.Validate(r.opts.Path); err != nil {
		return result, err
	}
	w := newWriter(r, plan, opts, result)
	if err := w.open(ctx); err != nil {
		return result, err
	}
	if opts.DryRun {
		result.ToMove = w.toMove()
		result.ToWrite = len(w.todo) + len(w.young) - result.ToMove
		extra, doubled := w.toPrune()
		result.ToPrune = len(extra) + len(doubled)
		return result, nil
	}
	plan.pruned, plan.moved = plan.pruned || opts.Prune, plan.moved || opts.Move
	if err := w.prune(ctx); err != nil {
		return result, fmt.Errorf("prune: %w", err)
	}
	if err := w.writeAll(ctx); err != nil {
		return result, err
	}
	return result, w.verify(ctx)
}

// Validate is what each JobQueueRebuilder checks first: ErrInvalid for no plan, for one that is not of the queue at this path,
// and for one that was edited into something that must not be written.
func (p *Plan) Validate(path string) error {
	if p == nil {
		return &nuvlaops.Error{Reason: "no plan", Err: nuvlaops.ErrInvalid}
	}
	if p.Path != path {
		return &nuvlaops.Error{Reason: "the plan is of the queue " + p.Path, Err: nuvlaops.ErrInvalid}
	}
	for i := range p.Jobs {
		job := p.Jobs[i].Job
		if checkJob(&job) {
			return &nuvlaops.Error{Reason: fmt.Sprintf("the plan has a job %q that must not be queued: %s", job.ID, job.Invalid), Err: nuvlaops.ErrInvalid}
		}
		if i > 0 && compareJobs(&p.Jobs[i-1].Job, &job) > 0 {
			return &nuvlaops.Error{Reason: "the plan's jobs are not in order", Err: nuvlaops.ErrInvalid}
		}
	}
	if p.known != nil { // the plan is our own
		return nil
	}
	for i, index := 0, indexJobs(p.Jobs); i < len(p.Jobs); i++ {
		if last, _ := index.find(p.Jobs[i].ID); last != i {
			return &nuvlaops.Error{Reason: fmt.Sprintf("the plan has the job %q twice", p.Jobs[i].ID), Err: nuvlaops.ErrInvalid}
		}
	}
	return nil
}
