package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/restore"
)

// selector chooses the snapshot, among those that drills have restored where that was asked for.
func (p *program) selector(ctx context.Context) (restore.Selector, error) {
	sel := p.sel
	if !p.verified {
		return sel, nil
	}
	var err error
	if sel.Among, err = p.names(ctx); err == nil && len(sel.Among) == 0 {
		err = &nuvlaops.Error{Op: p.command, Resource: p.repository, Reason: "no complete snapshot is marked in " + p.marks + " as restored by a drill",
			Hint: "mark one with restore drill (snapshots verify and disaster-recovery -drill leave no mark), or say another -snapshot", Err: nuvlaops.ErrNotFound}
	}
	return sel, err
}

// makePlan plans, or takes the plan of -plan.
func (p *program) makePlan(ctx context.Context) (*restore.Plan, error) {
	if p.plan != nil {
		return p.plan, nil
	}
	sel, err := p.selector(ctx)
	if err != nil {
		return nil, err
	}
	s, err := p.restorer.Choose(ctx, sel)
	if err != nil {
		return nil, err
	}
	if s.Larger != nil {
		return nil, &nuvlaops.Error{Op: p.command, Resource: p.repository + "/" + s.Name, Err: nuvlaops.ErrRefused,
			Reason: fmt.Sprintf("the latest complete snapshot may have been taken after the data was lost: %v", s.Larger), Hint: "name the one that is meant with -snapshot; nothing was touched"}
	}
	req := p.request
	req.Snapshot = s.Name
	return p.restorer.Plan(ctx, req)
}

// planOnly shows the plan. Its exit code is that of an apply that is refused.
func (p *program) planOnly(ctx context.Context) error {
	plan, err := p.makePlan(ctx)
	if err != nil {
		return err
	}
	if err := p.print(plan); err != nil {
		return err
	}
	for _, f := range plan.Findings {
		if f.Severity == restore.SeverityError {
			return &nuvlaops.Error{Op: "plan", Resource: f.Resource, Reason: f.Text, Hint: f.Hint, Err: nuvlaops.ErrRefused}
		}
	}
	return nil
}

func (p *program) apply(ctx context.Context) error {
	plan, err := p.makePlan(ctx)
	if err != nil {
		return err
	}
	p.screen.Text(plan.String())
	if err := p.confirm(ctx, plan); err != nil {
		return err
	}
	p.opts.Progress = p.screen.Progress
	report, err := p.restorer.Apply(ctx, plan, p.opts)
	return p.finish(ctx, report, plan.Snapshot.Name, err)
}

// confirm asks for the name of the cluster, unless -yes gave it.
func (p *program) confirm(ctx context.Context, plan *restore.Plan) error {
	name := p.yes
	if name == "" {
		p.screen.Text(fmt.Sprintf("\nThis restores into cluster %s. Type its name to go on: ", plan.Cluster.Name))
		var err error
		if name, err = cli.ReadLine(ctx, p.stdin); err != nil && ctx.Err() != nil {
			return err // any other failure to read leaves no name, which is refused
		}
	}
	if name != plan.Cluster.Name {
		return &nuvlaops.Error{Op: "apply", Resource: plan.Cluster.Name, Reason: fmt.Sprintf("%q is not the name of the cluster", name),
			Hint: "nothing was touched; type " + plan.Cluster.Name + ", or give it with -yes", Err: nuvlaops.ErrRefused}
	}
	return nil
}

// finish prints the report, and says how to go on when the restore was left.
func (p *program) finish(ctx context.Context, report *restore.Report, name string, err error) error {
	if report == nil {
		return err
	}
	if perr := p.print(report); perr != nil {
		err = errors.Join(err, perr)
	}
	if ctx.Err() != nil || (p.opts.Detach && err == nil && !report.OK()) {
		conf := ""
		if p.conf != "" { // which may have the credentials
			conf = " -conf " + p.conf
		}
		p.screen.Text(fmt.Sprintf("To go on where this was: restore attach -es %s -repository %s -snapshot %s%s\n", p.es, p.repository, name, conf))
	}
	return err
}

// verify proves what a plan has brought back, in this or in an earlier call.
func (p *program) verify(ctx context.Context) error {
	plan, err := p.makePlan(ctx)
	if err != nil {
		return err
	}
	opts, err := p.verifyOptions(plan.Snapshot)
	if err != nil {
		return err
	}
	report, err := p.restorer.Verify(ctx, plan, opts)
	if report == nil {
		return err
	}
	return errors.Join(err, p.print(report))
}

// verifyOptions hands over what the whole manifest says, as numbers.
func (p *program) verifyOptions(s restore.Snapshot) (restore.VerifyOptions, error) {
	opts := restore.VerifyOptions{Queries: p.queries}
	if p.manifest == nil {
		return opts, nil
	}
	if p.manifest.Snapshot != s.Name || (p.manifest.UUID != "" && p.manifest.UUID != s.UUID) {
		return opts, cli.Usagef("-manifest is of snapshot %s (%s), not of %s (%s)", p.manifest.Snapshot, p.manifest.UUID, s.Name, s.UUID)
	}
	opts.Documents = map[string]restore.DocumentRange{}
	for name, i := range p.manifest.Indices {
		d := restore.DocumentRange{Min: i.Before, Max: i.Before}
		if i.After != nil {
			d.Min, d.Max = min(i.Before, *i.After), max(i.Before, *i.After)
		}
		opts.Documents[name] = d
	}
	return opts, nil
}
