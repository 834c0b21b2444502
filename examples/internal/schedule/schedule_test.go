package schedule_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/schedule"
)

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
		s.Run(ctx, 0, func(next time.Time) { told = append(told, next.Sub(start)) }, func(context.Context) {
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

func TestWhatIsNoScheduleIsRefused(t *testing.T) {
	for _, bad := range []string{"", "soon", "* * * *", "61 * * * *", "TZ=Europe/Zurich 0 3 * * *", "0 0 31 2 *"} {
		if s, err := schedule.Parse(bad); err == nil {
			t.Errorf("%q is %v", bad, s)
		}
	}
}
