package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// Abandon ends what an Apply of this snapshot has begun and not finished, whoever began it: what is half restored is
// deleted, and ILM and limits are put back. Indices that are proven stay. An index that was to be replaced is as it was.
// The report says what is left, without what only the repository knows (SnapshotTime, Bytes). Errors: ErrNotFound when the
// journal knows no such restore, ErrRefused when replacements are being put into their places (Attach finishes that), ErrBusy
// while the server starts what was restored, after a restart, ErrConflict when an index has lost a primary since its restore was
// proven, or the server has given up to start it.
func (r *Repo) Abandon(ctx context.Context, snapshot string) (*Report, error) {
	a := &application{Repo: r, started: r.now()}
	err := a.abandon(ctx, snapshot)
	if a.report != nil {
		a.report.Took = r.now().Sub(a.started)
	}
	return a.report, nuvlaops.Wrap("restore.Abandon", r.resource(snapshot), err)
}

func (a *application) abandon(ctx context.Context, snapshot string) (err error) {
	j, err := a.readJournal(ctx)
	if err != nil {
		return err
	}
	if j == nil || j.Request == nil || j.Repository != a.name || j.Snapshot != snapshot {
		return &nuvlaops.Error{Err: nuvlaops.ErrNotFound, Reason: "the journal of the last restore is of another"}
	}
	a.journal = j
	a.takeUpForgotten(ctx, snapshot)
	known := *j
	if a.plan, known.Indices, err = a.remains(ctx, j); err != nil {
		return err
	}
	w, err := a.inspect(ctx, a.plan, &known)
	if err != nil {
		return err
	}
	if j.Swapping && w.leftovers() { // what it replaced may be gone already
		return &nuvlaops.Error{Err: nuvlaops.ErrRefused, Reason: "replacements are proven and are being put into their places", Hint: "attach to finish that; if it cannot be finished, look at the indices " + besidePrefix + "*, and delete them first"}
	}
	if err := errors.Join(w.started(), w.lostSince()); err != nil {
		return err
	}
	for i, x := range w {
		if x.standing == underway || x.standing == beside || (x.standing == foreign && x.leftover && !x.cloned) {
			w[i].standing = broken
		}
	}
	if err := a.deleteBroken(ctx, w.wholeStreams()); err != nil {
		return err
	}
	j.Swapping, j.Abandoned, j.Indices = false, true, strings.ReplaceAll(j.Indices, expected, ".")
	if err := a.writeJournal(ctx, j, nil); err != nil {
		return err
	}
	if err := a.putBack(ctx, true, false); err != nil {
		return err
	}
	if w, err = a.inspect(ctx, a.plan, &known); err != nil {
		return err
	}
	a.report = a.plan.report(a.started)
	a.report.fill(w)
	return nil
}

// started refuses while the server starts an index from its own disk: it may be whole, and may have been written to since.
func (w world) started() error {
	for _, x := range w {
		if x.starting && !x.leftover {
			return &nuvlaops.Error{Resource: x.planned.Target, Reason: "the server is starting the index from its own disk, as after a restart",
				Hint: "abandon again when the index is started, or found to be lost", Err: nuvlaops.ErrBusy}
		}
	}
	return nil
}

// takeUpForgotten finds what was restored and not seen, and what a restart of the server has made it forget. That takes the
// snapshot: where it cannot be read, an index that was forgotten stays, since nothing says whose it is.
func (a *application) takeUpForgotten(ctx context.Context, snapshot string) {
	if !a.journal.expectsAny() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, putBackWithin) // a store that never answers is a reason to abandon
	defer cancel()
	p, err := a.planInJournal(ctx, snapshot)
	if err == nil && p != nil {
		a.plan = p
		var w world
		if w, err = a.inspect(ctx, p, a.journal); err == nil {
			err = a.remember(ctx, w)
		}
		if err == nil {
			_, err = a.adopt(ctx, w)
		}
	}
	if err != nil {
		a.log.WarnContext(ctx, "an index that a restart of the server has made it forget may stay", "error", err)
	}
}

// remains is a plan of what a restore has left in the cluster, with the journal's UUIDs in its order. It asks the cluster
// alone: a repository that cannot be read any more is a reason to abandon a restore.
func (r *Repo) remains(ctx context.Context, j *journal) (p *Plan, uuids string, err error) {
	states, restores, err := r.conn.IndexStates(ctx, []string{"*"})
	if err != nil {
		return nil, "", fmt.Errorf("read indices: %w", err)
	}
	cluster, err := r.conn.Cluster(ctx)
	if err != nil {
		return nil, "", err
	}
	p = &Plan{Cluster: Cluster{Name: cluster.Name, UUID: cluster.UUID}, ID: j.Plan, Repository: r.name, Snapshot: Snapshot{Name: j.Snapshot, UUID: j.SnapshotUUID}, Request: *j.Request}
	var made journal
	var known []string
	for _, name := range slices.Sorted(maps.Keys(states)) {
		if uuid := states[name].UUID; r.left(name, states[name], restores, j) {
			p.Indices, known = append(p.Indices, p.remnant(name, states[name].Shards)), append(known, among(j.Indices, uuid))
		}
	}
	made.remember(known)
	return p, made.Indices, nil
}

// left reports whether the restore of the journal has made an index: the journal knows its UUID, the plan has given it its
// name, or the request may have, and the server is restoring it, or could not and nobody has seen it.
func (r *Repo) left(name string, s es.IndexState, restores []es.RunningRestore, j *journal) bool {
	if among(j.Indices, s.UUID) != "" || strings.HasPrefix(name, besidePrefix+j.Plan+"-") ||
		slices.ContainsFunc(s.Aliases, func(alias string) bool { return strings.HasPrefix(alias, markPrefix+j.Plan+"-") }) {
		return true
	}
	if !j.Request.makes(name) {
		return false
	}
	for shard := range runningShards(restores, r.name, j.Snapshot) {
		if shard.uuid == s.UUID {
			return true
		}
	}
	return j.expectsAny() && slices.ContainsFunc(primaries(s), func(p es.Primary) bool { return p.Source.From(r.name, j.Snapshot) })
}

// remnant describes an index by its name in the cluster.
func (p *Plan) remnant(name string, shards int) PlannedIndex {
	x := PlannedIndex{Name: name, Target: strings.TrimPrefix(name, besidePrefix+p.ID+"-"), Shards: shards}
	if m := backingForm.FindStringSubmatch(name); m != nil && !p.Request.PlainStreams {
		x.Stream = strings.TrimPrefix(m[1], p.Request.RenamePrefix)
	}
	return x
}
