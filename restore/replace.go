package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/poll"
)

// What a plan replaces is restored beside it first. Only when each primary of each index is proven, an index is deleted and
// its replacement, already on the same disks, is cloned to its name: hard links, no copying. Elasticsearch can also restore
// into a closed index, but writes over its files, and what was there is lost when that fails half-way.

// besidePrefix begins the names of indices that are restored beside what they will replace.
const besidePrefix = "restoring-"

const markPrefix = "restored-"

const (
	writeBlock = "index.blocks.write"
	// blockMark says that the block is ours: one that the snapshot has, or the request, is kept. It is a filter of allocation
	// that concerns nodes with an attribute that no node has.
	blockMark = "index.routing.allocation.exclude.nuvlaops_block"
)

// beside reports whether the plan restores this index under another name first.
func (p *Plan) beside(x PlannedIndex) bool { return p.Request.Replace && x.Stream == "" }

// working is the name under which an index is restored.
func (p *Plan) working(x PlannedIndex) string {
	if p.beside(x) {
		return besidePrefix + p.ID + "-" + x.Target
	}
	return x.Target
}

// mark is an alias that a clone bears from its first moment until the journal knows its UUID: so a call after a crash
// knows it from an index that somebody else made.
func (p *Plan) mark(x PlannedIndex) string { return markPrefix + p.ID + "-" + x.Target }

// renames are the patterns of the restore's request.
func (p *Plan) renames() (pattern, replacement string) {
	if p.Request.RenamePrefix != "" {
		return "(.+)", p.Request.RenamePrefix + "$1"
	}
	if !p.Request.Replace {
		return "", ""
	}
	var names []string // data streams keep their names
	for _, x := range p.Indices {
		if p.beside(x) {
			names = append(names, regexp.QuoteMeta(x.Name))
		}
	}
	if len(names) == 0 {
		return "", ""
	}
	return "^(" + strings.Join(names, "|") + ")$", besidePrefix + p.ID + "-$1"
}

// readReplaced notes which indices would be replaced.
func (r *Repo) readReplaced(ctx context.Context, p *Plan) error {
	if !p.Request.Replace {
		return nil
	}
	states, _, err := r.conn.IndexStates(ctx, p.targets())
	if err != nil {
		return fmt.Errorf("read indices: %w", err)
	}
	for i, x := range p.Indices {
		if s, there := states[x.Target]; there && p.beside(x) {
			p.Indices[i].Replaces, p.Indices[i].ReplacesShards = s.UUID, s.Shards
		}
	}
	return nil
}

// replaced are the beginnings of the UUIDs of what the plan replaces, for the journal; empty when it replaces nothing.
func (p *Plan) replaced() string {
	if !p.Request.Replace {
		return ""
	}
	uuids := make([]string, len(p.Indices))
	for i, x := range p.Indices {
		uuids[i] = x.Replaces
	}
	return beginnings(uuids)
}

// seenBy leaves of what the plan replaces only what the plan that the journal was written for has seen: a plan that is made
// again sees what is there by now.
func (p *Plan) seenBy(j *journal) {
	for i, x := range p.Indices {
		if was := beginning(j.Replaced, i); j.Replaced != "" && (was == "" || !strings.HasPrefix(x.Replaces, was)) {
			p.Indices[i].Replaces = ""
		}
	}
}

func (p *Plan) findReplaced() {
	for _, x := range p.Indices {
		switch {
		case x.Replaces == "":
		case x.ReplacesShards != x.Shards && !p.Request.OtherShards:
			p.add(SeverityError, CodeShardsDiffer, x.Target, "allow another number of shards",
				"the index that is there has %s, the snapshot's has %d", plural(x.ReplacesShards, "primary shard"), x.Shards)
		case x.ReplacesShards != x.Shards:
			p.add(SeverityWarning, CodeReplaced, x.Target, "", "the index that is there, of %s, is deleted when its replacement, of %d, is proven", plural(x.ReplacesShards, "primary shard"), x.Shards)
		default:
			p.add(SeverityWarning, CodeReplaced, x.Target, "", "the index that is there is deleted when its replacement is proven; its aliases are kept, those of the snapshot are not restored")
		}
	}
}

// judgeReplacement decides how an index stands that is restored beside what it replaces.
func (x *inspected) judgeReplacement(p *Plan, states map[string]es.IndexState, recoveries map[string][]es.Recovery, running map[shardKey]string, known, repository string) {
	there, isThere := states[x.planned.Target]
	next, isNext := states[p.working(x.planned)]
	x.occupant, x.leftover = there.UUID, isNext
	x.marked = isThere && slices.Contains(there.Aliases, p.mark(x.planned))
	if isThere && (x.marked || (known != "" && strings.HasPrefix(there.UUID, known))) {
		x.judgeClone(there)
		return
	}
	x.readOnly = there.ReadOnly
	if isNext {
		x.judge(next, recoveries[p.working(x.planned)], running, known, repository, p.Snapshot.Name)
		x.replicas = next.Replicas
		if x.standing == complete {
			x.standing = beside
		}
	}
}

// judgeClone: what was cloned is proven by what it was cloned from, which was proven before.
func (x *inspected) judgeClone(s es.IndexState) {
	x.uuid, x.open, x.shards, x.cloned, x.replicas, x.policy = s.UUID, s.Open, s.Shards, true, s.Replicas, s.Policy
	lost := false
	for shard := range s.Shards {
		p := s.Primaries[shard]
		if p.Started() {
			x.started, x.proven = x.started+1, x.proven+1
		} else if x.started == shard {
			x.pending = shard
		}
		x.stuck = x.stuck || stuck(p)
		lost = lost || (p.State == "UNASSIGNED" && p.Status == "no_valid_shard_copy")
	}
	switch {
	case !s.Open, x.stuck, lost && !x.leftover:
		x.standing = foreign // it was changed after all was done, or may have been written to
	case lost:
		x.standing = beside
	case x.started < x.shards:
		x.standing = underway
	default:
		x.standing = complete
	}
}

const readOnlyHint = "take the blocks away (index.blocks.read_only, index.blocks.metadata)"

// untouched refuses when another index than the plan saw bears a name that would be replaced, or one that cannot be deleted.
func (a *application) untouched(w world) error {
	hint := "plan again"
	if a.journal.Swapping { // no other plan is applied until this one is done
		hint = "save what it holds and delete it, then apply this plan again, or attach"
	}
	for _, x := range w {
		if a.plan.beside(x.planned) && !x.cloned && x.occupant != "" && x.occupant != x.planned.Replaces {
			return conflictOf(x.planned.Target, "the index of this name is another one than the plan saw", hint)
		}
		if x.readOnly {
			return conflictOf(x.planned.Target, "the index that is to be replaced is read-only by now", readOnlyHint+", and apply the plan again")
		}
	}
	return nil
}

// swapAll puts what was restored beside into its place, once all of it is proven: either all is replaced, or nothing.
func (a *application) swapAll(ctx context.Context, w world) (world, error) {
	if !a.plan.Request.Replace || w.count(complete)+w.count(beside) < len(w) {
		return w, nil
	}
	if err := a.untouched(w); err != nil {
		return nil, err
	}
	blocked, err := a.blockWrites(ctx, w)
	if err != nil { // nothing is deleted yet: it can be abandoned
		return nil, err
	}
	if !a.journal.Swapping && w.count(beside) > 0 {
		a.journal.Swapping = true
		if err := a.writeJournal(ctx, a.known(), nil); err != nil {
			return nil, err
		}
	}
	for _, x := range w {
		if x.standing != beside {
			continue
		}
		a.tellSwap(x.planned.Target)
		if err := a.swap(ctx, x, blocked[a.plan.working(x.planned)]); err != nil {
			return nil, fmt.Errorf("replace %s: %w", x.planned.Target, err)
		}
	}
	w, err = a.waitForClones(ctx)
	if err == nil {
		err = a.remember(ctx, w)
	}
	if err == nil {
		err = a.release(ctx, w)
	}
	if err == nil && a.journal.Swapping && w.count(complete) == len(w) { // otherwise an original is gone, and its replacement not in its place
		a.journal.Swapping = false
		err = a.writeJournal(ctx, a.known(), nil)
	}
	return w, err
}

// blockWrites: only an index that cannot be written to is cloned. It returns which of them could not be before.
func (a *application) blockWrites(ctx context.Context, w world) (before map[string]bool, err error) {
	var names []string
	for _, x := range w {
		if x.standing == beside {
			names = append(names, a.plan.working(x.planned))
		}
	}
	settings, err := a.conn.IndexSettings(ctx, names, writeBlock, blockMark)
	if err != nil {
		return nil, err
	}
	before = map[string]bool{}
	for name, s := range settings {
		before[name] = s[writeBlock] == "true" && s[blockMark] == ""
	}
	names = slices.DeleteFunc(names, func(name string) bool { return before[name] })
	if err := a.putSettings(ctx, names, map[string]any{writeBlock: true, blockMark: a.plan.ID}); err != nil {
		return nil, fmt.Errorf("block writes to what was restored beside: %w", err)
	}
	return before, nil
}

func (a *application) putSettings(ctx context.Context, names []string, settings map[string]any) error {
	for chunk := range es.NameChunks(names) {
		err := a.conn.WriteIdempotent(ctx, func() esapi.Request {
			return esapi.IndicesPutSettingsRequest{Index: chunk, Body: es.JSON(settings)}
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// swap deletes one index and clones its replacement to its name, with or without its block of writes. The aliases move to the
// replacement in the same moment in which the index goes: a call after a crash finds them there.
func (a *application) swap(ctx context.Context, x inspected, blocked bool) error {
	next := a.plan.working(x.planned)
	a.log.InfoContext(ctx, "replacing", "index", x.planned.Target, "by", next)
	if x.occupant != "" {
		if err := a.takeAway(ctx, x, next); err != nil {
			return err
		}
	}
	body, err := json.Marshal(map[string]any{"settings": map[string]any{writeBlock: blocked, replicasSetting: x.replicas},
		"aliases": map[string]any{a.plan.mark(x.planned): map[string]any{"is_hidden": true}}})
	if err != nil {
		return err
	}
	err = a.conn.WriteIdempotent(ctx, func() esapi.Request {
		return esapi.IndicesCloneRequest{Index: next, Target: x.planned.Target, WaitForActiveShards: "0", Body: strings.NewReader(string(body))}
	}, nil)
	if err != nil && !errors.Is(err, nuvlaops.ErrExists) { // our own, whose answer was lost: its mark will tell
		return fmt.Errorf("clone %s: %w", next, err)
	}
	return nil
}

// takeAway deletes what is replaced and gives its aliases to the replacement, at once. A deletion is by name, so it looks
// right before whose that is: another call of this plan may have put its clone there.
func (a *application) takeAway(ctx context.Context, x inspected, next string) error {
	now, _, err := a.conn.IndexStates(ctx, []string{x.planned.Target})
	if err != nil {
		return fmt.Errorf("read indices: %w", err)
	}
	if now[x.planned.Target].UUID != x.occupant {
		if j, err := a.readJournal(ctx); err == nil && j != nil && j.Plan == a.plan.ID {
			a.journal = j // of the other call, which knows its clones
		}
		return conflictOf(x.planned.Target, "the index of this name is another one by now", "see that no other call replaces it, and apply the plan again")
	}
	actions := []any{map[string]any{"remove_index": map[string]any{"index": x.planned.Target}}}
	if !a.plan.Request.WithoutAliases {
		all, err := a.conn.Aliases(ctx, []string{x.planned.Target})
		if err != nil {
			return err
		}
		aliases := all[x.planned.Target]
		delete(aliases, a.plan.mark(x.planned)) // of a clone that was lost
		for _, name := range slices.Sorted(maps.Keys(aliases)) {
			actions = append(actions, aliasAction("add", next, name, aliases[name]))
		}
	}
	err = a.conn.UpdateAliases(ctx, actions)
	if err != nil && !errors.Is(err, nuvlaops.ErrNotFound) { // gone by our own request, whose answer was lost
		return fmt.Errorf("delete %s: %w", x.planned.Target, err)
	}
	return nil
}

// waitForClones returns when each clone is started. Its shards are hard links: there is nothing to copy. What keeps a shard
// from being started is told.
func (a *application) waitForClones(ctx context.Context) (w world, err error) {
	a.stall = stall{since: a.now()}
	err = poll.Until(ctx, poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		w, err = a.inspect(ctx, a.plan, a.known())
		if err != nil {
			return false, "", err
		}
		i := slices.IndexFunc(w, func(x inspected) bool { return x.standing == underway })
		if i < 0 {
			return true, "", nil
		}
		target := w[i].planned.Target
		a.stall.shard = waiting{target, target, w[i].pending}
		if a.stall.due(a.now()) {
			a.explainStall(ctx)
			a.tellSwap(a.stall.reason)
		}
		return false, target + " is not started", nil
	})
	return w, err
}

// release moves the aliases from what was restored beside to its clones, in one moment, and deletes it: the clones are
// complete, and known to the journal.
func (a *application) release(ctx context.Context, w world) error {
	var beside []string
	for _, x := range w {
		if x.standing == complete && x.leftover {
			beside = append(beside, a.plan.working(x.planned))
		}
	}
	aliases, err := a.conn.Aliases(ctx, beside)
	if err != nil {
		return err
	}
	var actions []any
	var clones []string
	for i, x := range w {
		if x.standing != complete || !(x.leftover || x.marked) {
			continue
		}
		clones = append(clones, x.planned.Target)
		next := a.plan.working(x.planned)
		for _, name := range slices.Sorted(maps.Keys(aliases[next])) {
			actions = append(actions, aliasAction("remove", next, name, nil), aliasAction("add", x.planned.Target, name, aliases[next][name]))
		}
		if x.marked {
			actions = append(actions, aliasAction("remove", x.planned.Target, a.plan.mark(x.planned), nil))
		}
		w[i].leftover, w[i].marked = false, false
	}
	if len(actions) > 0 {
		if err := a.conn.UpdateAliases(ctx, actions); err != nil && !errors.Is(err, nuvlaops.ErrNotFound) { // done by our own request, whose answer was lost
			return fmt.Errorf("move aliases: %w", err)
		}
	}
	if err := a.putSettings(ctx, clones, map[string]any{blockMark: nil}); err != nil { // they have it from what they were cloned from
		return err
	}
	return a.deleteAll(ctx, beside, deleteIndices)
}

func aliasAction(action, index, alias string, properties map[string]any) map[string]any {
	body := map[string]any{"index": index, "alias": alias}
	for k, v := range properties {
		body[k] = v
	}
	return map[string]any{action: body}
}
