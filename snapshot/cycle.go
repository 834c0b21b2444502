package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/poll"
	"github.com/nuvla/nuvlaops/internal/units"
)

// CycleOptions say what one backup cycle does.
type CycleOptions struct {
	// Settings, when not nil, are ensured first.
	Settings *Settings
	// Create is the snapshot to take.
	Create CreateRequest
	// Policy, when not nil, is carried out after the snapshot has been seen complete, and never otherwise. Where Elasticsearch
	// deletes nothing, since it cleans up a repository or restores, that is waited for as Create.WhenBusy says.
	Policy *Policy
	// Marks, when not empty, is the file of marks that the policy respects; see WithMarks. Without it the policy removes also
	// what was pinned in that file after it was taken, as by "snapshots pin".
	Marks string
	// Record, when not nil, is called last, also after a failure: for metrics and time-stamps. Its context does not end with
	// the cycle's, and its error is returned when nothing else failed.
	Record func(ctx context.Context, report *CycleReport) error
	// Observe, when not nil, is called at the beginning and at the end of each step, serially.
	Observe func(CycleStep)
}

// CycleStep is one step of a cycle: ensure, create, check, prune, record.
type CycleStep struct {
	Name string `json:"name"`
	// Ended is false at the beginning of the step.
	Ended bool          `json:"ended"`
	Took  time.Duration `json:"-"` // took_seconds in JSON
	Err   error         `json:"-"`
}

// inJSON is the step with Took in seconds.
func (s *CycleStep) inJSON() any {
	type plain CycleStep
	return &struct {
		*plain
		Took *units.Seconds `json:"took_seconds"`
	}{(*plain)(s), (*units.Seconds)(&s.Took)}
}

// MarshalJSON encodes Took in seconds.
func (s CycleStep) MarshalJSON() ([]byte, error) { return json.Marshal(s.inJSON()) }

// UnmarshalJSON decodes what MarshalJSON has encoded.
func (s *CycleStep) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, s.inJSON()) }

// CycleReport is what a cycle did. Fields of steps that were not reached are zero.
type CycleReport struct {
	Change   Change      `json:"change"`
	Snapshot *Snapshot   `json:"snapshot"`
	Plan     *Plan       `json:"plan"`
	Removed  []string    `json:"removed"`
	Steps    []CycleStep `json:"steps"`
	// Err is what the cycle failed with, Record left out; Cycle returns it too.
	Err error `json:"-"`
}

// Verified reports whether the snapshot was seen complete, whatever failed afterwards: then there is a backup.
func (r *CycleReport) Verified() bool {
	return slices.ContainsFunc(r.Steps, func(s CycleStep) bool { return s.Name == "check" && s.Err == nil })
}

// validate finds what a step would refuse before the first one changes anything.
func (o CycleOptions) validate() error {
	checks := []func() error{o.Create.Validate}
	if o.Settings != nil {
		checks = append(checks, o.Settings.Validate)
	}
	if o.Policy != nil {
		checks = append(checks, o.Policy.Validate)
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// Cycle is one backup: ensure the repository, take a snapshot, check that it is listed and complete, prune, record. The
// first failure ends it, but for the record. Called again with the same Create.RunID it finishes what is left. The report
// is returned beside an error.
func Cycle(ctx context.Context, repo SnapshotRepo, opts CycleOptions) (*CycleReport, error) {
	c := &cycle{repo: repo, opts: opts, report: &CycleReport{}, patience: opts.Create.withDefaults().BusyTimeout}
	c.report.Err = c.run(ctx)
	err := c.report.Err
	if opts.Record != nil {
		recorded := c.step("record", func() error { return opts.Record(context.WithoutCancel(ctx), c.report) })
		if err == nil && recorded != nil {
			err = fmt.Errorf("record the backup: %w", recorded)
		}
	}
	return c.report, nuvlaops.Wrap("snapshot.Cycle", c.resource(), err)
}

type cycle struct {
	repo     SnapshotRepo
	opts     CycleOptions
	report   *CycleReport
	patience time.Duration // of the snapshot, and once more of the policy
}

func (c *cycle) run(ctx context.Context) error {
	if err := c.opts.validate(); err != nil {
		return err
	}
	steps := []struct {
		name string
		skip bool
		do   func() error
	}{
		{"ensure", c.opts.Settings == nil, func() error { return c.ensure(ctx) }},
		{"create", false, func() (err error) {
			c.report.Snapshot, err = c.repo.Create(ctx, c.opts.Create)
			return err
		}},
		{"check", false, func() error { return c.check(ctx) }},
		{"prune", c.opts.Policy == nil, func() error { return c.prune(ctx) }},
	}
	for _, s := range steps {
		if s.skip {
			continue
		}
		if err := c.step(s.name, s.do); err != nil {
			return err
		}
	}
	return nil
}

func (c *cycle) step(name string, do func() error) error {
	s := CycleStep{Name: name}
	c.observe(s)
	began := time.Now()
	s.Err = do()
	s.Ended, s.Took = true, time.Since(began)
	c.report.Steps = append(c.report.Steps, s)
	c.observe(s)
	return s.Err
}

func (c *cycle) observe(s CycleStep) {
	if c.opts.Observe != nil {
		c.opts.Observe(s)
	}
}

// ensure comes after the snapshots of others, as the snapshot itself does: a repository is verified on a thread of the pool
// that a running snapshot uses, behind the files that are being written.
func (c *cycle) ensure(ctx context.Context) error {
	req := c.opts.Create.withDefaults()
	limit := time.Now().Add(req.BusyTimeout)
	_, err := others{c.otherRunning, req, limit, newReporter(req, c.resource(), time.Now), time.Now}.wait(ctx)
	c.opts.Create.BusyTimeout = max(1, time.Until(limit)) // what is left of it
	if err == nil {
		c.report.Change, err = c.repo.Ensure(ctx, *c.opts.Settings)
	}
	return err
}

// newest is how many snapshots are looked at for those that run: they began last.
const newest = 100

// otherRunning is none when this run has its snapshot, whatever became of it, and when nothing can be seen: it is for Ensure to
// register the repository, or to put right what keeps it from being read.
func (c *cycle) otherRunning(ctx context.Context) (running *Snapshot, err error) {
	n := 0
	for s, err := range c.repo.List(ctx, Filter{NewestFirst: true}) {
		switch n++; {
		case errors.Is(err, nuvlaops.ErrUnavailable): // as Ensure would say after the same time once more
			return nil, err
		case err != nil, s.RunID != "" && s.RunID == c.opts.Create.RunID:
			return nil, nil
		case running == nil && s.Running():
			running = &s
		}
		if n == newest {
			break
		}
	}
	return running, nil
}

// check reads the snapshot once more, as a restore would find it.
func (c *cycle) check(ctx context.Context) error {
	made := c.report.Snapshot
	found, err := c.repo.Get(ctx, made.Name)
	switch {
	case err != nil:
		return err
	case found.UUID != made.UUID || !found.Complete():
		return &nuvlaops.Error{Reason: fmt.Sprintf("snapshot %s is %s with %d failed shards", found.Name, found.State, found.Shards.Failed),
			Hint: "take another one", Err: nuvlaops.ErrVerification}
	}
	made.Bytes = found.Bytes
	return nil
}

func (c *cycle) prune(ctx context.Context) error {
	repo := c.repo
	if c.opts.Marks != "" {
		repo = WithMarks(repo, c.opts.Marks)
	}
	limit := time.Now().Add(c.patience)
	for try := 1; ; try++ {
		plan, all, err := planPrune(ctx, repo, *c.opts.Policy)
		if err != nil {
			return err
		}
		c.report.Plan = plan
		removed, waited, err := c.remove(ctx, repo, plan, all, limit)
		c.report.Removed = append(c.report.Removed, removed...)
		if waited {
			try = 1
		}
		// A snapshot of somebody else that begins or ends in between makes the plan stale, in a long wait again and again.
		if try == 3 || !errors.Is(err, nuvlaops.ErrConflict) {
			return err
		}
	}
}

// remove waits, until limit, while Elasticsearch deletes nothing, since a repository of the cluster is cleaned up or a snapshot
// is restored: the backup is a good one, and what is not removed today fills the disk. all is what the plan was made of right now.
func (c *cycle) remove(ctx context.Context, repo SnapshotRepo, plan *Plan, all []Snapshot, limit time.Time) (removed []string, waited bool, err error) {
	req := c.opts.Create.withDefaults()
	reporter := newReporter(req, c.resource(), time.Now)
	// Each try but the first lists the repository, which costs a read for each snapshot.
	try := func(ctx context.Context) ([]string, error) { return prune(ctx, repo, plan, all) }
	err = poll.Until(ctx, poll.Interval{First: time.Second, Max: 30 * time.Second}, func(ctx context.Context) (bool, string, error) {
		gone, err := try(ctx)
		try = func(ctx context.Context) ([]string, error) { return Prune(ctx, repo, plan) }
		if len(gone) > len(removed) { // an error may come after some are gone
			removed = gone
		}
		if errors.Is(err, nuvlaops.ErrBusy) && req.WhenBusy != BusyRefuse && time.Now().Before(limit) {
			reporter.say("waiting to remove snapshots", err.Error())
			waited = true
			return false, "nothing can be deleted", nil
		}
		return true, "", err
	})
	return removed, waited, err
}

func (c *cycle) resource() string {
	if s := c.report.Snapshot; s != nil {
		return s.Repository + "/" + s.Name
	}
	return ""
}
