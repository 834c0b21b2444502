package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/filelock"
	"github.com/nuvla/nuvlaops/internal/runbook"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/stack"
)

// recovery is one run of the program.
type recovery struct {
	cfg    *config
	screen *cli.Screen
	now    func() time.Time
	linger time.Duration // how long a throw-away Elasticsearch may answer whose service was removed

	client   snapshot.Client
	conn     *es.Conn
	zk       zookeeper
	forwards []*stack.Forward // into the copy of a drill
	stacks   *stack.Swarm
	repo     *snapshot.Repo
	restorer restore.Restorer
	found    found // by preflight
	page     page
	leaving  sync.WaitGroup // of the throw-away Elasticsearch
	leaveErr error

	mu      sync.Mutex // steps run side by side
	journal *runbook.Journal
	state   state
	seenNow bool // whether this run has seen the chosen snapshot
	resumed bool // whether an earlier call has begun with the steps
	report  report.Report
}

// state is what a later call needs of an earlier one. It is kept in the journal, and holds no secrets.
type state struct {
	Started  time.Time         `json:"started"`
	From     string            `json:"from,omitempty"`     // -from, once it has been followed
	Snapshot *report.Snapshot  `json:"snapshot,omitempty"` // the choice
	Seen     time.Time         `json:"seen,omitzero"`      // when it was last seen complete
	Anew     time.Time         `json:"anew,omitzero"`      // since when the volumes, if there are any, are others than those at the start
	Kept     string            `json:"kept,omitempty"`     // where the volumes are that come to be removed
	Stopped  map[string]uint64 `json:"stopped,omitempty"`  // versions of the databases' services when they were stopped, by ID
	Touched  bool              `json:"touched,omitempty"`  // volumes or indices, by a call whose steps are to be done again
	Plan     *restore.Plan     `json:"plan,omitempty"`
	Restored *restore.Report   `json:"restored,omitempty"`
	Newest   time.Time         `json:"newest,omitzero"` // document that came back
	Jobs     *report.Jobs      `json:"jobs,omitempty"`
	Before   before            `json:"before"`
	Warnings []string          `json:"warnings,omitempty"`
}

func newRecovery(cfg *config, screen *cli.Screen) (*recovery, error) {
	r := &recovery{cfg: cfg, screen: screen, now: time.Now, linger: 20 * time.Second, zk: cfg.zookeeper}
	r.state.Started = r.now().UTC()
	err := r.talkTo(cfg.es)
	if err == nil {
		r.stacks, err = stack.NewSwarm(cfg.stackOptions())
	}
	return r, err
}

// talkTo makes the clients of the Elasticsearch at an address.
func (r *recovery) talkTo(address string) error {
	client, err := cli.Elasticsearch(address)
	if err != nil {
		return err
	}
	r.client, r.conn = client, &es.Conn{Client: client}
	r.repo, r.restorer, err = r.cfg.through(client)
	return err
}

// through is the repository as it is seen through a client.
func (c *config) through(client snapshot.Client) (repo *snapshot.Repo, from restore.Restorer, err error) {
	if repo, err = snapshot.New(client, c.repository, nil); err != nil {
		return nil, nil, cli.Usagef("-repository: %w", err)
	}
	from, err = restore.New(client, c.repository, nil)
	return repo, from, err
}

func (r *recovery) close() {
	for _, f := range r.forwards {
		_ = f.Close()
	}
	_ = r.stacks.Close()
	_ = r.journal.Close()
}

// takeUp keeps others out, opens the journal and goes on with what an earlier call has chosen and found. The context that
// it returns ends when another takes the stack over, after this program could not be seen for a while.
func (r *recovery) takeUp(ctx context.Context) (_ context.Context, free func(), err error) {
	if r.journal, err = runbook.OpenJournal(r.cfg.journal, r.cfg.key()); err != nil {
		return ctx, nil, err
	}
	if ctx, free, err = r.claim(ctx, r.journal.Place()); err != nil {
		return ctx, nil, err
	}
	r.goOn()
	return ctx, free, nil
}

// goOn takes what the journal knows. A drill that was killed is none to go on with: its copy is made anew, and its time
// counts from now.
func (r *recovery) goOn() {
	if r.cfg.drill {
		for _, rec := range r.journal.Records() {
			r.journal.Forget(rec.Step)
		}
		return
	}
	var started time.Time
	if started, r.resumed = r.journal.Resumed(); r.resumed {
		if st := r.state; r.journal.State(&st) {
			r.state = st
		} else { // of another version, or damaged: what was done is nothing to go on with, without what was found
			r.state.Started = started
			r.beginAnew()
			r.screen.Printf("what the recovery that began %s has found cannot be read (%s): its steps are done again", started.UTC().Format(time.RFC3339), r.cfg.journal)
		}
	}
	if r.resumed && !r.cfg.planOnly {
		r.screen.Printf("going on with the recovery that began %s (%s)", started.UTC().Format(time.RFC3339), r.cfg.journal)
	}
	if r.cfg.from != "" && r.cfg.from != r.state.From { // a call without -from goes on where the one with it was
		r.state.Touched = r.touched()
		r.journal.Forget(r.cfg.fromOn()...)
	}
	_ = r.remember(func(st *state) { st.From = r.cfg.from }) // and when this began
}

// claim marks the stack as being worked on, until free.
func (r *recovery) claim(ctx context.Context, place string) (_ context.Context, free func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	claim, err := r.stacks.Claim(ctx, r.cfg.db, stack.ClaimOptions{Holder: "disaster-recovery, " + filelock.Self().String(), Place: place, Lost: cancel})
	if err != nil {
		cancel(nil)
		return ctx, nil, err
	}
	free = func() {
		clean, done := context.WithTimeout(context.WithoutCancel(ctx), freeWithin)
		defer done()
		if err := claim.Release(clean); err != nil {
			r.screen.Printf("the mark of this run is left in the swarm, and will be taken over: %v", err)
		}
		cancel(nil)
	}
	return ctx, free, nil
}

// beginAnew forgets what an earlier call did, but not when it began. The volumes that are there now are others than those
// that were archived.
func (r *recovery) beginAnew() {
	touched := r.touched()
	r.journal.Forget(stepNames...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = state{Started: r.state.Started, Anew: r.now().UTC(), Touched: touched, From: r.state.From, Before: r.state.Before, Warnings: r.state.Warnings}
}

// done and began say what the journal knows of a step.
func (r *recovery) done(step string) bool {
	return slices.ContainsFunc(r.journal.Records(), func(rec runbook.Record) bool { return rec.Step == step && rec.State == runbook.Done })
}

func (r *recovery) began(step string) bool {
	return slices.ContainsFunc(r.journal.Records(), func(rec runbook.Record) bool { return rec.Step == step })
}

// remember changes the state; it reaches the journal with the next record of a step.
func (r *recovery) remember(change func(*state)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.state)
	return r.journal.SetState(r.state)
}

// remembered is the state as it is now.
func (r *recovery) remembered() state {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// warn adds a warning to the report, once.
func (st *state) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(st.Warnings, text) {
		st.Warnings = append(st.Warnings, text)
	}
}

func (r *recovery) chosen() *report.Snapshot { return r.remembered().Snapshot }

// seenFor is how long it holds that the snapshot was seen complete: a recovery that is taken up later looks again before
// it removes anything.
const seenFor = 30 * time.Minute

// sighted reports whether the chosen snapshot has been seen complete, by this run or not long ago.
func (r *recovery) sighted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, age := r.state.Snapshot, r.now().Sub(r.state.Seen) // below zero when the clock was set back since: how old it is nobody knows
	return s != nil && s.UUID != "" && (r.seenNow || age >= 0 && age < seenFor)
}

// seen shows a step's change of state.
func (r *recovery) seen(rec runbook.Record) {
	switch rec.State {
	case runbook.Running:
		r.screen.Printf("%-11s %s ...", rec.Step, rec.Title)
	case runbook.Done:
		r.screen.Printf("%-11s done in %.1f s: %s", rec.Step, rec.Took().Seconds(), rec.Detail)
	case runbook.Skipped:
		r.screen.Printf("%-11s done by the run before: %s", rec.Step, rec.Detail)
	case runbook.LeftOut:
		r.screen.Printf("%-11s %s", rec.Step, rec.Detail)
	case runbook.Failed:
		r.screen.Printf("%-11s FAILED after %.1f s: %s", rec.Step, rec.Took().Seconds(), rec.Error)
	}
}

// refused is the error of a precondition that does not hold.
func refused(resource, hint, format string, args ...any) error {
	return &nuvlaops.Error{Op: "disaster-recovery", Resource: resource, Reason: fmt.Sprintf(format, args...), Hint: hint, Err: nuvlaops.ErrRefused}
}
