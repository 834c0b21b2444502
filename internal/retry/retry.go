// Package retry repeats a call under a nuvlaops.RetryPolicy. It is the only retry layer of the SDK.
//
// It is a thin layer over backoff/v4 that adds what that library leaves out: it never starts on a context that has
// ended, it keeps the last cause beside the context's error, and only errors that the caller calls repeatable are
// repeated.
package retry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/nuvla/nuvlaops"
)

// Do calls op until it succeeds, fails with an error that repeatable refuses, or the policy or the context ends.
//
// When the context ends, the error matches both the context's error and, if there was an attempt, its last cause. When
// the policy ends, it is the last cause. log gets a debug record for each repetition; nil discards.
func Do(ctx context.Context, p nuvlaops.RetryPolicy, log *slog.Logger, repeatable func(error) bool, op func(context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var last error
	attempts := 0
	err := backoff.RetryNotify(func() error {
		attempts++
		err := op(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		if ctx.Err() != nil || !repeatable(err) {
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithContext(schedule(p), ctx), func(err error, wait time.Duration) {
		if log != nil {
			log.DebugContext(ctx, "retry", "attempt", attempts, "wait", wait, "error", err)
		}
	})
	return explain(ctx, err, last)
}

// explain joins the context's error with the last cause, each once.
func explain(ctx context.Context, err, last error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	if last != nil && !errors.Is(err, last) {
		err = fmt.Errorf("%w (last attempt: %w)", err, last)
	}
	return err
}

func schedule(p nuvlaops.RetryPolicy) backoff.BackOff {
	p = p.WithDefaults()
	e := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(p.Initial),
		backoff.WithMaxInterval(p.Max),
		backoff.WithMultiplier(p.Multiplier),
		backoff.WithRandomizationFactor(0.5),
		backoff.WithMaxElapsedTime(max(0, p.MaxElapsed)),
	)
	if p.MaxAttempts > 0 {
		return backoff.WithMaxRetries(e, uint64(p.MaxAttempts-1))
	}
	return e
}
