package zkjobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/nuvla/nuvlaops"
)

// writer is one Apply.
//
// Each transaction also sets the data of /job/entries, if its version is the one that was read: so a transaction of an
// earlier run or of another rebuilder that is still on its way cannot be carried out behind our back, and the token in
// the data says afterwards whether our own one was carried out whose reply was lost.
type writer struct {
	r      *Rebuilder
	plan   *Plan
	opts   ApplyOptions
	result *Result
	report *reporter
	run    string

	todo    []int32   // jobs to write, in order
	young   []int32   // jobs to look at again before that
	index   *jobIndex // plan's jobs by id, made when it is needed
	base    *listing  // what was on the queue, but for what we wrote
	written []entry   // what we wrote since base was listed
	mark    mark      // of the queue as we know it
	pending []int32   // jobs of the transaction under way
	token   string    // of the transaction under way
	looked  time.Time // when the plan's jobs had been read
	lost    time.Time // since when every transaction was lost
	began   time.Time
	sent    int            // jobs written since began, for the rate
	gone    map[int32]bool // jobs that need not be on the queue in the end
	moves   moves
}

func newWriter(r *Rebuilder, plan *Plan, opts ApplyOptions, result *Result) *writer {
	return &writer{r: r, plan: plan, opts: opts, result: result, run: newRunID(), began: r.now(), gone: map[int32]bool{}, moves: newMoves(), looked: plan.looked,
		report: newReporter("zkjobs.Apply", plan.Path, opts.Progress, r.now)}
}

// open compares with the queue right before writing, and guards it.
func (w *writer) open(ctx context.Context) error {
	if !w.opts.DryRun {
		for _, path := range []string{w.r.takenPath(), w.r.entriesPath()} {
			if err := w.r.conn.ensure(ctx, path, w.r.opts.acl()); err != nil {
				return err
			}
		}
	}
	l, err := w.r.list(ctx, w.plan.known)
	if err != nil {
		return err
	}
	signs, changed := w.changes(l)
	if len(signs) > 0 && !w.opts.Force {
		return errBusy(signs)
	}
	w.base, w.mark = l, l.mark
	consumed := w.plan.consumedSince(l)
	for i := range w.plan.Jobs {
		if consumed(i) {
			w.gone[int32(i)] = true
		}
	}
	w.choose()
	if changed && len(w.todo)+len(w.young) > 0 { // the jobs may have changed as well
		return w.lookAgain(ctx)
	}
	return w.checkOrphans()
}

// choose takes the plan's missing jobs that are not on the queue.
func (w *writer) choose() {
	w.todo, w.young = w.todo[:0], w.young[:0]
	present := w.present(w.base)
	w.result.Present = 0
	for i := range w.plan.Jobs {
		switch w.plan.Jobs[i].Do {
		case DecisionAdd, DecisionSettle:
			switch {
			case present[int32(i)]:
				w.result.Present++
			case w.plan.Jobs[i].Do == DecisionSettle:
				w.young = append(w.young, int32(i))
			default:
				w.todo = append(w.todo, int32(i))
			}
		case DecisionConsumed:
			w.result.Consumed++
		default:
			switch {
			case w.opts.Move && w.moves.want(w.base, int32(i), &w.plan.Jobs[i]):
				w.todo = append(w.todo, int32(i))
			case w.gone[int32(i)] && !present[int32(i)]:
				w.result.Consumed++
			case w.plan.known == nil && !present[int32(i)]: // the plan came from a file: look again whether it ended
				w.todo = append(w.todo, int32(i))
			default:
				w.result.Present++
			}
		}
	}
}

// present finds the plan's jobs among the entries.
func (w *writer) present(l *listing) map[int32]bool {
	found := map[int32]bool{}
	for n := range l.entries {
		e := &l.entries[n]
		if e.job > 0 && (int(e.job) > len(w.plan.Jobs) || w.plan.Jobs[e.job-1].ID != e.id) {
			e.job = 0 // the caller took jobs out of the plan
		}
		if e.job == 0 {
			if i, wanted := w.find(e.id); wanted {
				e.job = int32(i) + 1
			}
		}
		if e.job > 0 {
			found[e.job-1] = true
		}
	}
	return found
}

func (w *writer) find(id string) (int, bool) {
	if w.index == nil {
		w.index = indexJobs(w.plan.Jobs)
	}
	return w.index.find(id)
}

// writeAll writes what is old enough, then looks again at what was too young, and writes that.
func (w *writer) writeAll(ctx context.Context) error {
	if err := w.stream(ctx); err != nil || len(w.young) == 0 {
		return err
	}
	if err := w.settle(ctx); err != nil {
		return err
	}
	return w.stream(ctx)
}

// stream sends one transaction after the other: several at once would scramble the order.
func (w *writer) stream(ctx context.Context) error {
	w.written = slices.Grow(w.written, len(w.todo))
	for len(w.todo) > 0 {
		if err := w.pace(ctx); err != nil {
			return err
		}
		if err := w.step(ctx); err != nil {
			return err
		}
		w.report.end("writing jobs", w.sent, w.sent+len(w.todo)+len(w.young), "jobs")
	}
	return nil
}

// step compares with the queue and sends one transaction.
func (w *writer) step(ctx context.Context) error {
	parent, err := w.r.conn.get(ctx, w.r.entriesPath())
	if errors.Is(err, nuvlaops.ErrNotFound) {
		return errDeleted()
	}
	if err != nil {
		return fmt.Errorf("read entries: %w", err)
	}
	if m := markOf(parent.stat, parent.data); m.czxid != w.mark.czxid || m.created != w.mark.created || m.version != w.mark.version {
		if err := w.relist(ctx); err != nil || len(w.todo) == 0 {
			return err
		}
		// What was listed right now is not compared again: producers that never rest would hold up every transaction.
	}
	ops := w.batch()
	answers, err := w.r.conn.multi(ctx, ops)
	w.result.Transactions++
	switch {
	case err == nil:
		return w.took(answers)
	case ctx.Err() != nil:
		return fmt.Errorf("write jobs: %w", err)
	case errors.Is(err, nuvlaops.ErrUnavailable):
		w.result.Resolved++
		w.r.opts.Logger.DebugContext(ctx, "reply lost, list again", "error", err)
		before := len(w.todo)
		if again := w.relist(ctx); again != nil || len(w.todo) < before || w.mayGoOn() {
			return again
		}
	case errors.Is(err, nuvlaops.ErrConflict), w.moves.pending && errors.Is(err, nuvlaops.ErrExists):
		return w.relist(ctx) // others wrote, or a consumer has an entry that was to be moved
	case w.moves.pending && errors.Is(err, nuvlaops.ErrNotFound):
		before := len(w.todo)
		if again := w.relist(ctx); again != nil || len(w.todo) < before { // a consumer finished with it
			return again
		}
	case errors.Is(err, nuvlaops.ErrNotFound):
		return errDeleted()
	}
	return fmt.Errorf("write jobs: %w", err)
}

// mayGoOn says whether to send once more what was not carried out: the connection may be cut by the transaction itself, as by
// a server that takes only smaller ones.
func (w *writer) mayGoOn() bool {
	if w.lost.IsZero() {
		w.lost = w.r.now()
	}
	return w.r.conn.mayGoOn(w.r.now(), w.lost)
}

func errDeleted() error {
	return &nuvlaops.Error{Reason: "the queue was deleted while it was rebuilt", Hint: "find out who deletes it, and plan again", Err: nuvlaops.ErrConflict}
}

// batch makes the next transaction.
func (w *writer) batch() []any {
	w.token = fmt.Sprintf("nuvlaops %s %d", w.run, w.result.Transactions)
	entries := w.r.conn.chroot + w.r.entriesPath()
	ops := []any{&zk.SetDataRequest{Path: entries, Data: []byte(w.token), Version: w.mark.version}}
	size := 100 + len(entries) + len(w.token)
	acl, each := w.r.opts.acl(), w.opSize()
	w.pending, w.moves.pending = w.pending[:0], false
	for _, i := range w.todo {
		job := &w.plan.Jobs[i]
		adds := 1
		if old := w.moves.from[i]; old != "" {
			adds = operationsOfMove
			size += (operationsOfMove-1)*each + len(w.run)
		}
		size += each + len(job.ID)
		if len(ops) > 1 && (len(ops)+adds > w.opts.Batch || size > w.opts.BatchBytes || w.overRate(len(w.pending)+1)) {
			break
		}
		// The create comes first, where took finds its name.
		ops = append(ops, &zk.CreateRequest{Path: entries + "/" + entryName(job.Priority), Data: []byte(job.ID), Acl: acl, Flags: zk.FlagSequence})
		if old := w.moves.from[i]; old != "" {
			ops = append(ops, w.removal(old)...)
			w.moves.pending = true
		}
		w.pending = append(w.pending, i)
	}
	return ops
}

// opSize is the most bytes that one operation on an entry takes in a transaction, without its data: headers, lengths,
// flags, path and ACL.
func (w *writer) opSize() int {
	size := 50 + len(w.r.conn.chroot) + len(w.r.entriesPath()) + len("/entry-999-0123456789")
	for _, a := range w.r.opts.acl() {
		size += 12 + len(a.Scheme) + len(a.ID)
	}
	return size
}

// took notes what a transaction wrote, by the names that it returned.
func (w *writer) took(answers []zk.MultiResponse) error {
	want := 1 + len(w.pending) + (operationsOfMove-1)*w.movesPending()
	if len(answers) != want {
		return fmt.Errorf("a transaction of %d operations returned %d", want, len(answers))
	}
	at := 1
	for _, i := range w.pending {
		path := answers[at].String
		at++
		if w.moves.from[i] != "" {
			at += operationsOfMove - 1
		}
		w.wrote(i, strings.Clone(path[strings.LastIndexByte(path, '/')+1:]))
	}
	w.mark.version++
	w.mark.created += int64(len(w.pending))
	w.todo = w.todo[len(w.pending):]
	w.pending = w.pending[:0]
	return nil
}

func (w *writer) wrote(i int32, name string) {
	w.written = append(w.written, entry{name: name, id: w.plan.Jobs[i].ID, mine: true, job: i + 1})
	w.count(i)
}

// count counts a job that was written, or whose entry was moved.
func (w *writer) count(i int32) {
	w.sent++
	w.lost = time.Time{}
	if w.moves.done(i) {
		w.result.Moved++
	} else {
		w.result.Written++
	}
}

// pace keeps to the rate. Time that went by in a wait, for young jobs or for a server, does not count: it would be made up
// for all at once.
func (w *writer) pace(ctx context.Context) error {
	if w.opts.Rate == 0 {
		return nil
	}
	due := w.began.Add(time.Duration(float64(w.sent) / w.opts.Rate * float64(time.Second)))
	late := w.r.now().Sub(due)
	if late > time.Second/10 {
		w.began = w.began.Add(late)
	}
	return sleep(ctx, -late)
}

// overRate limits a transaction to what the rate allows in a tenth of a second.
func (w *writer) overRate(ops int) bool {
	return w.opts.Rate > 0 && float64(ops) > max(1, w.opts.Rate/10)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(0, d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
