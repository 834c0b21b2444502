// Package runbook runs the steps of a runbook and writes a journal of them.
//
// Steps name the steps that they come after; what does not depend on each other runs side by side. The first failure
// ends the steps that run and starts no other. Each end of a step is written to the journal before a step that comes
// after it begins, so that a run that was killed is taken up where it was: steps that the journal knows as done are
// skipped, the one that was broken off runs again. Steps must therefore read the world before they change it; the loss
// of a journal costs time and nothing else.
package runbook

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nuvla/nuvlaops"
)

// Step is one step of a runbook.
type Step struct {
	// Name identifies the step in the journal and in After.
	Name string
	// Title says to a person what the step does.
	Title string
	// After names the steps that must be done before.
	After []string
	// Again runs the step although the journal knows it as done: for a step whose findings others use, or whose work may have
	// been undone since. It must find done what is done, and then change nothing.
	Again bool
	// LeftOut, when not empty, says why the step is not run this time. What comes after it runs all the same, so each step
	// must itself refuse what it has no ground for.
	LeftOut string
	// Run does the work and returns one line on what it did.
	Run func(ctx context.Context) (detail string, err error)
}

// State of a step.
type State string

// The states of a step.
const (
	Running State = "running"
	Done    State = "done"
	Skipped State = "skipped"  // done by an earlier run
	LeftOut State = "left out" // not run, see Step.LeftOut, nor done by an earlier run
	Failed  State = "failed"
)

// Record is what is known of a step.
type Record struct {
	Step    string    `json:"step"`
	Title   string    `json:"title"`
	State   State     `json:"state"`
	Detail  string    `json:"detail,omitempty"`
	Error   string    `json:"error,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
}

// Took is how long the step ran.
func (r Record) Took() time.Duration {
	if r.Ended.IsZero() {
		return 0
	}
	return r.Ended.Sub(r.Started)
}

// Run runs the steps and returns the records of those that began or were passed over, in the order in which they ended. seen is told each
// change of a step's state, one at a time. Error: the first failure of a step, or of the journal.
func Run(ctx context.Context, steps []Step, journal *Journal, seen func(Record)) ([]Record, error) {
	if err := check(steps); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &runner{journal: journal, seen: seen, ended: make(chan outcome), done: map[string]bool{}, begun: map[string]bool{}}
	var failure error
	for {
		if failure == nil && ctx.Err() != nil {
			failure = context.Cause(ctx)
		}
		if failure == nil {
			r.startReady(ctx, steps)
		}
		if r.running == 0 {
			return r.records, failure
		}
		out := <-r.ended
		r.running--
		if err := r.settle(out); err != nil && failure == nil {
			failure = err
			cancel(err)
		}
	}
}

type runner struct {
	journal     *Journal
	seen        func(Record)
	ended       chan outcome
	running     int
	begun, done map[string]bool
	records     []Record
}

type outcome struct {
	record Record
	err    error
}

// startReady starts what may begin now. A step that is passed over frees only such as are listed behind it, see check.
func (r *runner) startReady(ctx context.Context, steps []Step) {
	for _, s := range steps {
		if r.begun[s.Name] || slices.ContainsFunc(s.After, func(name string) bool { return !r.done[name] }) {
			continue
		}
		r.begun[s.Name] = true
		if record, ok := r.passed(s); ok {
			r.finish(record)
		} else {
			r.start(ctx, s)
		}
	}
}

// passed is the record of a step that need not run.
func (r *runner) passed(s Step) (Record, bool) {
	old, done := r.journal.done(s.Name)
	switch {
	case done && (!s.Again || s.LeftOut != ""):
		old.State = Skipped
		return old, true
	case s.LeftOut != "":
		now := time.Now()
		return Record{Step: s.Name, Title: s.Title, State: LeftOut, Detail: s.LeftOut, Started: now, Ended: now}, true
	}
	return Record{}, false
}

func (r *runner) start(ctx context.Context, s Step) {
	record := Record{Step: s.Name, Title: s.Title, State: Running, Started: time.Now()}
	r.tell(record)
	r.running++
	go func() {
		err := r.journal.record(record)
		if err == nil {
			record.Detail, err = s.Run(ctx)
		}
		record.Ended = time.Now()
		r.ended <- outcome{record, err}
	}()
}

// settle records the end of a step. The journal is written before anything that comes after may begin.
func (r *runner) settle(out outcome) error {
	record := out.record
	record.State = Done
	if out.err != nil {
		record.State, record.Error = Failed, out.err.Error()
	}
	err := r.journal.record(record)
	if out.err != nil {
		err = fmt.Errorf("step %s: %w", record.Step, out.err)
	}
	r.finish(record)
	return err
}

func (r *runner) finish(record Record) {
	r.records = append(r.records, record)
	if record.State != Failed {
		r.done[record.Step] = true
	}
	r.tell(record)
}

func (r *runner) tell(record Record) {
	if r.seen != nil {
		r.seen(record)
	}
}

// check finds what would never run: a step that comes after one that is not there, or after itself.
func check(steps []Step) error {
	known := map[string]bool{}
	for _, s := range steps { // an order that only points back has no circle
		for _, name := range s.After {
			if !known[name] {
				return &nuvlaops.Error{Op: "runbook.Run", Resource: s.Name, Err: nuvlaops.ErrInvalid,
					Reason: fmt.Sprintf("comes after step %q, which is not listed before it", name)}
			}
		}
		if known[s.Name] || s.Name == "" || s.Run == nil {
			return &nuvlaops.Error{Op: "runbook.Run", Resource: s.Name, Err: nuvlaops.ErrInvalid, Reason: "a step needs a name of its own and a Run"}
		}
		known[s.Name] = true
	}
	return nil
}
