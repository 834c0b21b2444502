package zkjobstest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// Queue is a job queue in memory, and the zkjobs.JobQueueRebuilder of it. The zero value is an empty queue without jobs.
// Its methods may be called at the same time.
type Queue struct {
	mu      sync.Mutex
	jobs    []zkjobs.Job
	entries []zkjobs.Entry
	now     moment
	made    int // entries ever
	plans   map[*zkjobs.Plan]moment
}

// moment is how often the entries had been changed, by whomever, and how many were consumed.
type moment struct{ changes, consumed int }

var _ zkjobs.JobQueueRebuilder = (*Queue)(nil)

const path = "/job"

// SetJobs says which jobs there are.
func (q *Queue) SetJobs(jobs ...zkjobs.Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = slices.Clone(jobs)
}

// Put puts an entry on the queue, as an api-server does, and returns its name.
func (q *Queue) Put(priority int, id string) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.put(priority, id)
}

func (q *Queue) put(priority int, id string) string {
	name := fmt.Sprintf("entry-%03d-%010d", priority, q.made)
	q.made++
	q.now.changes++
	q.entries = append(q.entries, zkjobs.Entry{Name: name, ID: id})
	slices.SortFunc(q.entries, func(a, b zkjobs.Entry) int { return cmp.Compare(a.Name, b.Name) })
	return name
}

// Lock takes an entry into an executor's hands.
func (q *Queue) Lock(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.entries {
		if q.entries[i].Name == name {
			q.entries[i].Taken = true
		}
	}
}

// Consume removes an entry, as an executor does that has run its job.
func (q *Queue) Consume(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.now.changes++
	q.entries = slices.DeleteFunc(q.entries, func(e zkjobs.Entry) bool {
		if e.Name == name {
			q.now.consumed++
		}
		return e.Name == name
	})
}

// Entries returns what is on the queue, in its order.
func (q *Queue) Entries() []zkjobs.Entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.entries)
}

// tell reports the end of a call.
func tell(to func(nuvlaops.Progress), op, phase string, done, total int) {
	if to != nil {
		to(nuvlaops.Progress{Op: op, Phase: phase, Resource: path, Done: int64(done), Total: int64(total), Unit: "jobs"})
	}
}

// Plan compares the jobs with the queue.
func (q *Queue) Plan(ctx context.Context, opts zkjobs.PlanOptions) (*zkjobs.Plan, error) {
	plan, err := q.plan(ctx, opts)
	if err != nil {
		return nil, nuvlaops.Wrap("zkjobs.Plan", path, err)
	}
	tell(opts.Progress, "zkjobs.Plan", "reading jobs", len(plan.Jobs), len(plan.Jobs))
	return plan, nil
}

func (q *Queue) plan(ctx context.Context, opts zkjobs.PlanOptions) (*zkjobs.Plan, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	plan := zkjobs.NewPlan(path, time.Now(), q.jobs, q.entries, opts)
	if q.plans == nil {
		q.plans = map[*zkjobs.Plan]moment{}
	}
	q.plans[plan] = q.now
	return plan, nil
}

// Apply puts the missing jobs on the queue.
func (q *Queue) Apply(ctx context.Context, plan *zkjobs.Plan, opts zkjobs.ApplyOptions) (*zkjobs.Result, error) {
	res, err := q.apply(ctx, plan, opts)
	if res.Report != nil {
		tell(opts.Progress, "zkjobs.Apply", "verified", res.Report.Found, res.Report.Wanted)
	}
	return res, nuvlaops.Wrap("zkjobs.Apply", path, err)
}

func (q *Queue) apply(ctx context.Context, plan *zkjobs.Plan, opts zkjobs.ApplyOptions) (*zkjobs.Result, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	res := &zkjobs.Result{}
	if err := q.check(ctx, plan, opts); err != nil {
		return res, err
	}
	if opts.Prune {
		q.prune(plan, opts.DryRun, res)
	}
	if opts.Move {
		q.move(plan, opts.DryRun, res)
	}
	there := map[string]bool{}
	for _, e := range q.entries {
		there[e.ID] = true
	}
	wanted, ended := *plan, q.ended(plan)
	wanted.Jobs = slices.Clone(plan.Jobs)
	for i, job := range plan.Jobs {
		was := job.Do != zkjobs.DecisionAdd && job.Do != zkjobs.DecisionSettle // it was there
		switch {
		case there[job.ID]:
			res.Present++
		case ended[job.ID]:
			res.Dropped++
			wanted.Jobs[i].Do = zkjobs.DecisionConsumed
		case was && ended == nil, job.Do == zkjobs.DecisionConsumed:
			res.Consumed++
			wanted.Jobs[i].Do = zkjobs.DecisionConsumed
		case opts.DryRun:
			res.ToWrite++
		default:
			q.put(job.Priority, job.ID)
			res.Written++
		}
	}
	if opts.DryRun {
		return res, nil
	}
	report, err := wanted.Compare(q.entries)
	if report.Missing.Count == 0 && report.Doubled.Count == 0 {
		err = nil // what was wrong before is not ours to answer for
	}
	res.Report = report
	return res, err
}

// ended are the jobs of a plan that do not belong on the queue any more, if it came from a file: such a plan does not know
// whether what it saw was consumed, so that its jobs are looked at again.
func (q *Queue) ended(plan *zkjobs.Plan) map[string]bool {
	if _, known := q.plans[plan]; known {
		return nil
	}
	ended := map[string]bool{}
	for _, job := range plan.Jobs {
		ended[job.ID] = true
	}
	for _, job := range zkjobs.NewPlan(path, plan.At, q.jobs, nil, plan.Opts).Jobs {
		delete(ended, job.ID)
	}
	return ended
}

// move puts entries that nobody has where they belong.
func (q *Queue) move(plan *zkjobs.Plan, dryRun bool, res *zkjobs.Result) {
	for _, job := range plan.Jobs {
		at := slices.IndexFunc(q.entries, func(e zkjobs.Entry) bool { return e.Name == job.Entry && e.ID == job.ID })
		switch {
		case job.Do != zkjobs.DecisionElsewhere || at < 0 || q.entries[at].Taken:
		case dryRun:
			res.ToMove++
			res.Present--
		default:
			q.entries = slices.Delete(q.entries, at, at+1)
			q.put(job.Priority, job.ID)
			res.Moved++
			res.Present--
		}
	}
}

// prune removes what the plan found to be too many, and nothing that is locked, or whose job came after the plan.
func (q *Queue) prune(plan *zkjobs.Plan, dryRun bool, res *zkjobs.Result) {
	many := map[string]string{}
	for _, e := range slices.Concat(plan.Extra, plan.Doubled) {
		many[e.Name] = e.ID
	}
	if !dryRun {
		extra := zkjobs.NewPlan(path, plan.At, q.jobs, q.entries, plan.Opts).Extra
		for _, e := range plan.Extra {
			if !slices.ContainsFunc(extra, func(still zkjobs.Entry) bool { return still.Name == e.Name }) {
				delete(many, e.Name)
			}
		}
	}
	q.entries = slices.DeleteFunc(q.entries, func(e zkjobs.Entry) bool {
		id, found := many[e.Name]
		switch {
		case !found || id != e.ID || e.Taken:
			return false
		case dryRun:
			res.ToPrune++
			return false
		}
		res.Pruned++
		q.now.changes++
		return true
	})
}

func (q *Queue) check(ctx context.Context, plan *zkjobs.Plan, opts zkjobs.ApplyOptions) error {
	switch err := cmp.Or(opts.Validate(), plan.Validate(path)); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case opts.Force:
		return nil
	}
	planned := map[string]bool{}
	for _, job := range plan.Jobs {
		planned[job.ID] = true
	}
	then, known := q.plans[plan]
	if known && then.consumed != q.now.consumed {
		return &nuvlaops.Error{Reason: "entries were consumed since the plan", Err: nuvlaops.ErrBusy}
	}
	for _, e := range q.entries {
		if e.Taken {
			return &nuvlaops.Error{Reason: "consumers are alive", Err: nuvlaops.ErrBusy}
		}
		if known && then.changes != q.now.changes && !planned[e.ID] && !slices.Contains(slices.Concat(plan.Extra, plan.Spared), e) {
			return &nuvlaops.Error{Reason: "the queue grew since the plan", Err: nuvlaops.ErrBusy}
		}
	}
	return nil
}

// Verify compares the queue with the plan.
func (q *Queue) Verify(ctx context.Context, plan *zkjobs.Plan) (*zkjobs.Report, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ctx.Err() != nil {
		return nil, nuvlaops.Wrap("zkjobs.Verify", path, context.Cause(ctx))
	}
	if err := plan.Validate(path); err != nil {
		return nil, nuvlaops.Wrap("zkjobs.Verify", path, err)
	}
	then, known := q.plans[plan]
	if !known || then.consumed == q.now.consumed {
		return plan.Compare(q.entries)
	}
	there := map[string]bool{"": true} // no entry
	for _, e := range q.entries {
		there[e.Name] = true
	}
	wanted := *plan
	wanted.Jobs = slices.Clone(plan.Jobs)
	for i, job := range plan.Jobs {
		if !there[job.Entry] {
			wanted.Jobs[i].Do = zkjobs.DecisionConsumed
		}
	}
	return wanted.Compare(q.entries)
}
