package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// standing is how one index of a plan stands in the cluster.
type standing int

const (
	absent   standing = iota // it is not there
	foreign                  // it is there, and nothing says that this restore made it
	underway                 // primaries are being restored
	broken                   // a primary has finally failed
	beside                   // each primary is started, and came from the snapshot; it is not yet in the place of what it replaces
	complete                 // each primary is started, and came from the snapshot
	removed                  // it was complete, and has been deleted since, as ILM does with the oldest of a data stream
)

// inspected is one index of a plan as it was seen.
type inspected struct {
	planned  PlannedIndex
	standing standing
	uuid     string
	open     bool
	shards   int // as the cluster has it
	started  int
	proven   int
	restart  bool // broken by a restart of the server: its half restored shards are lost
	starting bool // underway, and what is not started comes from the server's own disk, as after a restart
	later    bool // proven by the journal, since the server found a primary on its own disk, or copied it from another node
	created  time.Time
	orphan   bool // foreign, and the server has, or looks for, all primaries on its own disk: as after a restart
	since    bool // it has lost a primary since the restore ended, or stuck; never beside what it replaces, where nobody writes
	stuck    bool // a primary is whole on the server's own disk, and cannot be started
	// forgotten is an orphan that a request of this restore has made. It was missing when that was sent, and it is older than
	// the end of the snapshot, as only a restored one can be: what somebody has made meanwhile is younger.
	forgotten bool
	failures  []Failure
	policy    string // of ILM

	// Of an index that replaces another:
	occupant string // UUID of what bears the name
	readOnly bool   // what bears the name cannot be deleted
	cloned   bool   // it is the replacement, in its place
	marked   bool   // by an alias that goes when the journal knows it
	leftover bool   // what was restored beside is still there
	pending  int    // the first primary of the clone that is not started
	replicas string
}

// inspectWithin ends a look at all indices that hangs.
const inspectWithin = 2 * time.Minute

// world is all indices of a plan, in its order, at one moment.
type world []inspected

func (w world) count(s standing) int {
	n := 0
	for _, x := range w {
		if x.standing == s {
			n++
		}
	}
	return n
}

func (w world) leftovers() bool {
	return slices.ContainsFunc(w, func(x inspected) bool { return x.leftover || x.marked })
}

func (w world) besideText() string {
	if n := w.count(beside); n > 0 {
		return fmt.Sprintf("%d are restored beside what they replace, ", n)
	}
	return ""
}

func (w world) names(s standing) []string {
	var names []string
	for _, x := range w {
		if x.standing == s {
			names = append(names, x.planned.Target)
		}
	}
	return names
}

func (w world) failures() []Failure {
	var all []Failure
	for _, x := range w {
		all = append(all, x.failures...)
	}
	return all
}

func (w world) uuids() []string {
	out := make([]string, len(w))
	for i, x := range w {
		if x.standing >= underway {
			out[i] = x.uuid
		}
	}
	return out
}

func (w world) proven() (shards, proven int) {
	for _, x := range w {
		shards, proven = shards+x.shards, proven+x.proven
	}
	return shards, proven
}

// observation is what the server says of a plan's indices.
type observation struct {
	states     map[string]es.IndexState
	restores   []es.RunningRestore
	recoveries map[string][]es.Recovery
}

// inspect reads how the indices of a plan stand.
func (r *Repo) inspect(ctx context.Context, p *Plan, j *journal) (world, error) {
	o, err := r.observe(ctx, p)
	if err != nil {
		return nil, err
	}
	return r.judgeAll(p, o, j), nil
}

// observe reads what there is to read of the indices of a plan. The routing table and the running restores are of one
// moment; the recoveries of started primaries are read after it, and only grow.
func (r *Repo) observe(ctx context.Context, p *Plan) (observation, error) {
	within, cancel := context.WithTimeout(ctx, inspectWithin)
	defer cancel()
	o, err := r.observeAll(within, p)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		err = &nuvlaops.Error{Reason: "Elasticsearch took the request and does not answer", Hint: "check that it runs", Err: fmt.Errorf("%w: %w", nuvlaops.ErrUnavailable, err)}
	}
	return o, err
}

func (r *Repo) observeAll(ctx context.Context, p *Plan) (o observation, err error) {
	if o.states, o.restores, err = r.conn.IndexStates(ctx, p.names()); err != nil {
		return o, fmt.Errorf("read indices: %w", err)
	}
	replaced := map[string]bool{} // what bears these names is proven by other means, or is not ours
	for _, x := range p.Indices {
		replaced[x.Target] = p.beside(x)
	}
	var started []string
	for name, s := range o.states {
		if s.Open && !replaced[name] && slices.ContainsFunc(primaries(s), es.Primary.Started) {
			started = append(started, name)
		}
	}
	slices.Sort(started)
	if len(started) > 0 {
		if o.recoveries, err = r.conn.Recoveries(ctx, started); err != nil {
			return o, fmt.Errorf("read recoveries: %w", err)
		}
	}
	return o, nil
}

// judgeAll says how the indices of a plan stand, by what was read and by the journal, if that is of this plan.
func (r *Repo) judgeAll(p *Plan, o observation, j *journal) world {
	if j != nil && j.Plan != p.ID {
		j = nil
	}
	running := runningShards(o.restores, r.name, p.Snapshot.Name)
	w := make(world, len(p.Indices))
	for i, planned := range p.Indices {
		state, there := o.states[planned.Target]
		known := ""
		if j != nil {
			known = j.uuid(i)
		}
		w[i] = inspected{planned: planned, shards: planned.Shards}
		switch {
		case p.beside(planned):
			w[i].judgeReplacement(p, o.states, o.recoveries, running, known, r.name)
		case there:
			w[i].judge(state, o.recoveries[planned.Target], running, known, r.name, p.Snapshot.Name)
		}
		x := &w[i]
		x.since = (x.standing == broken && !x.leftover || x.standing == foreign && x.cloned && x.open) && (x.stuck || j != nil && among(j.Ended, x.uuid) != "")
		x.forgotten = x.orphan && j != nil && j.expects(i) && !x.created.IsZero() && x.created.Before(p.Snapshot.End.Add(clockLag))
	}
	return w
}

func primaries(s es.IndexState) []es.Primary {
	var out []es.Primary
	for _, p := range s.Primaries {
		out = append(out, p)
	}
	return out
}

// shardKey names a shard by its index's UUID: a name may have been taken by another index meanwhile.
type shardKey struct {
	uuid  string
	shard int
}

// runningShards are the states of the shards that restores of this snapshot work on.
func runningShards(restores []es.RunningRestore, repository, snapshot string) map[shardKey]string {
	out := map[shardKey]string{}
	for _, x := range restores {
		if x.Repository != repository || x.Snapshot != snapshot {
			continue
		}
		for _, s := range x.Shards {
			out[shardKey{s.Index.UUID, s.Shard}] = s.State
		}
	}
	return out
}

// judge decides how an index that is there stands.
func (x *inspected) judge(s es.IndexState, recoveries []es.Recovery, running map[shardKey]string, known, repository, snapshot string) {
	x.uuid, x.created, x.open, x.shards, x.policy = s.UUID, s.Created, s.Open, max(s.Shards, x.shards), s.Policy
	byJournal := known != "" && strings.HasPrefix(s.UUID, known)
	bySource, fromDisk, emptied := map[int]bool{}, map[int]bool{}, map[int]bool{}
	for _, rec := range recoveries {
		bySource[rec.Shard], fromDisk[rec.Shard] = rec.Source.From(repository, snapshot), rec.Source.Type == existingStore
		emptied[rec.Shard] = rec.Source.Type == emptyStore
	}
	ours, lost, onDisk, copied := byJournal, 0, 0, false
	for shard := range x.shards {
		p, there := s.Primaries[shard]
		state, inRestore := running[shardKey{s.UUID, shard}]
		if p.Source.Type == existingStore || (p.Started() && fromDisk[shard]) {
			onDisk++
		}
		ours = ours || inRestore || p.Source.From(repository, snapshot) || (p.Started() && bySource[shard])
		switch {
		case p.Started():
			x.started++
			if bySource[shard] {
				x.proven++
			} else if byJournal && !emptied[shard] {
				x.proven++
				x.later = true
			}
		case state == es.RestoreFailure, there && p.State == "UNASSIGNED" && !inRestore && (p.Source.From(repository, snapshot) || p.Status == "no_valid_shard_copy"):
			lost++
			x.failures = append(x.failures, Failure{Index: x.planned.Target, Shard: shard, Reason: failureReason(p)})
			x.restart = x.restart || (p.Source.Type == existingStore && state == "")
		case there && stuck(p):
			lost, x.stuck = lost+1, true
			x.failures = append(x.failures, Failure{Index: x.planned.Target, Shard: shard, Reason: failureReason(p)})
		default:
			copied = copied || inRestore || p.Source.Type != existingStore
		}
	}
	switch {
	case !ours || !s.Open:
		x.standing, x.failures, x.restart = foreign, nil, false
		x.orphan = s.Open && onDisk == x.shards
	case lost > 0:
		x.standing = broken
	case x.started < x.shards:
		x.standing, x.starting = underway, !copied
	case x.proven < x.shards:
		x.standing = foreign
	default:
		x.standing = complete
	}
}

// stuck reports whether the server has given up to start a primary that is on its own disk. One that was never started, as
// when it was half restored, is no valid copy.
func stuck(p es.Primary) bool {
	return p.State == "UNASSIGNED" && p.Source.Type == existingStore && p.Status == "deciders_no" && p.Attempts > 0
}

// clockLag is how far the clock may be behind by which Elasticsearch dates its snapshots, and not its indices:
// thread_pool.estimated_time_interval.
const clockLag = 200 * time.Millisecond

// existingStore is the source of a primary that the server looks for on its own disk.
const existingStore = "EXISTING_STORE"

// emptyStore is the source of a primary that began with nothing, as one that failed and was allocated empty by hand.
const emptyStore = "EMPTY_STORE"

// notAssigned begins the reason of a shard that no node was allowed to take.
const notAssigned = "not assigned: "

// failureReason is the innermost cause in what the routing table says of a failed shard: a stack trace.
func failureReason(p es.Primary) string {
	if p.Source.Type == existingStore && p.Status == "no_valid_shard_copy" {
		return "the server was restarted before the shard was restored"
	}
	details := p.Details
	if i := strings.LastIndex(details, "Caused by: "); i >= 0 {
		details = details[i+len("Caused by: "):]
	} else if i := strings.LastIndex(details, "; nested: "); i >= 0 {
		details = details[i+len("; nested: "):]
	}
	details, _, _ = strings.Cut(strings.TrimSpace(details), "\n")
	if details == "" || strings.HasPrefix(details, "restore_source[") {
		details = notAssigned + p.Status
	}
	return details
}
