package restore

import (
	"context"
	"fmt"
	"slices"

	"github.com/nuvla/nuvlaops"
)

// Attach follows a restore of this snapshot that somebody has left, to its end, and reports like Apply. What an Apply of
// ours has begun, in any process, it takes up as Apply with the same plan would: it restores what is missing, puts
// replacements into their places, and puts ILM and limits back. A restore that another tool has begun under the indices'
// own names is followed and proven, and nothing else. Errors: ErrNotFound when there is neither, or when it was abandoned;
// ErrUnsupported when another tool restores under other names, since nothing says from what; ErrConflict when the snapshot
// of this name is another one by now; and those of Apply.
func (r *Repo) Attach(ctx context.Context, snapshot string, opts ApplyOptions) (*Report, error) {
	a := &application{Repo: r, opts: opts, started: r.now()}
	err := a.attach(ctx, snapshot)
	if a.report != nil {
		a.report.Took = r.now().Sub(a.started)
	}
	return a.report, nuvlaops.Wrap("restore.Attach", r.resource(snapshot), err)
}

func (a *application) attach(ctx context.Context, snapshot string) (err error) {
	if a.plan, err = a.planInJournal(ctx, snapshot); err != nil {
		return err
	}
	if a.plan != nil {
		return a.carryOut(ctx)
	}
	if a.plan, err = a.planOfRunning(ctx, snapshot); err != nil {
		return err
	}
	return a.followForeign(ctx)
}

// planInJournal makes the plan of the restore that the journal knows again; nil when it is another one.
func (r *Repo) planInJournal(ctx context.Context, snapshot string) (*Plan, error) {
	j, err := r.readJournal(ctx)
	if err != nil || j == nil || j.Request == nil || j.Repository != r.name || j.Snapshot != snapshot {
		return nil, err
	}
	if j.Abandoned {
		return nil, &nuvlaops.Error{Err: nuvlaops.ErrNotFound, Reason: "the last restore of this snapshot was abandoned", Hint: "apply its plan again, or plan again"}
	}
	p, _, err := r.describe(ctx, *j.Request)
	if err != nil {
		return nil, err
	}
	if p.Snapshot.UUID != j.SnapshotUUID {
		return nil, conflict("the snapshot of this name is another one than the one that was being restored", "plan again")
	}
	p.seenBy(j)
	p.ID = j.Plan // what it replaces may be replaced by now
	return p, nil
}

// planOfRunning describes what the server restores of this snapshot right now.
func (r *Repo) planOfRunning(ctx context.Context, snapshot string) (*Plan, error) {
	restores, err := r.conn.RunningRestores(ctx)
	if err != nil {
		return nil, fmt.Errorf("read running restores: %w", err)
	}
	var names []string
	for _, x := range restores {
		for _, s := range x.Shards {
			if x.Repository == r.name && x.Snapshot == snapshot && !slices.Contains(names, s.Index.Name) {
				names = append(names, s.Index.Name)
			}
		}
	}
	if len(names) == 0 {
		return nil, &nuvlaops.Error{Err: nuvlaops.ErrNotFound, Reason: "no restore of this snapshot runs, and the journal of the last one is of another",
			Hint: "plan and apply; a restore that has ended can be verified with its plan"}
	}
	p, _, err := r.describe(ctx, Request{Snapshot: snapshot, Indices: []string{"*"}, AllowPartial: true}.withDefaults())
	if err != nil {
		return nil, err
	}
	p.Indices = slices.DeleteFunc(p.Indices, func(x PlannedIndex) bool { return !slices.Contains(names, x.Target) })
	if len(p.Indices) != len(names) {
		return nil, &nuvlaops.Error{Err: nuvlaops.ErrUnsupported, Reason: "the running restore renames indices, and nothing says from what", Hint: "apply its own plan again to take it up"}
	}
	p.DataStreams, p.Shards, p.Bytes = nil, 0, 0
	for _, x := range p.Indices {
		p.Shards, p.Bytes = p.Shards+x.Shards, p.Bytes+x.Bytes
	}
	p.ID = p.identity()
	return p, nil
}

// followForeign waits for the end of a restore that is not ours. It sends nothing and changes nothing.
func (a *application) followForeign(ctx context.Context) error {
	a.journal, a.foreign = &journal{}, true
	a.report = a.plan.report(a.started)
	a.waiting = a.plan.targets()
	w, err := a.wait(ctx, a.waitForPrimaries, true)
	if err != nil {
		_, err = a.left(ctx, err)
		return err
	}
	return a.finish(ctx, w)
}
