package zkjobs

import (
	"context"
	"errors"
	"slices"

	"github.com/go-zookeeper/zk"

	"github.com/nuvla/nuvlaops"
)

// toPrune lists the entries that the plan found to be too many and that are still there, unlocked.
func (w *writer) toPrune() (extra, doubled []string) {
	if !w.opts.Prune {
		return nil, nil
	}
	free := func(entries []Entry) (names []string) {
		for _, e := range entries {
			if i, found := w.base.find(e.Name); found && !w.base.entries[i].taken && w.base.entries[i].id == e.ID {
				names = append(names, e.Name)
			}
		}
		return names
	}
	return free(w.plan.Extra), free(w.plan.Doubled)
}

// stillExtra keeps the entries that no job stands behind either when the jobs are read again. A living api-server makes a job's
// entry first and writes its document after that: an entry that the plan saw in between would be removed, and its job lost.
func (w *writer) stillExtra(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if err := sleep(ctx, w.plan.looked.Add(w.plan.Opts.settle()).Sub(w.r.now())); err != nil {
		return nil, err
	}
	again, err := w.r.plan(ctx, w.sameOptions())
	if err != nil {
		return nil, err
	}
	extra := make(map[string]bool, len(again.Extra))
	for _, e := range again.Extra {
		extra[e.Name] = true
	}
	return slices.DeleteFunc(names, func(name string) bool { return !extra[name] }), nil
}

// prune removes entries as a consumer does: it locks each first, in the transaction that removes it. What a consumer
// locked meanwhile stays.
func (w *writer) prune(ctx context.Context) error {
	extra, doubled := w.toPrune()
	extra, err := w.stillExtra(ctx, extra)
	if err != nil {
		return err
	}
	names := slices.Concat(extra, doubled)
	if len(names) == 0 {
		return nil
	}
	for part := range slices.Chunk(names, w.pruneBatch()) {
		err := w.remove(ctx, part)
		for i := 0; errors.Is(err, nuvlaops.ErrExists) || errors.Is(err, nuvlaops.ErrNotFound); i++ { // one is locked or gone: one by one
			if i == len(part) {
				err = nil
				break
			}
			if err := w.remove(ctx, part[i:i+1]); err != nil && !errors.Is(err, nuvlaops.ErrExists) && !errors.Is(err, nuvlaops.ErrNotFound) {
				return err
			}
		}
		if err != nil {
			return err
		}
		w.report.end("pruning", w.result.Pruned, len(names), "entries")
	}
	return w.relist(ctx)
}

// pruneBatch is how many entries one transaction may remove within the limits.
func (w *writer) pruneBatch() int {
	const operations = 4 // with the one that looks for another entry
	each := operations*w.opSize() + len(w.run)
	return max(1, min(w.opts.Batch/operations, w.opts.BatchBytes/each))
}

// pruning removes one entry. One of a job that has another stays when that one is gone: another rebuild may have kept this one.
func (w *writer) pruning(name string) []any {
	ops := w.removal(name)
	i, found := w.base.find(name)
	if !found || w.base.entries[i].job == 0 {
		return ops
	}
	if kept := w.plan.Jobs[w.base.entries[i].job-1].Entry; kept != "" && kept != name {
		ops = append(ops, &zk.CheckVersionRequest{Path: w.r.conn.chroot + w.r.entriesPath() + "/" + kept, Version: -1})
	}
	return ops
}

// remove takes entries from the queue in one transaction. One whose reply is lost may be sent again: what is removed
// cannot be removed twice, and is not counted.
func (w *writer) remove(ctx context.Context, names []string) error {
	var ops []any
	for _, name := range names {
		ops = append(ops, w.pruning(name)...)
	}
	_, err := read(ctx, w.r.conn, func() ([]zk.MultiResponse, error) { return w.r.conn.zk.Multi(ops...) })
	if err == nil {
		w.result.Pruned += len(names)
	}
	return err
}
