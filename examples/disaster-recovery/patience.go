package main

import (
	"context"
	"errors"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

const (
	// storeWithin is how long the store of the snapshots may be away in the middle of a recovery: as long as one of its
	// servers takes to be started again, and longer, since Elasticsearch asks for the address of a host once a minute, and
	// for one that it did not find after 10 s.
	storeWithin = 2 * time.Minute
	// storeEvery is how often it is tried meanwhile.
	storeEvery = 2 * time.Second
)

// patiently repeats what uses the repository or a database while that cannot be reached, for storeWithin from the first failure
// on: this recovery has read the repository before, so its settings are right, and has started the databases. do only reads, or
// may be done again.
func (r *recovery) patiently(ctx context.Context, step string, do func(context.Context) error) error {
	var deadline time.Time
	for {
		err := do(ctx)
		away := r.away(err)
		if deadline.IsZero() {
			deadline = r.now().Add(storeWithin)
		}
		if away == "" || r.now().After(deadline) || ctx.Err() != nil {
			return err
		}
		r.screen.Printf("%-11s waiting for %s: %v", step, away, err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(storeEvery):
		}
	}
}

// away names what may come back by itself, "" when it is nothing of the kind.
func (r *recovery) away(err error) string {
	switch {
	case errors.Is(err, nuvlaops.ErrRepository) && r.chosen() != nil:
		return "the repository, which could be read before"
	case es.Transient(err):
		return "a database that ran before"
	}
	return ""
}
