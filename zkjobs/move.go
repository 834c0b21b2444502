package zkjobs

import "github.com/go-zookeeper/zk"

// moves are the entries that are put at another priority. One transaction locks the old entry as a consumer does, removes
// it with its lock, and makes the new one: so what a consumer has stays, what it consumed meanwhile does not come back, and
// a job is on the queue once at every moment.
type moves struct {
	from    map[int32]string // jobs to move, and the names of their entries
	away    map[string]bool  // entries that are gone since we moved them
	pending bool             // the transaction under way moves entries
}

// operationsOfMove are the operations of a transaction that one move takes: make, lock, remove, unlock.
const operationsOfMove = 4

func newMoves() moves { return moves{from: map[int32]string{}, away: map[string]bool{}} }

// want says whether a job's entry is to be moved: it is there as it was when the plan was made, and nobody has it.
func (m *moves) want(l *listing, i int32, job *Planned) bool {
	delete(m.from, i)
	if job.Do != DecisionElsewhere {
		return false
	}
	n, found := l.find(job.Entry)
	if !found || l.entries[n].taken || l.entries[n].id != job.ID || l.entries[n].priority() == job.Priority {
		return false
	}
	m.from[i] = job.Entry
	return true
}

// done notes that a job was written, and says whether its entry was moved.
func (m *moves) done(i int32) bool {
	name := m.from[i]
	if name == "" {
		return false
	}
	delete(m.from, i)
	m.away[name] = true
	return true
}

// toMove counts the jobs to write whose entries are to be moved.
func (w *writer) toMove() int { return len(w.moves.from) }

// movesPending counts those of the transaction under way.
func (w *writer) movesPending() (n int) {
	for _, i := range w.pending {
		if w.moves.from[i] != "" {
			n++
		}
	}
	return n
}

// removal is what removes an entry that nobody has, in a transaction.
func (w *writer) removal(name string) []any {
	root := w.r.conn.chroot + w.r.opts.Path
	return []any{
		&zk.CreateRequest{Path: root + takenNode + "/" + name, Data: []byte(w.run), Acl: w.r.opts.acl(), Flags: zk.FlagEphemeral},
		&zk.DeleteRequest{Path: root + entriesNode + "/" + name, Version: -1},
		&zk.DeleteRequest{Path: root + takenNode + "/" + name, Version: -1}}
}
