package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

const (
	// defaultLimit is well above what a disk or a network of today gives one node; the default of Elasticsearch is 40 MB/s.
	defaultLimit = 1 << 30
	// putBackWithin bounds what is done after the caller's context has ended, and what Abandon asks the repository.
	putBackWithin = 30 * time.Second
	// lookBackWithin bounds a last look for a caller who does not wait any more.
	lookBackWithin = 3 * time.Second
	// rounds bounds how often one call restores what a restart of the server has broken.
	rounds = 3
)

// application is one call of Apply.
type application struct {
	*Repo
	plan    *Plan
	opts    ApplyOptions
	verify  VerifyOptions // beside the primaries, for a drill
	mu      sync.Mutex    // guards journal.Indices, which looks fill in while the restore runs
	journal *journal
	report  *Report
	started time.Time
	there   map[string]bool // indices that were complete when the round began
	foreign bool            // the restore is not ours: nothing is written
	stall   stall
	active  map[string][]es.Recovery // as last seen
	waiting []string                 // names under which indices are restored in this round
	done    int                      // shards, and bytes, as told in the last progress
	bytes   int64

	were      []string // UUIDs of the plan's indices before some were expected
	asked     bool     // the server may have taken the restore of this round
	withdrawn bool     // what was expected is not any more, and that is not yet written
	proven    bool     // all of it, and the journal has its UUIDs: what follows is counted and reported only
}

// Apply restores what the plan says.
func (r *Repo) Apply(ctx context.Context, p *Plan, opts ApplyOptions) (*Report, error) {
	if err := p.validate(r.name); err != nil {
		return nil, nuvlaops.Wrap("restore.Apply", r.name, err)
	}
	a := &application{Repo: r, plan: p, opts: opts, started: r.now()}
	err := a.run(ctx)
	if a.report != nil {
		a.report.Took = r.now().Sub(a.started)
	}
	return a.report, nuvlaops.Wrap("restore.Apply", r.resource(p.Snapshot.Name), err)
}

func (a *application) run(ctx context.Context) error {
	if err := a.plan.refused(); err != nil {
		return err
	}
	return a.carryOut(ctx)
}

func (a *application) carryOut(ctx context.Context) error {
	seen, err := a.readBefore(ctx)
	if err != nil {
		return err
	}
	w, err := a.takeUp(ctx, seen)
	if err != nil {
		return err
	}
	if err := a.unclaimed(w, seen.streams); err != nil {
		return err
	}
	a.report = a.plan.report(a.started)
	a.report.AlreadyThere = w.count(complete)
	w = w.withRemoved(a.journal.Ended)
	if w.count(complete)+w.count(removed) == len(w) && !w.leftovers() && !a.journal.Swapping && (a.journal.Global || !a.plan.Request.GlobalState) {
		err := errors.Join(a.remember(ctx, w), a.moveSeriesOn(ctx, w), a.conclude(ctx, a.plan, w, a.report, verification{VerifyOptions: a.verify}))
		return errors.Join(err, a.putBack(ctx, true, true))
	}
	err = a.prepare(ctx, seen, w)
	detached := false
	if err == nil {
		detached, err = a.restoreAll(ctx, w)
	}
	return a.end(ctx, detached, err)
}

// end puts back what was changed, and keeps the first error the first. While a restore that was left goes on, ILM stays
// stopped: it would act on indices that are half there.
func (a *application) end(ctx context.Context, detached bool, err error) error {
	if a.opts.Detach && detached && err == nil {
		return nil // Attach puts back
	}
	if err != nil {
		a.withdraw()
	}
	back := a.putBack(ctx, !detached, a.proven)
	switch {
	case back == nil:
		return err
	case err == nil:
		return back
	}
	return fmt.Errorf("%w (and %w)", err, back)
}

const strangerHint = "look at what has made it; delete it when nothing in it is needed, and apply the same plan again, or plan again"

// unclaimed refuses when an index or a data stream is there that this restore has not made: the server would put the
// snapshot's data stream over the other one, whose indices then belong to none.
func (a *application) unclaimed(w world, streams []string) error {
	if err := errors.Join(a.untouched(w), w.lostSince()); err != nil {
		return err
	}
	if i := slices.IndexFunc(w, func(x inspected) bool { return x.standing == foreign }); i >= 0 {
		name := w[i].planned.Target
		if !w[i].cloned { // what is to be replaced is no stranger
			name = a.plan.working(w[i].planned)
		}
		if known := a.journal.uuid(i); known != "" && strings.HasPrefix(w[i].uuid, known) && !w[i].open {
			return conflictOf(name, "it was restored, and is closed by now", "open it, and apply the same plan again")
		}
		return conflictOf(name, plural(w.count(foreign), "index")+" of the plan: there is one of this name by now, and nothing says that this restore made it", strangerHint)
	}
	for _, s := range a.plan.DataStreams {
		ours := func(x inspected) bool { return x.planned.Stream == s && x.standing != absent }
		if target := a.plan.Request.RenamePrefix + s; slices.Contains(streams, target) && !slices.ContainsFunc(w, ours) {
			return conflictOf(target, "there is a data stream of this name by now, and nothing says that this restore made it", strangerHint)
		}
	}
	return nil
}

// lostSince refuses to take for half restored what was whole once.
func (w world) lostSince() error {
	for _, x := range w {
		if !x.since {
			continue
		}
		what := "the index"
		if x.planned.Stream != "" { // which neither goes on without it nor takes it back
			what = "the data stream that it belongs to"
		}
		if x.stuck {
			return conflictOf(x.planned.Target, "the server cannot start a primary of it from its own disk; it may have been written to since it was restored",
				"see why (GET _cluster/allocation/explain), mend that and POST _cluster/reroute?retry_failed; if that cannot be, and nothing written since is needed, delete "+what+" and apply the same plan again")
		}
		return conflictOf(x.planned.Target, "it was restored and proven, and has lost a primary since then; it may have been written to",
			"bring back the node or the disk of the primary; if that cannot be, and nothing written since is needed, delete "+what+" and apply the same plan again")
	}
	return nil
}

// prepare writes the journal, raises the limit and stops ILM.
func (a *application) prepare(ctx context.Context, seen *before, w world) error {
	a.expect(w.wholeStreams())
	var raised *string
	if want := a.limit(); want > 0 && lower(seen.settings, want) {
		text := fmt.Sprintf("%db", want)
		raised = &text
		if a.journal.Limit == nil {
			was := seen.settings.Transient[limitSetting]
			a.journal.Limit = &was
		}
	}
	a.journal.ILM = a.journal.ILM || seen.ilm == es.ILMRunning
	if err := a.writeJournal(ctx, a.journal, raised); err != nil {
		return err
	}
	if err := a.stopILM(ctx, seen.ilm); err != nil {
		return err
	}
	return a.restoreGlobalState(ctx)
}

func (a *application) limit() int64 {
	if a.opts.BytesPerSecond == 0 {
		return defaultLimit
	}
	return a.opts.BytesPerSecond
}

// restoreAll deletes what is broken, restores what is not there, and follows all of it to its end; again when the server
// was restarted meanwhile. It reports whether the restore was left running.
func (a *application) restoreAll(ctx context.Context, w world) (detached bool, err error) {
	for round := 1; ; round++ {
		if w, err = a.round(ctx, w); err == nil {
			err = a.remember(ctx, w)
		}
		if err != nil {
			return a.left(ctx, err)
		}
		if a.opts.Detach && w.count(underway) > 0 {
			a.report.fill(w)
			return true, nil
		}
		if !w.restarted() || round == rounds {
			if w, err = a.swapAll(ctx, w); err != nil {
				return a.left(ctx, err)
			}
			a.proven = w.count(complete) == len(w)
			if err = a.finish(ctx, w); err != nil && ctx.Err() == nil { // a shard has failed, and others may go on
				return a.left(ctx, err)
			}
			return false, err
		}
		a.log.InfoContext(ctx, "restoring again what a restart of the server has broken", "indices", w.names(broken))
	}
}

// finish explains what has failed, and reports.
func (a *application) finish(ctx context.Context, w world) error {
	a.explainFailures(ctx, w)
	if err := a.missingPolicies(ctx, w); err != nil {
		return err
	}
	if err := a.moveSeriesOn(ctx, w); err != nil {
		return err
	}
	return a.conclude(ctx, a.plan, w, a.report, verification{VerifyOptions: a.verify, restored: true})
}

// restarted reports whether only a restart of the server has broken what is broken.
func (w world) restarted() bool {
	n := 0
	for _, x := range w {
		if x.standing == absent || x.standing == broken {
			if x.standing == broken && !x.restart {
				return false
			}
			n++
		}
	}
	return n > 0
}

// left says in which state things are left when the caller stops waiting, and whether the restore goes on.
func (a *application) left(ctx context.Context, err error) (running bool, _ error) {
	if ctx.Err() == nil {
		if running = a.goesOn(ctx); running {
			err = fmt.Errorf("%w (the restore goes on in the server: apply the same plan again, or attach; until then ILM stays stopped, if it ran)", err)
		}
		return running, err
	}
	fresh, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookBackWithin)
	defer cancel()
	e := &nuvlaops.Error{Err: err, Hint: "apply the same plan again, or attach to the snapshot's restore, to follow it to its end and to verify it; or abandon it. Until then ILM stays stopped, if it ran"}
	w, lookErr := a.inspect(fresh, a.plan, a.known())
	if lookErr != nil {
		e.Reason = fmt.Sprintf("stopped waiting (%s); the restore may go on in the server, which does not answer", context.Cause(ctx))
		return true, e
	}
	a.report.fill(w)
	a.learn(w.uuids())
	a.proven = w.count(complete) == len(w)
	e.Reason = fmt.Sprintf("stopped waiting (%s); of %s %d are restored, %s%d are being restored by the server and %d are not there",
		context.Cause(ctx), plural(len(w), "index"), w.count(complete), w.besideText(), w.count(underway), w.count(absent))
	return w.count(complete) < len(w), e
}

// goesOn reports whether the server restores an index of the plan: it does so also when a look beside it has failed. A drill
// deletes what it has begun.
func (a *application) goesOn(ctx context.Context) bool {
	if a.foreign || a.scratch {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, lookBackWithin)
	defer cancel()
	restores, err := a.conn.RunningRestores(ctx)
	if err != nil {
		return false
	}
	names := a.plan.names()
	planned := func(s es.RestoreShard) bool {
		return s.State != es.RestoreSuccess && s.State != es.RestoreFailure && slices.Contains(names, s.Index.Name)
	}
	return slices.ContainsFunc(restores, func(x es.RunningRestore) bool {
		return x.Repository == a.name && x.Snapshot == a.plan.Snapshot.Name && slices.ContainsFunc(x.Shards, planned)
	})
}

// round sends what has to be sent and waits.
func (a *application) round(ctx context.Context, w world) (world, error) {
	if w.count(complete)+w.count(beside) == len(w) {
		return w, nil
	}
	if err := w.lostSince(); err != nil { // what the server was starting may be found to be lost only now
		return nil, err
	}
	w, a.asked = w.wholeStreams(), false
	if err := a.wholeOrGone(w); err != nil {
		return nil, err
	}
	if a.expect(w) {
		if err := a.writeJournal(ctx, a.known(), nil); err != nil {
			return nil, err
		}
	}
	if err := a.deleteBroken(ctx, w); err != nil {
		return nil, err
	}
	missing := map[string]bool{}
	a.there, a.waiting = map[string]bool{}, nil
	for _, x := range w {
		if !x.cloned {
			a.waiting = append(a.waiting, a.plan.working(x.planned))
		}
	}
	for _, name := range append(w.names(complete), w.names(beside)...) {
		a.there[name] = true
	}
	for _, name := range append(w.names(absent), w.names(broken)...) {
		missing[name] = true
	}
	return a.follow(ctx, missing)
}
