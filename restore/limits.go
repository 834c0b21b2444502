package restore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/poll"
)

// lower reports whether the limit of recovery that holds now is below want. One that cannot be read is left alone.
func lower(s es.ClusterSettings, want int64) bool {
	text := s.Transient[limitSetting]
	if text == "" {
		text = s.Persistent[limitSetting]
	}
	if text == "" {
		return true // the default of 40 MB/s, more on some dedicated tiers
	}
	now, ok := parseBytes(text)
	return ok && now > 0 && now < want
}

// parseBytes reads Elasticsearch's "40mb", "1gb", "100b"; 0 and less mean no limit.
func parseBytes(text string) (int64, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	for i, unit := range []string{"kb", "mb", "gb", "tb", "pb", "k", "m", "g", "t", "p", "b", ""} {
		number, found := strings.CutSuffix(text, unit)
		if !found {
			continue
		}
		v, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, false
		}
		if i < 10 {
			v *= float64(int64(1) << (10 * (i%5 + 1)))
		}
		return int64(v), true
	}
	return 0, false
}

// stopILM returns when ILM does nothing any more.
func (a *application) stopILM(ctx context.Context, mode string) error {
	if mode == es.ILMStopped {
		return nil
	}
	if err := a.conn.StopILM(ctx); err != nil {
		return err
	}
	return poll.Until(ctx, poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		mode, err := a.conn.ILMMode(ctx)
		return mode == es.ILMStopped, "ILM is " + mode, err
	})
}

// putBack leaves the limit as it was, and ILM too when it may run again; the journal then says that nothing is left to
// put back, and whether all was proven. It works on a context of its own: the caller's may have ended.
func (a *application) putBack(ctx context.Context, ilm, ended bool) error {
	end := a.journal.Ended
	if ended {
		end = a.journal.Indices
	}
	if !a.journal.pending() && !a.withdrawn && end == a.journal.Ended {
		return nil
	}
	within := putBackWithin
	if ctx.Err() != nil { // nobody waits any more; the journal tells the next call what is left to do
		within = lookBackWithin
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	done := *a.journal
	limit := done.Limit
	done.Limit, done.Ended = nil, end
	var failed error // what ILM is left in does not keep the limit from being put back
	if done.ILM && ilm {
		failed = a.startILM(ctx)
		done.ILM = failed != nil
	}
	if err := a.writeJournal(ctx, &done, limit); err != nil {
		return fmt.Errorf("put back what was changed for the restore: %w", errors.Join(failed, err))
	}
	*a.journal = done
	if failed != nil {
		return fmt.Errorf("put back what was changed for the restore: %w", failed)
	}
	return nil
}

// startILM also ends well when ILM runs all the same: who may not start it could not stop it.
func (a *application) startILM(ctx context.Context) error {
	err := a.conn.StartILM(ctx)
	if err != nil {
		if mode, look := a.conn.ILMMode(ctx); look == nil && mode == es.ILMRunning {
			return nil
		}
	}
	return err
}

// known is the journal as it is now.
func (a *application) known() *journal {
	a.mu.Lock()
	defer a.mu.Unlock()
	j := *a.journal
	return &j
}

// learn keeps the UUIDs of what the restore made, and reports whether that is news.
func (a *application) learn(uuids []string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.journal.remember(uuids)
}

// remember writes the UUIDs of what the restore made, for a call after a crash.
func (a *application) remember(ctx context.Context, w world) error {
	if !a.learn(w.uuids()) {
		return nil
	}
	return a.writeJournal(ctx, a.known(), nil)
}
