package snapshot

import (
	"context"
	"fmt"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/poll"
)

// others are the snapshots of somebody else that run in the repository.
type others struct {
	running  func(context.Context) (*Snapshot, error) // one of them, nil when there is none
	req      CreateRequest
	limit    time.Time // of BusyWait
	reporter *reporter
	now      func() time.Time
}

// wait does what is chosen when there are some, and reports whether it waited.
func (o others) wait(ctx context.Context) (waited bool, err error) {
	if o.req.WhenBusy == BusyBeside {
		return false, nil
	}
	err = poll.Until(ctx, poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		running, err := o.running(ctx)
		if err != nil || running == nil {
			return err == nil, "", err
		}
		blocker := blockerName(running, o.now())
		if o.req.WhenBusy == BusyRefuse || o.now().After(o.limit) {
			return false, "", &nuvlaops.Error{Reason: blocker + " is running", Err: nuvlaops.ErrBusy,
				Hint: "come back when it has ended, or allow yours beside it"}
		}
		waited = true
		o.reporter.say("waiting for another snapshot", blocker)
		return false, blocker, nil
	})
	return waited, err
}

func blockerName(s *Snapshot, now time.Time) string {
	by := "another tool"
	if s.RunID != "" {
		by = "run " + s.RunID
	}
	return fmt.Sprintf("snapshot %s of %s, begun %s ago,", s.Name, by, now.Sub(s.Start).Round(time.Second))
}
