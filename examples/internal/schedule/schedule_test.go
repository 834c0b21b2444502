package schedule_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/schedule"
)

// Each slot of a schedule is compared with a walk through all minutes.
func TestSlotsAreTheMinutesThatTheFieldsName(t *testing.T) {
	in := func(values ...int) func(int) bool {
		return func(v int) bool {
			for _, x := range values {
				if x == v {
					return true
				}
			}
			return false
		}
	}
	for text, is := range map[string]func(time.Time) bool{
		"30 */1 * * *": func(t time.Time) bool { return t.Minute() == 30 },
		"*/20 8-10 * * 1-5": func(t time.Time) bool {
			return t.Minute()%20 == 0 && in(8, 9, 10)(t.Hour()) && in(1, 2, 3, 4, 5)(int(t.Weekday()))
		},
		"0 0 31 * *": func(t time.Time) bool { return t.Hour() == 0 && t.Minute() == 0 && t.Day() == 31 },
		"15 3 1,15 * SUN": func(t time.Time) bool {
			return t.Hour() == 3 && t.Minute() == 15 && (in(1, 15)(t.Day()) || t.Weekday() == 0)
		},
		"0 12 29 2 *":           func(t time.Time) bool { return t.Month() == 2 && t.Day() == 29 && t.Hour() == 12 && t.Minute() == 0 },
		"5,7 22-23 * jan-mar *": func(t time.Time) bool { return in(5, 7)(t.Minute()) && t.Hour() >= 22 && t.Month() <= 3 },
	} {
		s, err := schedule.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(2028, 2, 25, 0, 0, 0, 0, time.UTC) // a leap year, over a month's end
		next, last := s.Next(from.Add(-time.Second)), s.Before(from.Add(-time.Minute))
		for at := from; at.Before(from.AddDate(0, 0, 40)); at = at.Add(time.Minute) {
			if is(at) {
				if !next.Equal(at) {
					t.Fatalf("%q: slot %v, want %v", text, next, at)
				}
				next, last = s.Next(at), at
			}
			if at.Minute() == at.Day() && !s.Before(at).Equal(last) {
				t.Fatalf("%q: the slot before %v is %v, want %v", text, at, s.Before(at), last)
			}
		}
	}
}

func TestRunCallsAtEachSlotAndLeavesOutThoseThatComeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock begins at midnight UTC
		s, err := schedule.Parse("*/10 * * * *")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 59*time.Minute)
		defer cancel()
		var told, done []time.Duration
		s.Run(ctx, time.Now, 0, func(next time.Time) { told = append(told, next.Sub(start)) }, func(context.Context) {
			if done = append(done, time.Since(start)); len(done) == 2 {
				time.Sleep(15 * time.Minute)
			}
		})
		want := []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 50 * time.Minute}
		if d := cmp.Diff(want, done); d != "" {
			t.Errorf("runs (-want +got):\n%s", d)
		}
		if d := cmp.Diff(append(want, time.Hour), told); d != "" {
			t.Errorf("announced (-want +got):\n%s", d)
		}
	})
}

// A clock that was a month ahead when the wait began is put right: the slots of that month are served all the same.
func TestRunPlansAgainWhenTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := schedule.Parse("0 3 * * *")
		if err != nil {
			t.Fatal(err)
		}
		right := time.Now().Add(time.Hour)
		now := func() time.Time {
			if t := time.Now(); !t.Before(right) {
				return t.UTC()
			}
			return time.Now().AddDate(0, 1, 0)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Hour)
		defer cancel()
		var done []time.Time
		s.Run(ctx, now, 0, func(time.Time) {}, func(context.Context) { done = append(done, now()) })
		if len(done) != 1 || done[0].Hour() != 3 {
			t.Errorf("runs at %v, want one at the 3:00 that came", done)
		}
	})
}

func TestWhatIsNoScheduleIsRefused(t *testing.T) {
	for _, bad := range []string{"", "soon", "* * * *", "61 * * * *", "TZ=Europe/Zurich 0 3 * * *", "0 0 31 2 *", "@every 1h"} {
		if s, err := schedule.Parse(bad); err == nil {
			t.Errorf("%q is %v", bad, s)
		}
	}
}
