package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/poll"
	"github.com/nuvla/nuvlaops/stack"
)

// look sees the snapshot where no Elasticsearch lives: through a copy of the stopped service that has the same image,
// secrets and networks, answers under the same name, and has no volumes.
func (r *recovery) look(ctx context.Context) (_ string, err error) {
	if r.found.db.Service("es") == nil { // there must be a specification to copy: deploy it, on the old volumes, and stop it
		if _, err := r.deployDB(ctx); err != nil {
			return "", err
		}
		if err := r.stacks.Stop(ctx, r.cfg.db, stack.StopOptions{Progress: r.screen.Progress}); err != nil {
			return "", err
		}
	}
	throwAway, err := r.stacks.RunCopy(ctx, r.cfg.db, "es")
	if err != nil {
		return "", err
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, throwAway.Remove(clean))
	}()
	if err := r.waitForES(ctx); err != nil {
		return "", err
	}
	if _, err := r.repo.Ensure(ctx, r.readOnly(true)); err != nil {
		return "", err
	}
	if err := r.choose(ctx); err != nil {
		return "", err
	}
	if err := r.measure(ctx); err != nil {
		return "", err
	}
	s := r.chosen()
	return fmt.Sprintf("%s, taken %s, is complete", s.Name, s.Started.Format(time.RFC3339)), nil
}

// waitForES waits until Elasticsearch serves; booting takes 12 s on two cores.
func (r *recovery) waitForES(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	serves := cli.ElasticsearchServes(r.client)
	return poll.Until(ctx, poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		try, cancel := context.WithTimeout(ctx, aliveWithin)
		defer cancel()
		if err := serves(try); err != nil {
			return false, err.Error(), nil
		}
		return true, "", nil
	})
}
