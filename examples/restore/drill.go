package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
)

// drills drills once, or by the schedule until the context ends.
func (p *program) drills(ctx context.Context) error {
	p.status.load(p.metrics, p.marks, p.repository)
	if p.schedule == nil {
		return p.drill(ctx)
	}
	stop, err := p.serve()
	if err != nil {
		return err
	}
	defer stop()
	var broken error // the drill that the end came into
	p.schedule.Run(ctx, p.now, p.jitter, func(next time.Time) {
		p.status.waitsFor(next)
		p.screen.Printf("the next drill begins %s", next.Format(time.RFC3339))
	}, func(ctx context.Context) {
		within := ctx
		if p.timeout > 0 {
			var cancel context.CancelFunc
			within, cancel = context.WithTimeout(ctx, p.timeout)
			defer cancel()
		}
		err := p.drill(within)
		if err != nil {
			p.screen.Printf("FAILED (exit code %d): %v", cli.ExitCode(err), err)
		}
		if ctx.Err() != nil {
			broken = err
		}
	})
	return broken
}

// drill tries a snapshot once, and keeps what it found: a mark on the snapshot, metrics, the report.
func (p *program) drill(ctx context.Context) error {
	began := p.now()
	p.status.begins(began)
	report, err := p.try(ctx)
	if report != nil && report.Proven {
		err = errors.Join(err, p.mark(ctx, report))
	}
	p.status.ends(p.now(), p.budget, report, err)
	err = errors.Join(err, p.status.write(p.metrics))
	if report != nil {
		err = errors.Join(err, p.print(report))
	}
	return err
}

func (p *program) try(ctx context.Context) (*restore.DrillReport, error) {
	sel, err := p.selector(ctx)
	if err != nil {
		return nil, err
	}
	opts := restore.DrillOptions{Select: sel, Indices: p.request.Indices, Settings: p.request.Settings, Checksums: p.request.Checksums,
		DocumentTolerance: p.request.DocumentTolerance, Verify: restore.VerifyOptions{Queries: p.queries}, Budget: p.budget, Progress: p.screen.Progress}
	if p.manifest != nil {
		s, err := p.restorer.Choose(ctx, sel)
		if err != nil {
			return nil, err
		}
		if opts.Verify, err = p.verifyOptions(*s); err != nil {
			return nil, err
		}
		opts.Select.Name = s.Name
	}
	return p.restorer.Drill(ctx, opts)
}

// mark says on the snapshot's mark that a drill has restored it; retention keeps the newest of these.
func (p *program) mark(ctx context.Context, r *restore.DrillReport) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := snapshot.UpdateMarks(ctx, p.marks, func(m snapshot.Marks) error {
		m.Verify(p.repository, r.Snapshot.Name, r.Snapshot.UUID,
			snapshot.Verified{At: r.Ended, RTO: r.RTO.Seconds(), Documents: r.Restore.Documents})
		return nil
	})
	if err != nil {
		return fmt.Errorf("the drill proved the snapshot, and the mark of that was not written (-marks): %w", err)
	}
	return nil
}
