package zkjobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/nuvla/nuvlaops"
)

// Queue is the other side of the job queue: it puts, gets, consumes and releases entries exactly as kazoo's LockingQueue
// does, and works beside it. One Queue holds at most one entry at a time; its methods may be called by several goroutines.
type Queue struct {
	conn *Conn
	opts Options
	id   string // what its locks hold

	getting, finishing turn // two at once would hold two entries, or finish one twice

	watches map[string]<-chan zk.Event // by path, of the call whose turn to get it is
	ensured atomic.Bool
	mu      sync.Mutex
	held    *Entry
}

// NewQueue returns the queue behind conn. Error: ErrInvalid.
func NewQueue(conn *Conn, opts *Options) (*Queue, error) {
	o := opts.withDefaults()
	err := o.validate()
	if err == nil && conn == nil {
		err = &nuvlaops.Error{Reason: "want a connection", Err: nuvlaops.ErrInvalid}
	}
	if err != nil {
		return nil, nuvlaops.Wrap("zkjobs.NewQueue", o.Path, err)
	}
	return &Queue{conn: conn, opts: o, id: strings.ToLower(rand.Text()), getting: make(turn, 1), finishing: make(turn, 1),
		watches: map[string]<-chan zk.Event{}}, nil
}

// turn lets one call at a time go on; the others wait no longer than their contexts last.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) end() { <-t }

// Put puts jobs on the queue, at most 499 in one transaction, in this order: all of a transaction or none. It is not
// repeated: after an error that matches ErrUnavailable, what of the rest is on the queue is not known. Error: ErrInvalid (an id
// or the priority), before anything is put.
func (q *Queue) Put(ctx context.Context, priority int, ids ...string) error {
	return nuvlaops.Wrap("zkjobs.Put", q.opts.Path, q.put(ctx, priority, ids))
}

func (q *Queue) put(ctx context.Context, priority int, ids []string) error {
	for _, id := range ids {
		job := Job{ID: id, Priority: priority}
		if checkJob(&job) {
			return &nuvlaops.Error{Resource: fmt.Sprintf("%q", id), Reason: job.Invalid, Err: nuvlaops.ErrInvalid}
		}
	}
	if err := q.ensure(ctx); err != nil {
		return err
	}
	for part := range slices.Chunk(ids, mostOps-1) {
		path := q.conn.chroot + q.opts.Path + entriesNode + "/" + entryName(priority) // of ids that were checked with it
		ops := make([]any, len(part))
		for i, id := range part {
			ops[i] = &zk.CreateRequest{Path: path, Data: []byte(id), Acl: q.opts.acl(), Flags: zk.FlagSequence}
		}
		if _, err := q.conn.multi(ctx, ops); err != nil {
			return fmt.Errorf("put %d jobs: %w", len(part), err)
		}
	}
	return nil
}

func (q *Queue) ensure(ctx context.Context) error {
	if q.ensured.Load() {
		return nil
	}
	for _, node := range []string{takenNode, entriesNode} {
		if err := q.conn.ensure(ctx, q.opts.Path+node, q.opts.acl()); err != nil {
			return err
		}
	}
	q.ensured.Store(true)
	return nil
}

// Count counts the entries by priority, those that consumers have included, from their names: one request, however many
// there are. Entries with other names than kazoo's are not counted. A queue that is not there has none.
func (q *Queue) Count(ctx context.Context) (map[int]int, error) {
	listed, err := q.conn.children(ctx, q.opts.Path+entriesNode)
	if err != nil && !errors.Is(err, nuvlaops.ErrNotFound) {
		return nil, nuvlaops.Wrap("zkjobs.Count", q.opts.Path, fmt.Errorf("list entries: %w", err))
	}
	counts := map[int]int{}
	for _, name := range listed.names {
		if e, ok := parseEntry(name); ok {
			counts[e.priority]++
		}
	}
	return counts, nil
}

// Get locks the first entry that is free and returns it; it waits until there is one. An entry that is held already is
// returned again.
func (q *Queue) Get(ctx context.Context) (Entry, error) {
	if e, ok := q.holding(); ok && ctx.Err() == nil {
		return e, nil
	}
	e, err := q.wait(ctx)
	if err != nil {
		return Entry{}, nuvlaops.Wrap("zkjobs.Get", q.opts.Path, err)
	}
	return e, nil
}

func (q *Queue) holding() (Entry, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held == nil {
		return Entry{}, false
	}
	return *q.held, true
}

func (q *Queue) wait(ctx context.Context) (Entry, error) {
	if ctx.Err() != nil {
		return Entry{}, context.Cause(ctx)
	}
	if err := q.getting.take(ctx); err != nil {
		return Entry{}, err
	}
	defer q.getting.end()
	if e, ok := q.holding(); ok { // another call got it meanwhile
		return e, nil
	}
	if err := q.ensure(ctx); err != nil {
		return Entry{}, err
	}
	for watching := false; ; {
		entries, entriesChange, err := q.look(ctx, q.opts.Path+entriesNode, watching)
		if err != nil {
			return Entry{}, fmt.Errorf("list entries: %w", err)
		}
		taken, takenChange, err := q.look(ctx, q.opts.Path+takenNode, watching)
		if err != nil {
			return Entry{}, fmt.Errorf("list locks: %w", err)
		}
		if name, free := firstFree(entries, taken); free {
			e, took, err := q.take(ctx, name)
			if took || err != nil {
				return e, err
			}
			continue // somebody was faster
		}
		if !watching {
			watching = true
			continue
		}
		select {
		case <-entriesChange:
		case <-takenChange:
		case <-ctx.Done():
			return Entry{}, context.Cause(ctx)
		}
	}
}

func firstFree(entries, taken []string) (string, bool) {
	locked := make(map[string]bool, len(taken))
	for _, t := range taken {
		locked[t] = true
	}
	slices.Sort(entries)
	for _, name := range entries {
		if !locked[name] {
			return name, true
		}
	}
	return "", false
}

type watched struct {
	names  []string
	change <-chan zk.Event
}

// look lists a path, and gives what says that it changes when it is watched. Nothing is, before there was nothing to take: the
// client sends all its watches again with each new connection.
func (q *Queue) look(ctx context.Context, path string, watching bool) ([]string, <-chan zk.Event, error) {
	if watching {
		return q.watch(ctx, path)
	}
	l, err := q.conn.children(ctx, path)
	return l.names, nil, err
}

// watch lists a path and gives what says that it changes. A watch lasts until it fires: one that has not is used again.
func (q *Queue) watch(ctx context.Context, path string) ([]string, <-chan zk.Event, error) {
	if change := q.watches[path]; change != nil {
		select {
		case <-change:
			delete(q.watches, path)
		default:
			l, err := q.conn.children(ctx, path)
			return l.names, change, err
		}
	}
	w, err := read(ctx, q.conn, func() (watched, error) {
		names, _, change, err := q.conn.zk.ChildrenW(q.conn.chroot + path)
		return watched{names, change}, err
	})
	if err == nil {
		q.watches[path] = w.change
	}
	return w.names, w.change, err
}

// take locks an entry. When the reply to the lock is lost, the lock's data says whose it is.
func (q *Queue) take(ctx context.Context, name string) (_ Entry, took bool, err error) {
	lock := q.opts.Path + takenNode + "/" + name
	defer func() {
		if err != nil {
			q.giveBack(ctx, name)
		}
	}()
	_, err = read(ctx, q.conn, func() (string, error) {
		return q.conn.zk.Create(q.conn.chroot+lock, []byte(q.id), zk.FlagEphemeral, q.opts.acl())
	})
	if errors.Is(err, nuvlaops.ErrExists) {
		if mine, e := q.holds(ctx, name); e != nil || !mine {
			return Entry{}, false, e
		}
	} else if err != nil {
		return Entry{}, false, fmt.Errorf("lock %s: %w", name, err)
	}
	n, err := q.conn.get(ctx, q.opts.Path+entriesNode+"/"+name)
	if errors.Is(err, nuvlaops.ErrNotFound) { // consumed since it was listed
		return Entry{}, false, q.unlock(ctx, lock)
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("read %s: %w", name, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = &Entry{Name: name, ID: string(n.data), Taken: true}
	return *q.held, true, nil
}

// giveBack frees an entry that may be locked by a call that failed or was ended: as long as the session lasts, no consumer
// would get it. What cannot be reached in two seconds is left to the end of the session.
func (q *Queue) giveBack(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	lock := q.conn.chroot + q.opts.Path + takenNode + "/" + name
	for {
		if mine, err := q.holds(ctx, name); err != nil || !mine {
			return
		}
		// Not by read: a repetition that waits for a connection may come after the session's end, when the lock is another consumer's.
		_, err := call(ctx, q.conn, func() (struct{}, error) { return struct{}{}, q.conn.zk.Delete(lock, -1) })
		if !unavailable(err) {
			return
		}
	}
}

// unlock removes our lock of an entry that is gone.
func (q *Queue) unlock(ctx context.Context, lock string) error {
	_, err := read(ctx, q.conn, func() (struct{}, error) { return struct{}{}, q.conn.zk.Delete(q.conn.chroot+lock, -1) })
	if errors.Is(err, nuvlaops.ErrNotFound) {
		return nil
	}
	return err
}

// holds reports whether the lock of an entry is ours.
func (q *Queue) holds(ctx context.Context, name string) (bool, error) {
	lock := q.opts.Path + takenNode + "/" + name
	if err := q.conn.sync(ctx, lock); err != nil {
		return false, err
	}
	n, err := q.conn.get(ctx, lock)
	if errors.Is(err, nuvlaops.ErrNotFound) {
		return false, nil
	}
	return err == nil && string(n.data) == q.id, err
}

// Consume removes the held entry and its lock. It returns false when there is none, or when the lock was lost with a
// session: somebody else may have run the job then. After a lost reply, an entry that is gone was consumed by us: nobody
// else removes what we hold the lock of.
func (q *Queue) Consume(ctx context.Context) (bool, error) {
	done, err := q.finish(ctx, true)
	return done, nuvlaops.Wrap("zkjobs.Consume", q.opts.Path, err)
}

// Release gives the held entry back. It returns false when there is none, or when the lock was lost.
func (q *Queue) Release(ctx context.Context) (bool, error) {
	done, err := q.finish(ctx, false)
	return done, nuvlaops.Wrap("zkjobs.Release", q.opts.Path, err)
}

func (q *Queue) finish(ctx context.Context, consume bool) (bool, error) {
	if err := q.finishing.take(ctx); err != nil {
		return false, err
	}
	defer q.finishing.end()
	e, ok := q.holding()
	if !ok {
		return false, nil
	}
	root := q.conn.chroot + q.opts.Path
	ops := []any{&zk.DeleteRequest{Path: root + takenNode + "/" + e.Name, Version: -1}}
	if consume {
		ops = append([]any{&zk.DeleteRequest{Path: root + entriesNode + "/" + e.Name, Version: -1}}, ops...)
	}
	var failure error // of the last transaction, whose reply was lost
	var since time.Time
	for {
		mine, err := q.holds(ctx, e.Name)
		if err != nil {
			return false, err
		}
		if !mine {
			done := failure != nil
			if done && consume { // by us, or the lock ended with the session
				there, err := q.there(ctx, e.Name)
				if err != nil {
					return false, err
				}
				done = !there
			}
			q.drop()
			return done, nil
		}
		if failure != nil && !q.conn.mayGoOn(time.Now(), since) {
			return false, failure
		}
		_, err = q.conn.multi(ctx, ops)
		switch {
		case err == nil:
			q.drop()
			return true, nil
		case !unavailable(err) || ctx.Err() != nil:
			return false, err
		case failure == nil:
			since = time.Now()
		}
		failure = err
	}
}

// there reports whether an entry is on the queue.
func (q *Queue) there(ctx context.Context, name string) (bool, error) {
	_, err := q.conn.get(ctx, q.opts.Path+entriesNode+"/"+name)
	if errors.Is(err, nuvlaops.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (q *Queue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = nil
}
