// Package schedule runs something by a cron expression in UTC.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule is a cron expression. A zone of its own would have hours twice and hours never, so its slots are in UTC.
type Schedule struct{ cron cron.Schedule }

// Parse reads the five fields of cron, or @daily and the like.
func Parse(text string) (*Schedule, error) {
	const want = "want five fields as in cron, such as \"30 * * * *\", in UTC"
	if strings.Contains(text, "=") {
		return nil, errors.New("a time zone is not taken: " + want)
	}
	if strings.HasPrefix(text, "@every") { // counts from whenever it is asked, so that each moment would be a slot
		return nil, errors.New("@every is not taken: " + want)
	}
	s, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, want)
	}
	if s.Next(time.Now().UTC()).IsZero() {
		return nil, errors.New("it never comes")
	}
	return &Schedule{s}, nil
}

// Next is the first slot after t.
func (s *Schedule) Next(t time.Time) time.Time { return s.cron.Next(t.UTC()) }

// Before is the last slot at or before t, or the zero time when there was none in ten years.
func (s *Schedule) Before(t time.Time) time.Time {
	for back := time.Hour; ; back *= 2 {
		slot := s.Next(t.Add(-back))
		if slot.IsZero() || slot.After(t) {
			if back > 10*366*24*time.Hour {
				return time.Time{}
			}
			continue
		}
		for next := s.Next(slot); !next.IsZero() && !next.After(t); next = s.Next(slot) {
			slot = next
		}
		return slot
	}
}

// Run calls do at each slot of the clock, up to jitter later by chance, until the context ends. A slot that comes while do runs
// is left out. waits is told when do is called next.
func (s *Schedule) Run(ctx context.Context, now func() time.Time, jitter time.Duration, waits func(time.Time), do func(context.Context)) {
	for ctx.Err() == nil {
		slot := s.Next(now())
		begin := slot
		if jitter > 0 {
			begin = begin.Add(rand.N(jitter))
		}
		waits(begin)
		if s.Wait(ctx, now, begin, slot) {
			do(ctx)
		}
	}
}

// Wait waits until the wall clock shows begin, at a slot or later, and reports that it does. It looks at the clock again and
// again, since that may jump, and a machine may sleep. A clock that jumps back before the slot's predecessor ends the wait:
// plan again.
func (s *Schedule) Wait(ctx context.Context, now func() time.Time, begin, slot time.Time) bool {
	for {
		left := begin.Sub(now().Round(0)) // the wall clock, not the monotonic one
		if left <= 0 {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(min(left, 10*time.Second)):
		}
		if s.Next(now()).Before(slot) {
			return false
		}
	}
}
