package zkjobs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nuvla/nuvlaops"
)

// changes says what others did with the queue since the plan was made, and whether anything changed at all. Entries of
// the plan's own missing jobs are not signs of others: an earlier Apply may have made them. Nor are those that are gone and
// that one may have removed.
func (w *writer) changes(l *listing) (signs []string, changed bool) {
	if w.plan.known == nil { // the plan came from a file: its own remarks are all there is
		return append(slices.Clone(w.plan.Busy), busy(l, l)...), true
	}
	for _, sign := range w.plan.Busy {
		if !strings.HasPrefix(sign, "consumers") { // they are counted now
			signs = append(signs, sign)
		}
	}
	signs = append(signs, busy(l, l)...)
	m := w.plan.mark
	if m.czxid != l.mark.czxid && m.czxid != 0 {
		return append(signs, "the queue was deleted and made anew since the plan"), true
	}
	if n := l.mark.deleted - m.deleted - w.removed(l); n > 0 {
		signs = append(signs, fmt.Sprintf("%d entries were consumed since the plan", n))
	}
	if n := w.foreign(l, w.plan.known); n > 0 {
		signs = append(signs, fmt.Sprintf("the queue grew by %d entries since the plan", n))
	}
	return signs, len(signs) > 0
}

// removed counts the entries that are gone since the plan and that an earlier Apply of it may have pruned or moved.
func (w *writer) removed(l *listing) (n int64) {
	gone := func(name string) bool { _, there := l.find(name); return !there }
	if w.plan.pruned {
		for _, e := range slices.Concat(w.plan.Extra, w.plan.Doubled) {
			if gone(e.Name) {
				n++
			}
		}
	}
	if !w.plan.moved {
		return n
	}
	for _, e := range l.entries {
		if i, wanted := w.find(e.id); wanted && w.plan.Jobs[i].Do == DecisionElsewhere && e.priority() == w.plan.Jobs[i].Priority && gone(w.plan.Jobs[i].Entry) {
			n++
		}
	}
	return n
}

// foreign counts entries that are not known and not of the plan's missing jobs.
func (w *writer) foreign(l, known *listing) int {
	n := 0
	for _, e := range l.entries {
		if _, seen := known.find(e.name); seen {
			continue
		}
		i, wanted := w.find(e.id)
		if !wanted || !w.makes(w.plan.Jobs[i].Do) {
			n++
		}
	}
	return n
}

// makes says whether an Apply of the plan makes entries of jobs with this decision.
func (w *writer) makes(do Decision) bool {
	return do == DecisionAdd || do == DecisionSettle || do == DecisionElsewhere && w.opts.Move
}

func errBusy(signs []string) error {
	return &nuvlaops.Error{Reason: "the queue is in use: " + strings.Join(signs, "; "),
		Hint: "stop the api-server and the executors (a dead one's locks last as long as its session)", Err: nuvlaops.ErrBusy}
}

// checkOrphans refuses to write entries that a lock without an entry would hide.
func (w *writer) checkOrphans() error {
	for _, lock := range w.base.orphans {
		if p, ok := parseEntry(lock); ok && p.number >= w.mark.created {
			return &nuvlaops.Error{Resource: w.r.takenPath() + "/" + lock, Reason: "a lock is held on an entry that is not there yet: the queue was deleted under a consumer, which would delete a new entry unseen",
				Hint: "stop that consumer and wait for its session to end", Err: nuvlaops.ErrRefused}
		}
	}
	return nil
}

// busy says what shows that others work with the queue.
func busy(before, after *listing) []string {
	var signs []string
	taken := 0
	for _, e := range after.entries {
		if e.taken {
			taken++
		}
	}
	if n := taken + len(after.orphans); n > 0 {
		signs = append(signs, fmt.Sprintf("consumers are alive: %d locks", n))
	}
	if before.mark.czxid != after.mark.czxid {
		return append(signs, "the queue was made while it was read")
	}
	if n := after.mark.created - before.mark.created; n > 0 {
		signs = append(signs, fmt.Sprintf("the queue grew by %d entries while it was read", n))
	}
	if n := after.mark.deleted - before.mark.deleted; n > 0 {
		signs = append(signs, fmt.Sprintf("%d entries were consumed while it was read", n))
	}
	return signs
}
