package zkjobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-zookeeper/zk"

	"github.com/nuvla/nuvlaops"
)

// listing is what the queue held at one moment.
type listing struct {
	entries []entry // by name, which is the queue's order
	mark    mark
	orphans []string // locks without an entry
}

// entry is one entry of the queue.
type entry struct {
	name  string
	id    string // its data
	taken bool   // it has a lock
	mine  bool   // this Apply wrote it
	job   int32  // its job's place in the plan, from 1; 0 while it was not looked up
}

// mark tells two moments of a queue apart. ZooKeeper's stat of the parent counts creations and deletions together
// (cversion), so that with the number of children both are known; the number of creations is also the next one that a
// sequential node gets. The data version counts transactions of rebuilds, whose token is the data.
type mark struct {
	czxid   int64 // of the parent: another one means that it was deleted and made anew
	created int64
	deleted int64
	version int32
	token   string
}

func markOf(stat *zk.Stat, token []byte) mark {
	children, changes := int64(stat.NumChildren), int64(stat.Cversion)
	created := (changes + children) / 2
	return mark{czxid: stat.Czxid, created: created, deleted: created - children, version: stat.Version, token: string(token)}
}

// readers is how many requests for data are under way at once; the session's one connection carries them all.
const readers = 64

// list reads the queue. Data that known entries have is not read again: an entry's data never changes. known is sorted
// by name; where nothing changed, its entries are those of the new listing too. A queue that is not there is empty.
func (r *Rebuilder) list(ctx context.Context, known *listing) (*listing, error) {
	if err := r.conn.sync(ctx, r.entriesPath()); err != nil {
		return nil, fmt.Errorf("sync: %w", err)
	}
	locks, err := r.conn.children(ctx, r.takenPath())
	if err != nil && !errors.Is(err, nuvlaops.ErrNotFound) {
		return nil, fmt.Errorf("list locks: %w", err)
	}
	l, err := r.listEntries(ctx, known)
	if errors.Is(err, nuvlaops.ErrNotFound) {
		return &listing{orphans: locks.names}, nil
	}
	if err != nil {
		return nil, err
	}
	l.markTaken(locks.names)
	if err := r.readData(ctx, l); err != nil {
		return nil, fmt.Errorf("read data of entries: %w", err)
	}
	return l, nil
}

// listEntries lists the names and makes the mark of the same moment. The names are not asked for when the mark shows
// that they are the known ones.
func (r *Rebuilder) listEntries(ctx context.Context, known *listing) (*listing, error) {
	for {
		parent, err := r.conn.get(ctx, r.entriesPath())
		if err != nil {
			return nil, fmt.Errorf("read entries: %w", err)
		}
		l := &listing{mark: markOf(parent.stat, parent.data)}
		if sameQueue(known, l) && known.mark.created == l.mark.created && known.mark.deleted == l.mark.deleted {
			l.entries = known.share()
			return l, nil
		}
		names, err := r.conn.children(ctx, r.entriesPath())
		if err != nil {
			return nil, fmt.Errorf("list entries: %w", err)
		}
		if names.stat.Version != parent.stat.Version { // another rebuild wrote in between: the token is not of this moment
			continue
		}
		l.mark = markOf(names.stat, parent.data)
		if !sameQueue(known, l) {
			known = nil
		}
		slices.Sort(names.names)
		l.merge(names.names, known)
		return l, nil
	}
}

func sameQueue(a, b *listing) bool { return a != nil && a.mark.czxid == b.mark.czxid }

// merge takes over names and, where they are known, their ids.
func (l *listing) merge(names []string, known *listing) {
	if known != nil && slices.EqualFunc(known.entries, names, func(e entry, name string) bool { return e.name == name }) {
		l.entries = known.share()
		return
	}
	l.entries = make([]entry, len(names))
	k := 0
	for i, name := range names {
		l.entries[i].name = name
		if known == nil {
			continue
		}
		for k < len(known.entries) && known.entries[k].name < name {
			k++
		}
		if k < len(known.entries) && known.entries[k].name == name {
			l.entries[i] = known.entries[k]
		}
	}
}

// share gives the entries to another listing. A million of them take 40 MiB. Those without data are read each time, and
// may be gone then, so that they need a copy.
func (l *listing) share() []entry {
	if slices.ContainsFunc(l.entries, func(e entry) bool { return e.id == "" }) {
		return slices.Clone(l.entries)
	}
	return l.entries
}

func (l *listing) markTaken(locks []string) {
	for i := range l.entries {
		l.entries[i].taken = false
	}
	for _, lock := range locks {
		if i, found := l.find(lock); found {
			l.entries[i].taken = true
		} else {
			l.orphans = append(l.orphans, lock)
		}
	}
}

func (l *listing) find(name string) (int, bool) {
	return slices.BinarySearchFunc(l.entries, name, func(e entry, name string) int { return strings.Compare(e.name, name) })
}

// readData reads the ids that are not known. Entries that are gone meanwhile were consumed: they are left out.
func (r *Rebuilder) readData(ctx context.Context, l *listing) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, gone atomic.Int64
	var all sync.WaitGroup
	for range min(readers, len(l.entries)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(l.entries) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if l.entries[i].id != "" {
					continue
				}
				if err := r.readEntry(ctx, &l.entries[i]); err != nil {
					cancel(err)
				}
				if l.entries[i].name == "" {
					gone.Add(1)
				}
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if n := gone.Load(); n > 0 {
		l.mark.deleted += n // so that whoever compares marks sees that entries are missing
		l.entries = slices.DeleteFunc(l.entries, func(e entry) bool { return e.name == "" })
	}
	return nil
}

// readEntry reads the data of one entry; of one that is gone, it empties the name.
func (r *Rebuilder) readEntry(ctx context.Context, e *entry) error {
	n, err := r.conn.get(ctx, r.entriesPath()+"/"+e.name)
	switch {
	case errors.Is(err, nuvlaops.ErrNotFound):
		*e = entry{}
	case err != nil:
		return err
	default:
		e.id = string(n.data[:min(len(n.data), longestID+1)]) // what is longer is no job's, and may be a megabyte
	}
	return nil
}

// add puts entries that we wrote among the known ones, which the plan may hold too.
func (l *listing) add(written []entry) {
	if len(l.entries) > 0 {
		written = slices.Concat(l.entries, written)
	}
	l.entries = written
	slices.SortFunc(l.entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
}

// priority is what the entry's name says; entries with a name of another form come last.
func (e entry) priority() int {
	p, ok := parseEntry(e.name)
	if !ok {
		return LowestPriority + 1
	}
	return p.priority
}
