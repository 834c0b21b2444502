package zkjobs

import (
	"context"
	"fmt"
	"slices"
)

// relist finds out what the queue holds after a reply was lost or others changed it, and goes on from there.
func (w *writer) relist(ctx context.Context) error {
	known := w.known()
	l, err := w.r.list(ctx, known)
	if err != nil {
		return fmt.Errorf("list again: %w", err)
	}
	if l.mark.czxid != w.mark.czxid {
		return errDeleted()
	}
	unseen := w.noteGone(known, l)
	carriedOut := len(w.pending) > 0 && l.mark.token == w.token && w.token != ""
	// Another rebuild wrote, or a transaction that was given up.
	rebuilt := l.mark.version != w.mark.version && !carriedOut
	lost := map[int32]bool{} // jobs of the transaction whose reply was lost
	for _, i := range w.pending {
		lost[i] = true
	}
	w.base, w.mark = l, l.mark
	found := w.present(l)
	for n := range l.entries {
		if e := &l.entries[n]; e.job > 0 && lost[e.job-1] && carriedOut {
			e.mine = true
		}
	}
	w.todo = slices.DeleteFunc(slices.Clone(w.todo), func(i int32) bool {
		switch {
		case carriedOut && lost[i]: // also when its entry is consumed by now
			w.count(i)
			w.gone[i] = !found[i]
			return true
		case w.moves.from[i] != "":
			if w.moves.want(l, i, &w.plan.Jobs[i]) {
				return false
			}
			w.result.Present++ // a consumer has it, or had it
			return true
		case found[i]: // somebody else wrote it
			w.result.Present++
			return true
		}
		return false
	})
	w.pending, w.token = w.pending[:0], ""
	if !w.opts.Force { // what was written is counted by now
		if signs := w.others(l, known); len(signs) > 0 {
			return errBusy(signs)
		}
	}
	if rebuilt && unseen > 0 && len(w.todo) > 0 { // it may have written jobs of ours, and consumers run them
		return w.lookAgain(ctx)
	}
	return w.checkOrphans()
}

// known is everything that we know to be or to have been on the queue: what we wrote joins what was there.
func (w *writer) known() *listing {
	if len(w.moves.away) > 0 {
		kept := slices.DeleteFunc(slices.Clone(w.base.entries), func(e entry) bool { return w.moves.away[e.name] })
		w.base.mark.deleted += int64(len(w.base.entries) - len(kept))
		w.base.entries, w.base.mark.created = kept, -1
		clear(w.moves.away)
	}
	if len(w.written) > 0 {
		w.base.add(w.written)
		w.base.mark.created = -1 // so that it is listed
		w.written = nil
	}
	return w.base
}

// others says what others did with the queue while we write.
func (w *writer) others(l, known *listing) []string {
	signs := busy(l, l)
	if n := w.foreign(l, known); n > 0 {
		signs = append(signs, fmt.Sprintf("the queue grew by %d entries while it was rebuilt", n))
	}
	return signs
}

// settle waits until a living api-server must have queued the jobs that were too young, and looks again at what is
// missing then.
func (w *writer) settle(ctx context.Context) error {
	w.report.end("waiting for young jobs", w.sent, w.sent+len(w.young), "jobs")
	if err := sleep(ctx, w.looked.Add(w.plan.Opts.settle()).Sub(w.r.now())); err != nil {
		return err
	}
	return w.lookAgain(ctx)
}

// lookAgain plans anew, for the jobs of the plan that are not written yet: the queue first, then the documents, then the
// queue, so that a job that was run meanwhile is not run again.
func (w *writer) lookAgain(ctx context.Context) error {
	// Whatever a job's own date says (clocks differ): it has been there since it was read.
	settled := !w.looked.IsZero() && w.r.now().Sub(w.looked) >= w.plan.Opts.settle()
	left := map[int32]bool{}
	for _, i := range append(slices.Clone(w.todo), w.young...) {
		left[i] = true
	}
	again, err := w.r.plan(ctx, w.sameOptions())
	if err != nil {
		return err
	}
	if w.mark.czxid != 0 && again.mark.czxid != w.mark.czxid {
		return errDeleted()
	}
	if w.looked.IsZero() { // the plan came from a file
		w.looked = again.looked
	}
	w.todo, w.young = nil, nil
	for n := range again.Jobs {
		job := &again.Jobs[n]
		i, planned := w.find(job.ID)
		if !planned || !left[int32(i)] {
			continue
		}
		delete(left, int32(i))
		_, move := w.moves.from[int32(i)]
		switch {
		case move && w.moves.want(again.known, int32(i), &w.plan.Jobs[i]):
			w.todo = append(w.todo, int32(i))
		case move && job.Entry == "":
			w.result.Dropped++
			w.gone[int32(i)] = true
		case move:
			w.result.Present++
		case job.Do == DecisionAdd, job.Do == DecisionSettle && settled:
			w.todo = append(w.todo, int32(i))
		case job.Do == DecisionSettle:
			w.young = append(w.young, int32(i))
		case job.Do == DecisionConsumed:
			w.result.Dropped++
			w.gone[int32(i)] = true
		default:
			w.result.Present++
		}
	}
	for i := range left { // they do not belong on the queue any more
		delete(w.moves.from, i)
		w.result.Dropped++
		w.gone[i] = true
	}
	slices.Sort(w.todo) // the plan's order
	w.adopt(again.known)
	return w.checkOrphans()
}

// sameOptions are the plan's, for another one.
func (w *writer) sameOptions() PlanOptions {
	opts := w.plan.Opts
	opts.NotBefore, opts.MaxAge = w.plan.notBefore(), 0 // a job that was young enough for the plan has grown older since
	opts.Progress = nil
	return opts
}

// adopt takes a fresh listing, keeping what we know of our own entries.
func (w *writer) adopt(l *listing) {
	known := w.known()
	for n := range l.entries {
		e := &l.entries[n]
		e.job = 0 // a place in another plan
		if i, found := known.find(e.name); found {
			e.mine = known.entries[i].mine
		}
	}
	w.present(l)
	w.noteGone(known, l)
	w.base, w.mark = l, l.mark
}

// noteGone remembers the jobs whose entries were there and were consumed, and counts the entries that came and went unseen.
// Only a deletion that ZooKeeper counted makes it believable that an entry was there.
func (w *writer) noteGone(known, l *listing) (unseen int64) {
	unseen = l.mark.deleted - known.mark.deleted
	if unseen == 0 {
		return 0
	}
	for _, e := range known.entries {
		if _, still := l.find(e.name); still {
			continue
		}
		unseen--
		if e.job > 0 {
			w.gone[e.job-1] = true
		}
	}
	return unseen
}

// consumedSince says whose entries were there when the plan was made and are not on a later listing.
func (p *Plan) consumedSince(l *listing) func(int) bool {
	deleted := p.known != nil && p.known.mark.deleted != l.mark.deleted && sameQueue(p.known, l)
	return func(i int) bool {
		name := p.Jobs[i].Entry
		if !deleted || name == "" {
			return false
		}
		_, still := l.find(name)
		return !still
	}
}
