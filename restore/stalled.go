package restore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/internal/es"
)

const (
	// stallAfter is for how long neither a shard nor a byte arrives until somebody wants to know why.
	stallAfter = 5 * time.Second
	// explained bounds how many failures are explained: usually all have the same reason.
	explained = 5
)

// stall is what is known of a restore that does not advance.
type stall struct {
	done   int
	bytes  int64
	since  time.Time // when it last advanced
	asked  time.Time
	shard  waiting // the first that is not done
	reason string
}

// note keeps how far the restore is.
func (s *stall) note(t tally, now time.Time) {
	if t.done != s.done || t.bytes != s.bytes || s.since.IsZero() {
		*s = stall{done: t.done, bytes: t.bytes, since: now}
	}
	s.shard = t.waiting
}

// due reports whether it is time to ask why the restore is no further.
func (s *stall) due(now time.Time) bool {
	return s.shard.index != "" && now.Sub(s.since) >= stallAfter && now.Sub(s.asked) >= stallAfter
}

// explainStall asks why the first unfinished shard does not advance.
func (a *application) explainStall(ctx context.Context) {
	a.stall.asked = a.now()
	x := a.stall.shard
	e, err := a.conn.ExplainPrimary(ctx, x.index, x.shard)
	if err != nil {
		return // it is a remark for people; the next look says whether the server answers
	}
	a.stall.reason = fmt.Sprintf("%s[%d] has not advanced for %s: %s", x.target, x.shard,
		a.now().Sub(a.stall.since).Round(time.Second), explanation(e))
}

// explanation is what a person needs of an explanation.
func explanation(e es.Explanation) string {
	var reasons []string
	for _, n := range e.Nodes {
		if len(n.Reasons) > 0 {
			reasons = append(reasons, "node "+n.Node+": "+strings.Join(n.Reasons, "; "))
		}
	}
	switch {
	case len(reasons) > 0:
		return strings.Join(reasons, ", ")
	case e.State == "initializing":
		return "it is being copied on node " + e.Node + ", and nothing arrives from the repository"
	case e.Text != "":
		return e.Text
	}
	return "it is " + e.State
}

// explainFailures replaces the bare status of shards that no node may hold by what the server says about it.
func (a *application) explainFailures(ctx context.Context, w world) {
	asked := 0
	for i := range w {
		for n, f := range w[i].failures {
			if !strings.HasPrefix(f.Reason, notAssigned) || asked == explained {
				continue
			}
			asked++
			if e, err := a.conn.ExplainPrimary(ctx, a.plan.working(w[i].planned), f.Shard); err == nil {
				w[i].failures[n].Reason += ", " + explanation(e)
			}
		}
	}
}
