package restore

import (
	"context"
	"fmt"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// seen is what a look has found.
type seen struct {
	failed  bool          // a shard has finally failed
	running bool          // the server has a restore of ours that has not ended
	took    time.Duration // of the reading
	err     error
}

// look reads the running restores and the active recoveries and reports progress. Two requests, whatever the number of
// shards.
func (a *application) look(ctx context.Context) seen {
	began := a.now()
	restores, err := a.conn.RunningRestores(ctx)
	if err != nil {
		return seen{err: fmt.Errorf("read running restores: %w", err)}
	}
	if a.stall.since.IsZero() { // the first look: nothing has arrived yet, and UUIDs are to be written
	} else if a.stall.due(a.now()) {
		a.explainStall(ctx) // in the place of the recoveries, which have not changed for a while
	} else if a.active, err = a.conn.Recoveries(ctx, nil); err != nil {
		return seen{err: fmt.Errorf("read recoveries: %w", err)}
	}
	took := a.now().Sub(began)
	t := a.tally(restores, a.active)
	a.stall.note(t, a.now())
	if err := a.rememberRunning(ctx, t.uuids); err != nil {
		return seen{err: err}
	}
	a.tell(t)
	return seen{failed: t.failed > 0, running: t.running, took: took}
}

// tally is how far a restore is.
type tally struct {
	done, failed int
	bytes        int64
	uuids        []string // of the plan's indices, "" where none is being restored
	broken       string
	waiting      waiting // the first shard that is not done
	running      bool
}

// waiting is a shard that is not done: in the plan's terms, and under the name that the server knows.
type waiting struct {
	target, index string
	shard         int
}

// tally counts. A shard that is not among the running ones is done, or was done by an earlier call; of those that run, the
// bytes are known, and of those that are done, the share of their index.
func (a *application) tally(restores []es.RunningRestore, active map[string][]es.Recovery) tally {
	t := tally{uuids: make([]string, len(a.plan.Indices))}
	states := map[string]map[int]string{}
	uuid := map[string]string{}
	for _, x := range restores {
		if x.Repository != a.name || x.Snapshot != a.plan.Snapshot.Name {
			continue
		}
		t.running = true
		for _, s := range x.Shards {
			if states[s.Index.Name] == nil {
				states[s.Index.Name] = map[int]string{}
			}
			states[s.Index.Name][s.Shard], uuid[s.Index.Name] = s.State, s.Index.UUID
		}
	}
	for i, x := range a.plan.Indices {
		name := a.plan.working(x)
		t.uuids[i] = uuid[name]
		share := x.Bytes / int64(max(1, x.Shards))
		copied := map[int]int64{}
		for _, r := range active[name] {
			copied[r.Shard] = r.Recovered
		}
		for shard := range x.Shards {
			switch states[name][shard] {
			case es.RestoreFailure:
				t.failed++
				t.broken = fmt.Sprintf("%s[%d]", x.Target, shard)
			case es.RestoreSuccess:
				t.done, t.bytes = t.done+1, t.bytes+share
			case "": // the restore has not begun, or has ended: what was complete at the start counts
				if a.there[x.Target] {
					t.done, t.bytes = t.done+1, t.bytes+share
				}
			default:
				if t.waiting.index == "" {
					t.waiting = waiting{x.Target, name, shard}
				}
				t.bytes += min(share, copied[shard])
			}
		}
	}
	return t
}

// rememberRunning writes the UUIDs as soon as they are known: from then on a call after a crash knows what is ours.
func (a *application) rememberRunning(ctx context.Context, uuids []string) error {
	before := a.known().Indices
	if a.foreign || !a.learn(uuids) {
		return nil
	}
	err := a.writeJournal(ctx, a.known(), nil)
	if err != nil { // written again at the next look
		a.mu.Lock()
		a.journal.Indices = before
		a.mu.Unlock()
	}
	return err
}

func (a *application) tell(t tally) {
	if a.opts.Progress == nil {
		return
	}
	a.done, a.bytes = max(a.done, t.done), max(a.bytes, t.bytes) // the entry of a restore disappears at its end
	p := nuvlaops.Progress{Op: "restore.Apply", Phase: "restoring", Resource: a.resource(a.plan.Snapshot.Name), Done: int64(a.done),
		Total: int64(a.plan.Shards), Unit: "shards", Bytes: a.bytes, TotalBytes: a.plan.Bytes, Elapsed: a.now().Sub(a.started)}
	p.Message = a.stall.reason
	if t.failed > 0 {
		p.Message = plural(t.failed, "shard") + " failed, " + t.broken
	}
	a.opts.Progress(p.WithRemaining())
}

// tellSwap says which index is being replaced, or what keeps it from being.
func (a *application) tellSwap(message string) {
	if a.opts.Progress == nil {
		return
	}
	a.done, a.bytes = max(a.done, a.plan.Shards), max(a.bytes, a.plan.Bytes)
	a.opts.Progress(nuvlaops.Progress{Op: "restore.Apply", Phase: "replacing", Resource: a.resource(a.plan.Snapshot.Name), Done: int64(a.done),
		Total: int64(a.plan.Shards), Unit: "shards", Bytes: a.bytes, TotalBytes: a.plan.Bytes, Elapsed: a.now().Sub(a.started), Message: message})
}
