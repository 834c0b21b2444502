package zkjobs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/retry"
	"github.com/nuvla/nuvlaops/internal/units"
)

// PlanOptions chooses what belongs on the queue. The zero value takes every open job that executors would run. What is left
// out stays open in Elasticsearch, and some of Nuvla's distributors make no other job of its action and target while it is.
type PlanOptions struct {
	// States (QUEUED, RUNNING), Modes and Actions let only these through; empty lets all through (Modes: all but pull).
	States  []string `json:"states,omitempty"`
	Modes   []string `json:"modes,omitempty"`
	Actions []string `json:"actions,omitempty"`
	// NotBefore leaves out jobs created earlier; MaxAge those created earlier than this before the plan. 0 means no limit.
	NotBefore time.Time     `json:"not_before,omitzero"`
	MaxAge    time.Duration `json:"-"` // max_age_seconds in JSON
	// WithoutRunning leaves out RUNNING jobs: queued again, they run again from the start.
	WithoutRunning bool `json:"without_running,omitempty"`
	// WithMonitored takes bulk jobs that are being followed; queued again, they repeat the whole bulk action.
	WithMonitored bool `json:"with_monitored,omitempty"`
	// Settle is how long a living api-server may take between writing a job's entry and its document, whichever comes first.
	// Younger jobs (by the clock of this machine) are looked at again before they are written, and entries without a job before
	// they are pruned. Default 2 s; negative: no wait.
	Settle time.Duration `json:"-"` // settle_seconds in JSON
	// Progress is called ten times a second at most.
	Progress func(nuvlaops.Progress) `json:"-"`
}

// inJSON is the options with its durations in seconds.
func (opts *PlanOptions) inJSON() any {
	type plain PlanOptions
	return &struct {
		*plain
		MaxAge *units.Seconds `json:"max_age_seconds,omitzero"`
		Settle *units.Seconds `json:"settle_seconds,omitzero"`
	}{(*plain)(opts), (*units.Seconds)(&opts.MaxAge), (*units.Seconds)(&opts.Settle)}
}

// MarshalJSON encodes durations in seconds.
func (opts PlanOptions) MarshalJSON() ([]byte, error) { return json.Marshal(opts.inJSON()) }

// UnmarshalJSON decodes what MarshalJSON has encoded.
func (opts *PlanOptions) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, opts.inJSON()) }

func (opts PlanOptions) settle() time.Duration {
	if opts.Settle == 0 {
		return 2 * time.Second
	}
	return max(0, opts.Settle)
}

// Decision says what is to be done with a job that belongs on the queue.
type Decision string

// The decisions of a plan.
const (
	DecisionAdd       Decision = "add"       // it is not on the queue
	DecisionSettle    Decision = "settle"    // it is not on the queue, but so young that its own entry may be on the way: look again
	DecisionThere     Decision = "there"     // it is on the queue
	DecisionElsewhere Decision = "elsewhere" // it is on the queue at another priority
	DecisionTaken     Decision = "taken"     // an executor has it in its hands
	DecisionConsumed  Decision = "consumed"  // an executor finished with its entry while the plan was made
)

// Planned is a job that belongs on the queue.
type Planned struct {
	Job
	Do Decision `json:"do"`
	// Entry is the name of its entry on the queue, "" when there is none.
	Entry string `json:"entry,omitempty"`
}

// Entry is an entry of the queue.
type Entry struct {
	Name  string `json:"name"`
	ID    string `json:"id"`
	Taken bool   `json:"taken,omitempty"`
}

// LeftOut is a job that does not belong on the queue, and why.
type LeftOut struct {
	ID     string `json:"id"`
	Reason Reason `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// Plan is what Apply will do. It may be printed, and travels as JSON.
type Plan struct {
	// Path of the queue; At is when the reading began.
	Path string      `json:"path"`
	At   time.Time   `json:"at"`
	Opts PlanOptions `json:"options"`
	// Jobs belong on the queue, in its order.
	Jobs []Planned `json:"jobs"`
	// Left counts what was left out; LeftOut holds the first 1,000 of each reason but the ordinary ones (pull, final).
	Left    map[Reason]int `json:"left,omitempty"`
	LeftOut []LeftOut      `json:"left_out,omitempty"`
	// Extra are entries that were there before the jobs were read and that no job stands behind that belongs on the queue: it
	// is missing, final, of mode pull, or a bulk job that is being followed. Doubled are those of a job that has another
	// entry, which is kept: the one that a consumer has, else the one at its priority, else the first. Spared are entries of
	// jobs that are open and left out by an option, or whose document cannot be used.
	Extra   []Entry `json:"extra,omitempty"`
	Doubled []Entry `json:"doubled,omitempty"`
	Spared  []Entry `json:"spared,omitempty"`
	// Busy says what shows that the queue is in use; Apply then wants Force.
	Busy []string `json:"busy,omitempty"`
	// Summary counts Jobs.
	Summary Summary `json:"summary"`

	mark   mark            // of the queue when it was compared
	known  *listing        // what was on it
	looked time.Time       // when the jobs had been read
	spared map[string]bool // ids of jobs whose entries are Spared; until they were compared

	pruned, moved bool // whether an Apply has begun to
}

const mostExamples = 1000

// Plan reads the queue, the jobs, and what changed on the queue meanwhile.
func (r *Rebuilder) Plan(ctx context.Context, opts PlanOptions) (*Plan, error) {
	plan, err := r.plan(ctx, opts)
	if err != nil {
		return nil, nuvlaops.Wrap("zkjobs.Plan", r.opts.Path, err)
	}
	return plan, nil
}

// plan lists before it reads the jobs and again afterwards: a job that is on neither list was on the queue at no time
// since its document was read, unless its entry was still on the way (Settle), or another rebuild wrote it and a consumer ran
// it: then the jobs are read again.
func (r *Rebuilder) plan(ctx context.Context, opts PlanOptions) (*Plan, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	plan := &Plan{Path: r.opts.Path, At: r.now(), Opts: opts}
	report := newReporter("zkjobs.Plan", plan.Path, opts.Progress, r.now)
	first, err := r.list(ctx, nil)
	if err != nil {
		return nil, err
	}
	for before := first; ; {
		err = retry.Do(ctx, rereads(), r.opts.Logger, readAgain, func(ctx context.Context) error {
			plan.Jobs, plan.Left, plan.LeftOut, plan.spared = nil, map[Reason]int{}, nil, nil // of a reading that broke off
			return plan.read(ctx, r.source, report)
		})
		if err != nil {
			return nil, err
		}
		after, err := r.list(ctx, before)
		if err != nil {
			return nil, err
		}
		if rebuiltUnseen(before, after) {
			before = after
			continue
		}
		plan.compare(before, after)
		plan.Busy = busy(first, after)
		plan.summarize()
		return plan, nil
	}
}

// rebuiltUnseen reports whether another rebuild wrote between two listings while entries came and went that are on neither:
// they may be of jobs that were read.
func rebuiltUnseen(before, after *listing) bool {
	if before.mark.version == after.mark.version || before.mark.czxid != after.mark.czxid {
		return false
	}
	unseen := after.mark.created - before.mark.created
	for _, e := range after.entries {
		if _, old := before.find(e.name); !old {
			unseen--
		}
	}
	return unseen > 0
}

// NewPlan makes a plan of jobs and of what a queue holds, in the queue's order: for sources and queues that are not in
// Elasticsearch and ZooKeeper, such as those of tests.
func NewPlan(path string, at time.Time, jobs []Job, queue []Entry, opts PlanOptions) *Plan {
	p := &Plan{Path: path, At: at, Opts: opts, Left: map[Reason]int{}}
	notBefore := p.notBefore()
	for _, job := range jobs {
		p.sortIn(job, notBefore)
	}
	p.order()
	l := listingOf(queue)
	p.compare(l, l)
	p.mark, p.known = mark{}, nil
	p.summarize()
	return p
}

func listingOf(queue []Entry) *listing {
	l := &listing{entries: make([]entry, len(queue))}
	for i, e := range queue {
		l.entries[i] = entry{name: e.Name, id: e.ID, taken: e.Taken}
	}
	return l
}

// notBefore is the earliest creation that is taken; zero for no limit.
func (p *Plan) notBefore() time.Time {
	limit := p.Opts.NotBefore
	if p.Opts.MaxAge > 0 {
		if l := p.At.Add(-p.Opts.MaxAge); l.After(limit) {
			limit = l
		}
	}
	return limit
}

// sortIn takes a job, or leaves it out.
func (p *Plan) sortIn(job Job, notBefore time.Time) {
	reason := p.Opts.reason(job, notBefore)
	if reason == "" && checkJob(&job) {
		reason = LeftInvalid
	}
	if reason != "" {
		p.leave(job, reason)
		return
	}
	p.Jobs = append(p.Jobs, Planned{Job: job, Do: DecisionAdd})
}

func (p *Plan) order() {
	slices.SortFunc(p.Jobs, func(a, b Planned) int { return compareJobs(&a.Job, &b.Job) })
}

// read takes the jobs that belong on the queue and puts them in its order.
func (p *Plan) read(ctx context.Context, source Source, report *reporter) error {
	notBefore := p.notBefore()
	for job, err := range source.Jobs(ctx) {
		if err != nil {
			return fmt.Errorf("read jobs: %w", err)
		}
		if known, ok := source.(sized); ok && p.Jobs == nil {
			p.Jobs = make([]Planned, 0, min(known.size(), 1<<20)) // some of them are left out
		}
		p.sortIn(job, notBefore)
		report.each("reading jobs", len(p.Jobs), 0, "jobs")
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.looked = report.now()
	p.order()
	report.end("reading jobs", len(p.Jobs), len(p.Jobs), "jobs")
	return nil
}

// sized is a source that knows, once it yields, how many jobs it has: room for a million, made at once, is half of what
// appending takes.
type sized interface{ size() int }

// checkJob looks at what a Source other than Documents may give, and says whether it is invalid.
func checkJob(job *Job) bool {
	job.Invalid = checkID(job.ID)
	switch {
	case job.Invalid != "":
	case job.Priority < 0 || job.Priority > LowestPriority:
		job.Invalid = fmt.Sprintf("priority %d is out of range", job.Priority)
	case !isDate(job.Created):
		job.Invalid = "created is out of range"
	}
	return job.Invalid != ""
}

func (p *Plan) leave(job Job, reason Reason) {
	p.Left[reason]++
	switch reason {
	case LeftPull, LeftFinal, LeftMonitored, LeftRepeated:
	default:
		if p.spared == nil {
			p.spared = map[string]bool{}
		}
		p.spared[job.ID] = true
	}
	if reason != LeftPull && reason != LeftFinal && p.Left[reason] <= mostExamples {
		p.LeftOut = append(p.LeftOut, LeftOut{ID: job.ID, Reason: reason, Detail: job.Invalid})
	}
}

func (e entry) public() Entry { return Entry{Name: e.name, ID: e.id, Taken: e.taken} }
