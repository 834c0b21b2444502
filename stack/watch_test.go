package stack_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/stack"
)

// looks returns when a wait looked, in milliseconds since its begin, until it has looked n times.
func looks(t *testing.T, remote bool, n int, events ...time.Duration) (at []int64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, began := stack.NewWatch(remote), time.Now()
		for _, e := range events {
			go func() {
				time.Sleep(e)
				w.Event()
			}()
		}
		err := w.Until(t.Context(), func(context.Context) (bool, string, error) {
			at = append(at, time.Since(began).Milliseconds())
			return len(at) == n, "", nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	return at
}

func TestWaitLooksOftenAfterEventsAndRarelyWithoutThem(t *testing.T) {
	for _, c := range []struct {
		name   string
		remote bool
		events []time.Duration
		want   []int64
	}{
		{name: "without events, up to every second", want: []int64{0, 100, 250, 475, 812, 1318, 2078, 3078, 4078}},
		{name: "with tasks on nodes whose events do not come, every 150 ms", remote: true, want: []int64{0, 100, 250, 400, 550, 700}},
		{name: "at an event, and often after it", events: []time.Duration{2500 * time.Millisecond},
			want: []int64{0, 100, 250, 475, 812, 1318, 2078, 2500, 2600, 2750}},
		{name: "at a burst of events, once in 100 ms", events: []time.Duration{1, 2, 3, 110 * time.Millisecond, 120 * time.Millisecond},
			want: []int64{0, 100, 200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, looks(t, c.remote, len(c.want), c.events...)); diff != "" {
				t.Errorf("looks at (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWaitEndsAtOnceWithItsContextAndSaysWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, cause := time.Now(), errors.New("operator went home")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 1555*time.Millisecond, cause)
		defer cancel()
		err := stack.NewWatch(false).Until(ctx, func(context.Context) (bool, string, error) { return false, "container db.1", nil })
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "container db.1") {
			t.Errorf("error %v, want the context's cause and what was missing", err)
		}
		if took := time.Since(began); took != 1555*time.Millisecond {
			t.Errorf("ended after %s", took)
		}
	})
}
