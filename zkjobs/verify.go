package zkjobs

import (
	"context"
	"fmt"
	"strings"

	"github.com/nuvla/nuvlaops"
)

// Finding is one kind of difference: how many, and the first 100 of them.
type Finding struct {
	Count    int     `json:"count"`
	Examples []Entry `json:"examples,omitempty"`
}

func (f *Finding) add(e Entry) {
	const most = 100
	f.Count++
	if len(f.Examples) < most {
		f.Examples = append(f.Examples, e)
	}
}

// Report compares the queue with what should be on it.
type Report struct {
	// Wanted jobs, and how many of them are on the queue; Taken of those are in executors' hands.
	Wanted int `json:"wanted"`
	Found  int `json:"found"`
	Taken  int `json:"taken,omitempty"`
	// Entries on the queue in all.
	Entries int `json:"entries"`
	// Missing jobs; Doubled entries of jobs that have another before; WrongPriority; WrongOrder, entries that come after
	// one that they should be before. Each of them fails the verification.
	Missing       Finding `json:"missing"`
	Doubled       Finding `json:"doubled"`
	WrongPriority Finding `json:"wrong_priority"`
	WrongOrder    Finding `json:"wrong_order"`
	// Consumed jobs were on the queue and are gone: executors took them. Extra are entries that no wanted job stands behind.
	// Both are findings, not failures.
	Consumed Finding `json:"consumed"`
	Extra    Finding `json:"extra"`
	// Earlier counts entries at the wrong priority or in the wrong order for what was there before Apply, in the report of Apply.
	// Verify and Compare do not know what was there before: there they are WrongPriority and WrongOrder.
	Earlier int `json:"earlier,omitempty"`
	// ByPriority counts the wanted jobs found on the queue.
	ByPriority map[int]int    `json:"by_priority"`
	ByState    map[string]int `json:"by_state"`
	ByAction   map[string]int `json:"by_action"`
	// RunAgain, OldestRunning: see Summary.
	RunAgain      int  `json:"run_again"`
	OldestRunning *Job `json:"oldest_running,omitempty"`
}

// Verify reads the data of every entry and compares.
func (r *Rebuilder) Verify(ctx context.Context, plan *Plan) (*Report, error) {
	report, err := r.verify(ctx, plan)
	return report, nuvlaops.Wrap("zkjobs.Verify", r.opts.Path, err)
}

func (r *Rebuilder) verify(ctx context.Context, plan *Plan) (*Report, error) {
	if err := plan.Validate(r.opts.Path); err != nil {
		return nil, err
	}
	l, err := r.list(ctx, nil)
	if err != nil {
		return nil, err
	}
	report := plan.compareAll(l)
	return report, report.err()
}

// Compare compares what a queue holds, in its order, with what the plan wants there. A difference is an error that
// matches ErrVerification; the report is returned beside it.
func (p *Plan) Compare(queue []Entry) (*Report, error) {
	report := p.compareAll(listingOf(queue))
	return report, nuvlaops.Wrap("zkjobs.Compare", p.Path, report.err())
}

func (p *Plan) compareAll(l *listing) *Report {
	index := indexJobs(p.Jobs)
	for n := range l.entries {
		if i, wanted := index.find(l.entries[n].id); wanted {
			l.entries[n].job = int32(i) + 1
		}
	}
	consumed := p.consumedSince(l)
	return p.verify(l, func(i int) bool { return p.Jobs[i].Do == DecisionConsumed || consumed(i) }, func(*entry) bool { return true })
}

// verify is the verification at the end of an Apply: the names that the transactions returned against the children. The
// data of entries that others wrote was read when they were first seen, and never changes.
func (w *writer) verify(ctx context.Context) error {
	known := w.known()
	l, err := w.r.list(ctx, known)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if l.mark.czxid != w.mark.czxid {
		return errDeleted()
	}
	w.present(l)
	w.noteGone(known, l)
	report := w.plan.verify(l, func(i int) bool { return w.gone[int32(i)] || w.plan.Jobs[i].Do == DecisionConsumed },
		func(e *entry) bool { return e.mine })
	w.result.Report = report
	w.report.end("verified", report.Found, report.Wanted, "jobs")
	return report.err()
}

// verify compares a listing whose jobs were looked up. gone says which jobs need not be there; answerable, for which
// entries priority and order count.
func (p *Plan) verify(l *listing, gone func(int) bool, answerable func(*entry) bool) *Report {
	r := &Report{Wanted: len(p.Jobs), Entries: len(l.entries), ByPriority: map[int]int{}, ByState: map[string]int{}, ByAction: map[string]int{},
		RunAgain: p.Summary.RunAgain, OldestRunning: p.Summary.OldestRunning}
	seen := make([]bool, len(p.Jobs))
	furthest, reached := -1, -1 // of those to answer for, of all
	for n := range l.entries {
		e := &l.entries[n]
		if e.job == 0 {
			r.Extra.add(e.public())
			continue
		}
		i := int(e.job - 1)
		if seen[i] {
			r.Doubled.add(e.public())
			continue
		}
		seen[i] = true
		job := &p.Jobs[i]
		r.count(e, job)
		mine, right := answerable(e), e.priority() == job.Priority
		switch {
		case !right && mine:
			r.WrongPriority.add(e.public())
		case i < furthest && right && mine:
			r.WrongOrder.add(e.public())
		case !right, i < reached:
			r.Earlier++
		}
		if right {
			reached = max(reached, i)
		}
		if right && mine {
			furthest = max(furthest, i)
		}
	}
	for i, found := range seen {
		if found {
			continue
		}
		if e := (Entry{ID: p.Jobs[i].ID}); gone(i) {
			r.Consumed.add(e)
		} else {
			r.Missing.add(e)
		}
	}
	return r
}

func (r *Report) count(e *entry, job *Planned) {
	r.Found++
	r.ByPriority[job.Priority]++
	r.ByState[job.State]++
	r.ByAction[job.Action]++
	if e.taken {
		r.Taken++
	}
}

// OK reports whether no wanted job is missing or doubled, and none is misplaced (WrongPriority, WrongOrder): by Apply, in
// the report of Apply. Consumed, Extra and Earlier do not count.
func (r *Report) OK() bool {
	return r.Missing.Count+r.Doubled.Count+r.WrongPriority.Count+r.WrongOrder.Count == 0
}

func (r *Report) err() error {
	if r.OK() {
		return nil
	}
	return &nuvlaops.Error{Reason: "the queue is not what it should be: " + r.differences(), Hint: r.hint(), Err: nuvlaops.ErrVerification}
}

func (r *Report) hint() string {
	switch {
	case r.Missing.Count > 0:
		return "plan again, since what consumers have finished after the plan may look missing, and apply: only what is missing is written"
	case r.Doubled.Count > 0:
		return "apply with prune: it removes doubled entries"
	}
	if r.WrongPriority.Count > 0 && r.WrongOrder.Count == 0 {
		return "apply with move: it puts entries at their job's priority"
	}
	return "stop the executors, remove the entries of those priorities, and apply again: their jobs come back from the documents"
}

func (r *Report) differences() string {
	var parts []string
	for _, f := range []struct {
		name string
		Finding
	}{{"missing", r.Missing}, {"doubled", r.Doubled}, {"at a wrong priority", r.WrongPriority}, {"in the wrong order", r.WrongOrder}} {
		if f.Count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%s)", f.Count, f.name, strings.TrimSpace(f.Examples[0].Name+" "+f.Examples[0].ID)))
		}
	}
	return strings.Join(parts, ", ")
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	switch {
	case r.OK() && r.Earlier == 0:
		fmt.Fprintf(&b, "verified: %d of %d jobs on the queue, each once, at its priority, in its order", r.Found, r.Wanted)
	case r.OK():
		fmt.Fprintf(&b, "verified: %d of %d jobs on the queue, each once; all but %d at its priority, in its order", r.Found, r.Wanted, r.Earlier)
	default:
		fmt.Fprintf(&b, "NOT verified: %s", r.differences())
	}
	b.WriteByte('\n')
	line(&b, "by priority", countsInt(r.ByPriority))
	line(&b, "by state", counts(r.ByState))
	line(&b, "by action", counts(r.ByAction))
	for _, f := range []struct {
		n    int
		text string
	}{{r.Taken, "in executors' hands"}, {r.Consumed.Count, "consumed meanwhile"}, {r.Extra.Count, "entries that no wanted job stands behind"},
		{r.Earlier, "entries at another place than theirs, for what was there before: a wrong priority is left unless it is to be moved"}} {
		if f.n > 0 {
			fmt.Fprintf(&b, "  finding: %d %s\n", f.n, f.text)
		}
	}
	if r.RunAgain > 0 && r.OldestRunning != nil {
		fmt.Fprintf(&b, "  warning: %d RUNNING jobs will run again from the start, the oldest is %s\n", r.RunAgain, r.OldestRunning.ID)
	}
	return b.String()
}
