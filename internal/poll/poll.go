// Package poll waits for a state of the world by looking again and again.
//
// It looks at once, then after a short interval that grows to a long one: what is done soon is noticed soon, and a long
// wait costs few requests. Waiting is for states; a call that failed is repeated by package retry.
package poll

import (
	"context"
	"fmt"
	"time"
)

// Interval says how often to look. Zero fields take the defaults.
type Interval struct {
	// First is the wait after the first look. Default 50 ms.
	First time.Duration
	// Max is the longest wait. Default 1 s.
	Max time.Duration
}

func (i Interval) withDefaults() Interval {
	if i.First == 0 {
		i.First = 50 * time.Millisecond
	}
	if i.Max == 0 {
		i.Max = max(time.Second, i.First)
	}
	return i
}

// Until calls look until it returns true or an error, or the context ends. Waits grow by half from First to Max.
//
// A look may return a remark on what is still missing: when the context ends, the error matches the context's cause
// and ends with the last remark, so that a time-out says what it waited for.
func Until(ctx context.Context, every Interval, look func(context.Context) (done bool, missing string, err error)) error {
	every = every.withDefaults()
	wait, last := every.First, ""
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ended(ctx, last)
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return ended(ctx, last)
		}
		done, missing, err := look(ctx)
		if done || err != nil {
			return err
		}
		if missing != "" {
			last = missing
		}
		timer.Reset(wait)
		wait = min(wait+wait/2, every.Max)
	}
}

func ended(ctx context.Context, last string) error {
	if last == "" {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w while waiting: %s", context.Cause(ctx), last)
}
