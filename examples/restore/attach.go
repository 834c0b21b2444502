package main

import (
	"context"
	"errors"
)

// attach follows a restore that was left to its end, or ends it.
func (p *program) attach(ctx context.Context) error {
	name := p.sel.Name
	if p.abandon {
		report, err := p.restorer.Abandon(ctx, name)
		if report == nil {
			return err
		}
		return errors.Join(err, p.print(report))
	}
	p.opts.Progress = p.screen.Progress
	report, err := p.restorer.Attach(ctx, name, p.opts)
	return p.finish(ctx, report, name, err)
}
