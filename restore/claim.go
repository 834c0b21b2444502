package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nuvla/nuvlaops"
)

const (
	// claimSetting says which drill runs.
	claimSetting = "cluster.metadata.nuvlaops.drill.claim"
	// drillJournalSetting is the journal of the drill's restore: a real restore's stays what it is.
	drillJournalSetting = "cluster.metadata.nuvlaops.drill.restore"
	// claimEvery is how often a drill renews its claim: each time is a small change of the cluster's state.
	claimEvery = 10 * time.Second
	// claimSilence is after how many of them without news a drill counts as killed. A drill that only was silent, on a
	// machine that slept, loses its scratch indices and fails; no original is at risk.
	claimSilence = 3
)

// claim is a drill that runs, or was killed.
type claim struct {
	Drill string    `json:"drill"`
	By    string    `json:"by,omitempty"`
	Began time.Time `json:"began"`
	Beat  int       `json:"beat"` // grows while the drill lives
}

func (r *Repo) readClaim(ctx context.Context) (*claim, error) {
	s, err := r.conn.ClusterSettings(ctx)
	if err != nil {
		return nil, err
	}
	var c claim
	if text := s.Persistent[claimSetting]; text == "" || json.Unmarshal([]byte(text), &c) != nil {
		return nil, nil
	}
	return &c, nil
}

func (r *Repo) writeClaim(ctx context.Context, c claim) error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return r.conn.PutClusterSettings(ctx, map[string]any{claimSetting: string(raw)}, nil)
}

// claim returns when no other drill runs, with a context that ends when another one takes over, and what gives the claim up.
func (d *drill) claim(ctx context.Context, by string) (context.Context, func(), error) {
	if by == "" {
		host, _ := os.Hostname()
		by = fmt.Sprintf("process %d on %s", os.Getpid(), host)
	}
	if err := d.awaitSilence(ctx); err != nil {
		return nil, nil, err
	}
	mine := claim{Drill: d.report.ID, By: by, Began: d.report.Started}
	if err := d.writeClaim(ctx, mine); err != nil {
		return nil, nil, fmt.Errorf("claim the drill: %w", err)
	}
	// The settings know no condition of a write: of two drills that have seen none at the same time the later claim stays,
	// and is waited for. One whose request takes longer than that is told apart by the first renewal.
	pause(ctx, d.pace()/5)
	now, err := d.readClaim(ctx)
	if err == nil && (now == nil || now.Drill != mine.Drill) {
		err = running(now)
	}
	if err != nil {
		d.giveUp(ctx, mine)
		return nil, nil, err
	}
	claimed, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.renew(claimed, mine, cancel)
	}()
	return claimed, func() {
		cancel(nil)
		<-ended
		d.giveUp(ctx, mine)
	}, nil
}

// awaitSilence returns when no drill is claimed, or when the one that is shows no sign of life. A drill that renews its claim
// twice is alive, and busy; once may be the last request of a killed one, which a slow server has taken up late.
func (d *drill) awaitSilence(ctx context.Context) error {
	last, err := d.readClaim(ctx)
	if err != nil || last == nil {
		return err
	}
	d.log.InfoContext(ctx, "looking whether an earlier drill still runs", "drill", last.Drill, "by", last.By)
	renewed := 0
	for silent := 0; silent < claimSilence; silent++ {
		pause(ctx, d.pace())
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		now, err := d.readClaim(ctx)
		switch {
		case err != nil:
			return err
		case now == nil:
			return nil
		case *now != *last && renewed > 0:
			return running(now)
		case *now != *last:
			last, silent = now, -1
			renewed++
		}
	}
	return nil
}

func running(c *claim) error {
	e := &nuvlaops.Error{Reason: "another drill runs", Hint: "wait for its end", Err: nuvlaops.ErrBusy}
	if c != nil {
		e.Reason = fmt.Sprintf("another drill runs, by %s since %s", c.By, c.Began.Format(time.RFC3339))
	}
	return e
}

// renew shows that the drill lives, until its context ends. A server that does not answer for a while is not the end.
func (d *drill) renew(ctx context.Context, mine claim, cancel context.CancelCauseFunc) {
	for {
		pause(ctx, d.pace())
		if ctx.Err() != nil {
			return
		}
		now, err := d.readClaim(ctx)
		if err != nil {
			continue
		}
		if now == nil || now.Drill != mine.Drill {
			cancel(conflict("another drill has taken over and removes the scratch indices", "see that this one was not asleep"))
			return
		}
		mine.Beat++
		if err := d.writeClaim(ctx, mine); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "the claim of the drill was not renewed", "error", err)
		}
	}
}

// giveUp takes claim and journal away. What cannot be taken away counts as given up after a while.
func (d *drill) giveUp(ctx context.Context, mine claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackWithin)
	defer cancel()
	now, err := d.readClaim(ctx)
	if err == nil && now != nil && now.Drill == mine.Drill {
		err = d.conn.PutClusterSettings(ctx, map[string]any{claimSetting: nil, drillJournalSetting: nil}, nil)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		d.log.WarnContext(ctx, "the claim of the drill was not given up", "error", err)
	}
}

func (r *Repo) pace() time.Duration {
	if r.claimEvery > 0 {
		return r.claimEvery
	}
	return claimEvery
}
