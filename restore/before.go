package restore

import (
	"cmp"
	"context"
	"sync"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// before is what Apply has read before it changes anything.
type before struct {
	settings es.ClusterSettings
	ilm      string
	indices  observation
	streams  []string // that are there; nil when the plan has none
}

// readBefore reads it side by side, since each request costs as much as all, and refuses when the cluster or the snapshot is
// not the plan's.
func (a *application) readBefore(ctx context.Context) (*before, error) {
	var b before
	err := sideBySide(
		func() error { return a.sameCluster(ctx) },
		func() error { return a.sameSnapshot(ctx) },
		func() (err error) { b.settings, err = a.conn.ClusterSettings(ctx); return err },
		func() (err error) { b.ilm, err = a.ilmMode(ctx); return err },
		func() (err error) { b.indices, err = a.observe(ctx, a.plan); return err },
		func() (err error) { b.streams, err = a.streams(ctx); return err },
	)
	return &b, err
}

// sideBySide makes all the calls at once, and returns the error of the first of them that has one.
func sideBySide(calls ...func() error) error {
	errs := make([]error, len(calls))
	var running sync.WaitGroup
	for i, call := range calls {
		running.Go(func() { errs[i] = call() })
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// streams are the data streams that are there, where the plan makes some.
func (a *application) streams(ctx context.Context) (streams []string, err error) {
	if len(a.plan.DataStreams) > 0 {
		_, streams, err = a.conn.AliasesAndStreams(ctx)
	}
	return streams, err
}

func (a *application) sameCluster(ctx context.Context) error {
	uuid, err := a.conn.ClusterUUID(ctx)
	if err != nil {
		return err
	}
	if uuid != a.plan.Cluster.UUID {
		return conflict("this is another cluster than the plan's, "+a.plan.Cluster.Name, "plan again")
	}
	return nil
}

func (a *application) sameSnapshot(ctx context.Context) error {
	info, err := a.conn.Snapshot(ctx, a.name, a.plan.Snapshot.Name)
	switch {
	case err != nil:
		return damaged(err)
	case info.UUID != a.plan.Snapshot.UUID:
		return conflict("the snapshot of this name is another one than the plan's", "plan again")
	case !info.Complete() && !a.plan.Request.AllowPartial:
		return incomplete(info)
	}
	return nil
}

func conflict(reason, hint string) error { return conflictOf("", reason, hint) }

// conflictOf is a conflict about one index or data stream.
func conflictOf(resource, reason, hint string) error {
	return &nuvlaops.Error{Resource: resource, Reason: reason, Hint: hint, Err: nuvlaops.ErrConflict}
}

// takeUp takes over the journal that earlier calls have left, and says how the plan's indices stand.
func (a *application) takeUp(ctx context.Context, seen *before) (world, error) {
	old := a.journalIn(seen.settings)
	a.journal = &journal{Plan: a.plan.ID, Repository: a.name, Snapshot: a.plan.Snapshot.Name, SnapshotUUID: a.plan.Snapshot.UUID,
		Request: &a.plan.Request, Started: a.started.UTC(), Replaced: a.plan.replaced()}
	if old != nil && old.Swapping && old.Plan != a.plan.ID {
		return nil, conflict("a restore of "+old.Repository+"/"+old.Snapshot+" is putting replacements into their places", "attach to it first")
	}
	if old != nil && old.Plan != a.plan.ID && !a.scratch && old.running(seen.indices.restores) {
		return nil, &nuvlaops.Error{Reason: "the server is restoring " + old.Repository + "/" + old.Snapshot + " for another plan",
			Hint: "wait for its end, attach to it, or abandon it; then apply this plan again", Err: nuvlaops.ErrBusy}
	}
	if old != nil {
		a.journal.Limit, a.journal.ILM = old.Limit, old.ILM // what a killed call has left to put back is now ours to put back
		if old.Plan == a.plan.ID {
			a.journal.Indices, a.journal.Started, a.journal.Global, a.journal.Swapping = old.Indices, old.Started, old.Global, old.Swapping
			a.journal.Ended = old.Ended
			a.journal.Replaced = cmp.Or(old.Replaced, a.journal.Replaced) // Attach has made the plan again
		}
	}
	w := a.judgeAll(a.plan, seen.indices, a.journal)
	if adopted, err := a.adopt(ctx, w); err != nil || !adopted {
		return w, err
	}
	return a.judgeAll(a.plan, seen.indices, a.journal), nil
}
