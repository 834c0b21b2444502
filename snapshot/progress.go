package snapshot

import (
	"context"
	"fmt"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
)

// Intervals of the watch beside the blocking call. The call itself notices the end at once; the watch is for the
// progress, and for a connection that died unnoticed.
const (
	watchFirst = 500 * time.Millisecond
	watchMax   = 2 * time.Second
	watchQuiet = 10 * time.Second // when nobody listens to the progress
)

// reporter tells how far a snapshot is. A nil Progress makes it silent.
type reporter struct {
	to       func(nuvlaops.Progress)
	resource string
	now      func() time.Time
	start    time.Time
	stall    time.Duration
	moved    time.Time // when anything moved last
	last     nuvlaops.Progress
}

func newReporter(req CreateRequest, resource string, now func() time.Time) *reporter {
	at := now()
	return &reporter{to: req.Progress, resource: resource, now: now, start: at, moved: at, stall: req.StallAfter}
}

func (p *reporter) send(r nuvlaops.Progress) {
	if p.to == nil {
		return
	}
	r.Op, r.Resource, r.Elapsed = "snapshot.Create", p.resource, p.now().Sub(p.start)
	p.to(r.WithRemaining())
}

func (p *reporter) say(phase, message string) {
	p.send(nuvlaops.Progress{Phase: phase, Message: message})
}

// advance reports shards and bytes, and says when nothing has moved for too long.
func (p *reporter) advance(r nuvlaops.Progress) {
	now := p.now()
	if r.Done != p.last.Done || r.Bytes != p.last.Bytes || r.Phase != p.last.Phase {
		p.moved = now
	}
	p.last = r
	if still := now.Sub(p.moved); still >= p.stall {
		r.Message = fmt.Sprintf("nothing has moved for %s: %s", still.Round(time.Second), r.Message)
	}
	p.send(r)
}

func (p *reporter) done(s Snapshot) {
	p.send(nuvlaops.Progress{Phase: "done", Done: int64(s.Shards.Successful), Total: int64(s.Shards.Total), Unit: "shards",
		Bytes: p.last.TotalBytes, TotalBytes: p.last.TotalBytes})
}

// watch looks at the snapshot beside the blocking call, and returns true when the server shows its end, false when the
// context ends. What cannot be read is read the next time: only the blocking call decides.
func (w *run) watch(ctx context.Context) bool {
	wait, most := watchFirst, watchMax
	if w.req.Progress == nil {
		wait, most = watchQuiet, watchQuiet
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
		info, err := w.conn.Snapshot(ctx, w.Repo.name, w.name)
		if err == nil && info.RunID() == w.req.RunID {
			if !info.Running() {
				return true
			}
			w.report(ctx)
		}
		wait = min(wait+wait/2, most)
		timer.Reset(wait)
	}
}

// report reads how far the running snapshot is. _status is for running ones only: of finished ones it costs a read for
// each shard.
func (w *run) report(ctx context.Context) {
	if w.req.Progress == nil {
		return
	}
	var answer struct {
		Snapshots []struct {
			Shards struct {
				Initializing, Started, Finalizing, Done, Failed, Total int64
			} `json:"shards_stats"`
			Stats struct {
				Incremental, Processed struct {
					Bytes int64 `json:"size_in_bytes"`
				}
			} `json:"stats"`
		} `json:"snapshots"`
	}
	err := w.conn.Read(ctx, func() esapi.Request {
		return esapi.SnapshotStatusRequest{Repository: w.Repo.name, Snapshot: []string{w.name},
			FilterPath: []string{"snapshots.shards_stats", "snapshots.stats"}}
	}, &answer)
	if err != nil || len(answer.Snapshots) != 1 {
		return
	}
	shards, stats := answer.Snapshots[0].Shards, answer.Snapshots[0].Stats
	r := nuvlaops.Progress{Phase: "copying", Done: shards.Done + shards.Failed, Total: shards.Total, Unit: "shards",
		Bytes: stats.Processed.Bytes, TotalBytes: stats.Incremental.Bytes}
	if r.Total > 0 && r.Done == r.Total {
		r.Phase = "finalizing"
	}
	r.Message = fmt.Sprintf("%d shards waiting, %d copying, %d failed", shards.Initializing, shards.Started, shards.Failed)
	w.reporter.advance(r)
}
