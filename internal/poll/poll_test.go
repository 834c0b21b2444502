package poll_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nuvla/nuvlaops/internal/poll"
)

func TestUntilLooksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := poll.Until(t.Context(), poll.Interval{}, func(context.Context) (bool, string, error) { return true, "", nil })
		if err != nil || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want success at once", err, time.Since(start))
		}
	})
}

func TestUntilNoticesSoonAndAsksSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, looks := time.Now(), 0
		const end = 30 * time.Second
		err := poll.Until(t.Context(), poll.Interval{}, func(context.Context) (bool, string, error) {
			looks++
			return time.Since(start) >= end, "", nil
		})
		if late := time.Since(start) - end; err != nil || late > time.Second {
			t.Errorf("noticed %v late (%v), want at most the longest interval", late, err)
		}
		if looks > 45 {
			t.Errorf("%d looks in %v", looks, end)
		}
	})
}

func TestUntilSaysWhatItWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		remarks := []string{"1 of 3 primaries", "2 of 3 primaries", ""}
		err := poll.Until(ctx, poll.Interval{}, func(context.Context) (bool, string, error) {
			remark := remarks[0]
			remarks = remarks[min(1, len(remarks)-1):]
			return false, remark, nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasSuffix(err.Error(), ": 2 of 3 primaries") {
			t.Errorf("got %v, want the deadline and the last remark", err)
		}
	})
}

func TestUntilEndsWithTheLooksError(t *testing.T) {
	want := errors.New("gone")
	err := poll.Until(t.Context(), poll.Interval{}, func(context.Context) (bool, string, error) { return false, "", want })
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestUntilNeverLooksOnADeadContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := poll.Until(ctx, poll.Interval{}, func(context.Context) (bool, string, error) {
		t.Error("it looked")
		return true, "", nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
