package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/retry"
)

var errCause = errors.New("no route")

func always(error) bool { return true }

func TestDoRepeatsUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		err := retry.Do(t.Context(), nuvlaops.RetryPolicy{}, nil, always, func(context.Context) error {
			if calls++; calls < 4 {
				return errCause
			}
			return nil
		})
		if err != nil || calls != 4 {
			t.Errorf("got %v after %d calls, want success after 4", err, calls)
		}
	})
}

func TestDoEndsWithTheLastCause(t *testing.T) {
	tests := []struct {
		name       string
		policy     nuvlaops.RetryPolicy
		repeatable bool
		calls      func(int) bool
	}{
		{"not repeatable", nuvlaops.RetryPolicy{}, false, func(n int) bool { return n == 1 }},
		{"one attempt", nuvlaops.RetryPolicy{MaxAttempts: 1}, true, func(n int) bool { return n == 1 }},
		{"three attempts", nuvlaops.RetryPolicy{MaxAttempts: 3}, true, func(n int) bool { return n == 3 }},
		{"a second at most", nuvlaops.RetryPolicy{MaxElapsed: time.Second}, true, func(n int) bool { return n > 1 && n < 10 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				err := retry.Do(t.Context(), tt.policy, nil, func(error) bool { return tt.repeatable }, func(context.Context) error {
					calls++
					return errCause
				})
				if err != errCause || !tt.calls(calls) {
					t.Errorf("got %v after %d calls", err, calls)
				}
			})
		})
	}
}

func TestDoNeverStartsOnADeadContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCause)
	err := retry.Do(ctx, nuvlaops.RetryPolicy{}, nil, always, func(context.Context) error {
		t.Error("the operation ran")
		return nil
	})
	if !errors.Is(err, errCause) {
		t.Errorf("got %v, want the context's cause", err)
	}
}

func TestDoKeepsTheContextsErrorAndTheLastCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		err := retry.Do(ctx, nuvlaops.RetryPolicy{}, nil, always, func(context.Context) error { return errCause })
		if want := "context deadline exceeded (last attempt: no route)"; !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errCause) || err.Error() != want {
			t.Errorf("got %v, want both the deadline and the last cause, each once", err)
		}
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("returned after %v, want at the deadline", waited)
		}
	})
}

func TestDoEndsAWaitWhenTheContextIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		err := retry.Do(ctx, nuvlaops.RetryPolicy{Initial: time.Hour, MaxElapsed: -1}, nil, always, func(context.Context) error {
			calls++
			cancel()
			return errCause
		})
		if !errors.Is(err, context.Canceled) || calls != 1 {
			t.Errorf("got %v after %d calls, want cancellation after one", err, calls)
		}
	})
}

func TestDoTakesASuccessForOneThoughTheContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := retry.Do(ctx, nuvlaops.RetryPolicy{}, nil, always, func(context.Context) error { cancel(); return nil })
	if err != nil {
		t.Errorf("got %v", err)
	}
}

func TestDoSaysOnceWhyTheContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	err := retry.Do(ctx, nuvlaops.RetryPolicy{}, nil, always, func(ctx context.Context) error {
		cancel(interrupted)
		return fmt.Errorf("read x: %w", context.Cause(ctx))
	})
	if !errors.Is(err, interrupted) || err.Error() != "read x: interrupted" {
		t.Errorf("got %v", err)
	}
}
