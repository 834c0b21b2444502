package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/report"
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

	client   snapshot.Client
	stacks   *stack.Swarm
	repo     *snapshot.Repo
	restorer restore.Restorer
	found    found // by preflight, for the page

	mu      sync.Mutex // steps run side by side
	journal *runbook.Journal
	state   state
	report  report.Report
}

// state is what a later call needs of an earlier one. It is kept in the journal.
type state struct {
	Started  time.Time        `json:"started"`
	Snapshot *report.Snapshot `json:"snapshot,omitempty"` // seen complete
	Plan     *restore.Plan    `json:"plan,omitempty"`
	Restored *restore.Report  `json:"restored,omitempty"`
	Jobs     *report.Jobs     `json:"jobs,omitempty"`
	Warnings []string         `json:"warnings,omitempty"`
}

func newRecovery(cfg *config, screen *cli.Screen) (*recovery, error) {
	r := &recovery{cfg: cfg, screen: screen, now: time.Now}
	r.state.Started = r.now().UTC()
	client, err := cli.Elasticsearch(cfg.es)
	if err != nil {
		return nil, err
	}
	r.client = client
	if r.stacks, err = stack.NewSwarm(nil); err != nil {
		return nil, err
	}
	if r.repo, err = snapshot.New(client, cfg.repository, nil); err != nil {
		return nil, err
	}
	if r.restorer, err = restore.New(client, cfg.repository, nil); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *recovery) close() {
	_ = r.stacks.Close()
	_ = r.journal.Close()
}

// takeUp opens the journal and goes on with what an earlier call has chosen and found.
func (r *recovery) takeUp() (err error) {
	if r.journal, err = runbook.OpenJournal(r.cfg.journal, r.cfg.key()); err != nil {
		return err
	}
	if started, ok := r.journal.Resumed(); ok && r.journal.State(&r.state) {
		r.screen.Printf("going on with the recovery that began %s (%s)", started.Format(time.DateTime), r.cfg.journal)
	}
	return nil
}

// remember changes the state; it reaches the journal with the next record of a step.
func (r *recovery) remember(change func(*state)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.state)
	return r.journal.SetState(r.state)
}

func (r *recovery) chosen() *report.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Snapshot
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
	case runbook.Failed:
		r.screen.Printf("%-11s FAILED after %.1f s: %s", rec.Step, rec.Took().Seconds(), rec.Error)
	}
}

// finish makes the report of the state and of the steps.
func (r *recovery) finish(records []runbook.Record, err error) {
	s := r.state
	r.report = report.Report{
		Outcome: "recovered", Started: s.Started, Ended: r.now().UTC(), Jobs: s.Jobs, Warnings: s.Warnings,
	}
	if s.Restored != nil {
		r.report.Indices, r.report.Verified, r.report.NotVerified = indices(s.Restored), s.Restored.Verified, s.Restored.NotVerified
	}
	if s.Jobs != nil {
		r.report.Verified = append(r.report.Verified, fmt.Sprintf("each of %d open jobs is on the queue once, at its priority and in its order", s.Jobs.Total))
	}
	r.report.NotVerified = append(r.report.NotVerified, "what was written after the snapshot was taken is lost and not listed")
	r.report.RTO = r.report.Ended.Sub(s.Started).Seconds()
	if s.Snapshot != nil {
		r.report.Snapshot = *s.Snapshot
		r.report.RPO = s.Started.Sub(s.Snapshot.Started).Seconds()
	}
	r.report.AddSteps(records)
	if err != nil {
		r.report.Outcome, r.report.Error = "not recovered", err.Error()
	}
}

// refused is an error before anything was touched.
func refused(resource, hint, format string, args ...any) error {
	return &nuvlaops.Error{Op: "disaster-recovery", Resource: resource, Reason: fmt.Sprintf(format, args...), Hint: hint, Err: nuvlaops.ErrRefused}
}
