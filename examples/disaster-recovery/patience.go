package main

import (
	"context"
	"errors"
	"time"

	"github.com/nuvla/nuvlaops"
)

const (
	// storeWithin is how long the store of the snapshots may be away in the middle of a recovery: as long as one of its
	// servers takes to be started again, and longer, since Elasticsearch asks for the address of a host once a minute, and
	// for one that it did not find after 10 s.
	storeWithin = 2 * time.Minute
	// storeEvery is how often it is tried meanwhile.
	storeEvery = 2 * time.Second
)

// patiently repeats what uses the repository while that cannot be reached: this recovery has read it before, so its settings
// are right. do only reads, or may be done again.
func (r *recovery) patiently(ctx context.Context, step string, do func(context.Context) error) error {
	deadline := r.now().Add(storeWithin)
	for {
		err := do(ctx)
		if !errors.Is(err, nuvlaops.ErrRepository) || r.chosen() == nil || r.now().After(deadline) || ctx.Err() != nil {
			return err
		}
		r.screen.Printf("%-11s waiting for the repository, which could be read before: %v", step, err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(storeEvery):
		}
	}
}
