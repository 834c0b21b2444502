package restoretest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// Fake is a Restorer in memory. Its zero value has no snapshots and no indices. It knows neither shards nor settings:
// each index has one primary. Its methods may be called at the same time.
type Fake struct {
	// Repository is the name in plans and reports.
	Repository string

	mu        sync.Mutex
	snapshots []restore.Snapshot
	indices   map[string]index
	failing   map[string]string
	hits      map[string]int64
	made      int
}

type index struct {
	documents int64
	plan      string // that made it; empty when it was there by itself
	uuid      string
}

var _ restore.Restorer = (*Fake)(nil)

// AddSnapshot adds a snapshot, a complete one when its State is SUCCESS. Its Documents say which indices it holds.
func (f *Fake) AddSnapshot(s restore.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Indices = slices.Sorted(maps.Keys(s.Documents))
	s.Shards = len(s.Indices)
	f.snapshots = append(f.snapshots, s)
}

// SetIndex puts an index into the cluster, as somebody else would.
func (f *Fake) SetIndex(name string, documents int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.indices == nil {
		f.indices = map[string]index{}
	}
	f.indices[name] = index{documents: documents, uuid: f.uuid()}
}

func (f *Fake) uuid() string {
	f.made++
	return fmt.Sprint("uuid-", f.made)
}

// RemoveIndex takes an index out of the cluster.
func (f *Fake) RemoveIndex(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.indices, name)
}

// Fail makes the restore of an index fail for this reason; an empty one lets it succeed again.
func (f *Fake) Fail(name, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing == nil {
		f.failing = map[string]string{}
	}
	f.failing[name] = reason
	if reason == "" {
		delete(f.failing, name)
	}
}

// SetHits makes the query of this name find so many documents.
func (f *Fake) SetHits(query string, n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hits == nil {
		f.hits = map[string]int64{}
	}
	f.hits[query] = n
}

// Documents by index, of all that is in the cluster.
func (f *Fake) Documents() map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int64{}
	for name, i := range f.indices {
		out[name] = i.documents
	}
	return out
}

// Choose finds a snapshot.
func (f *Fake) Choose(ctx context.Context, sel restore.Selector) (*restore.Snapshot, error) {
	if err := sel.Validate(); err != nil {
		return nil, f.wrap("Choose", sel.Name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return nil, f.wrap("Choose", sel.Name, context.Cause(ctx))
	}
	var best *restore.Snapshot
	for i := range f.snapshots {
		s := &f.snapshots[i]
		whole := complete(*s)
		switch {
		case sel.Among != nil && !slices.Contains(sel.Among, s.Name):
		case sel.Name != "" && s.Name != sel.Name, !sel.Before.IsZero() && s.Start.After(sel.Before):
		case sel.Name != "" && s.State == "IN_PROGRESS":
			return nil, f.wrap("Choose", sel.Name, &nuvlaops.Error{Reason: "the snapshot is " + s.State, Err: nuvlaops.ErrBusy})
		case sel.Name != "" && !whole && !(sel.AllowPartial && s.State == "PARTIAL"):
			return nil, f.wrap("Choose", sel.Name, &nuvlaops.Error{Reason: "the snapshot is " + s.State, Err: nuvlaops.ErrPartial})
		case !whole && sel.Name == "":
		case best == nil || s.Start.After(best.Start):
			best = s
		}
	}
	if best == nil {
		return nil, f.wrap("Choose", sel.Name, &nuvlaops.Error{Reason: f.passedOver(), Err: nuvlaops.ErrNotFound})
	}
	out := *best
	return &out, nil
}

// passedOver says what was there and is not chosen.
func (f *Fake) passedOver() string {
	there := "none is there"
	for i, s := range f.snapshots {
		if i == 0 {
			there = "there are"
		}
		there += fmt.Sprintf(" %s (%s)", s.Name, cmp.Or(s.State, "no state"))
	}
	return "no snapshot to choose: " + there
}

func complete(s restore.Snapshot) bool { return s.State == "SUCCESS" && s.Failed == 0 }

func (f *Fake) wrap(call, resource string, err error) error {
	return nuvlaops.Wrap("restore."+call, path.Join(f.Repository, resource), err)
}

// Plan plans.
func (f *Fake) Plan(ctx context.Context, req restore.Request) (*restore.Plan, error) {
	if err := req.Validate(); err != nil {
		return nil, f.wrap("Plan", req.Snapshot, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	at := slices.IndexFunc(f.snapshots, func(s restore.Snapshot) bool { return s.Name == req.Snapshot })
	switch {
	case ctx.Err() != nil:
		return nil, f.wrap("Plan", req.Snapshot, context.Cause(ctx))
	case at < 0:
		return nil, f.wrap("Plan", req.Snapshot, nuvlaops.ErrNotFound)
	}
	s := f.snapshots[at]
	p := &restore.Plan{Created: time.Now().UTC(), Repository: f.Repository, Snapshot: s, Request: req,
		Cluster: restore.Cluster{Name: "fake", UUID: "fake", DataNodes: 1}}
	for _, name := range s.Indices {
		if !req.Selects(name) {
			continue
		}
		n := s.Documents[name]
		i := restore.PlannedIndex{Name: name, Target: req.RenamePrefix + name, Shards: 1, Documents: &n}
		if req.Replace {
			i.Replaces = f.indices[i.Target].uuid
		}
		p.Indices = append(p.Indices, i)
		p.Shards++
	}
	p.ID = identity(p)
	f.find(p)
	return p, nil
}

func identity(p *restore.Plan) string {
	raw, _ := json.Marshal([]any{p.Repository, p.Snapshot.UUID, p.Request, p.Indices}) // plain data
	return fmt.Sprintf("%x", sha256.Sum256(raw))
}

// check tells a plan that was read from JSON from one that never was one.
func (f *Fake) check(ctx context.Context, p *restore.Plan) error {
	switch {
	case p == nil:
		return &nuvlaops.Error{Reason: "no plan", Err: nuvlaops.ErrInvalid}
	case p.Repository != f.Repository, p.ID != identity(p):
		return &nuvlaops.Error{Reason: "the plan was changed after it was made", Err: nuvlaops.ErrInvalid}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return nil
}

func (f *Fake) find(p *restore.Plan) {
	add := func(code, resource, text string) {
		p.Findings = append(p.Findings, restore.Finding{Severity: restore.SeverityError, Code: code, Resource: resource, Text: text})
	}
	if !complete(p.Snapshot) && !(p.Request.AllowPartial && p.Snapshot.State == "PARTIAL") {
		add(restore.CodeIncomplete, p.Snapshot.Name, "the snapshot is "+p.Snapshot.State)
	}
	if len(p.Indices) == 0 {
		add(restore.CodeNothing, p.Snapshot.Name, "nothing is selected")
	}
	for _, i := range p.Indices {
		if x, there := f.indices[i.Target]; there && x.plan != p.ID && i.Replaces != x.uuid {
			add(restore.CodeOpenIndex, i.Target, "an open index of this name is there")
		}
	}
}

// Apply restores at once.
func (f *Fake) Apply(ctx context.Context, p *restore.Plan, opts restore.ApplyOptions) (*restore.Report, error) {
	if err := f.check(ctx, p); err != nil {
		return nil, f.wrap("Apply", "", err)
	}
	r, err := f.apply(p)
	if r != nil && opts.Progress != nil {
		for n := range p.Indices {
			opts.Progress(nuvlaops.Progress{Op: "restore.Apply", Phase: "restoring", Resource: p.Snapshot.Name, Done: int64(n + 1), Total: int64(p.Shards), Unit: "shards"})
		}
	}
	return r, f.wrap("Apply", p.Snapshot.Name, err)
}

func (f *Fake) apply(p *restore.Plan) (*restore.Report, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.allowed(p); err != nil {
		return nil, err
	}
	if f.indices == nil {
		f.indices = map[string]index{}
	}
	done := 0
	spared := p.Request.Replace && slices.ContainsFunc(p.Indices, func(i restore.PlannedIndex) bool { return f.failing[i.Target] != "" })
	for _, i := range p.Indices {
		if f.indices[i.Target].plan == p.ID {
			done++
		} else if f.failing[i.Target] == "" && !spared { // one that fails leaves every original as it was
			f.indices[i.Target] = index{documents: p.Snapshot.Documents[i.Name], plan: p.ID, uuid: f.uuid()}
		}
	}
	r, err := f.report(p)
	r.AlreadyThere = done
	return r, err
}

func (f *Fake) allowed(p *restore.Plan) error {
	for _, x := range p.Findings {
		if x.Severity == restore.SeverityError {
			return &nuvlaops.Error{Reason: x.Text, Err: nuvlaops.ErrRefused}
		}
	}
	for _, i := range p.Indices {
		if x, there := f.indices[i.Target]; there && x.plan != p.ID && i.Replaces != x.uuid {
			return &nuvlaops.Error{Resource: i.Target, Reason: "there is an index of this name by now", Err: nuvlaops.ErrConflict}
		}
	}
	return nil
}

// Verify looks at what is there. A query finds all documents of its indices, or what SetHits says.
func (f *Fake) Verify(ctx context.Context, p *restore.Plan, opts restore.VerifyOptions) (*restore.Report, error) {
	if err := f.check(ctx, p); err != nil {
		return nil, f.wrap("Verify", "", err)
	}
	if err := opts.Validate(p); err != nil {
		return nil, f.wrap("Verify", p.Snapshot.Name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.report(p)
	f.compare(r, opts)
	if err == nil && !r.OK() {
		err = failed(r)
	}
	return r, f.wrap("Verify", p.Snapshot.Name, err)
}

// compare holds the report against what the caller knows.
func (f *Fake) compare(r *restore.Report, opts restore.VerifyOptions) {
	for _, i := range r.Indices {
		if want, known := opts.Documents[i.Name]; known && i.Documents != nil && (*i.Documents < want.Min || *i.Documents > want.Max) {
			r.Failures = append(r.Failures, restore.Failure{Index: i.Target, Shard: -1, Reason: fmt.Sprintf("%d documents where %s are expected", *i.Documents, want)})
		}
	}
	for _, q := range opts.Queries {
		var found int64
		for _, i := range r.Indices {
			if ok, _ := path.Match(q.Index, i.Name); ok && i.Documents != nil {
				found += *i.Documents
			}
		}
		if n, said := f.hits[q.Name]; said {
			found = n
		}
		if found < q.Min || (q.Max != nil && found > *q.Max) {
			r.Failures = append(r.Failures, restore.Failure{Index: q.Index, Shard: -1, Reason: fmt.Sprintf("query %s finds %d documents", q.Name, found)})
			continue
		}
		r.Verified = append(r.Verified, fmt.Sprintf("query %s finds %d documents", q.Name, found))
	}
}

func failed(r *restore.Report) error {
	if len(r.Failures) == 0 {
		return &nuvlaops.Error{Reason: "the plan has no index, so there is nothing to verify", Err: nuvlaops.ErrVerification}
	}
	return &nuvlaops.Error{Resource: r.Failures[0].Index, Reason: r.Failures[0].Reason, Err: nuvlaops.ErrVerification}
}

func (f *Fake) report(p *restore.Plan) (*restore.Report, error) {
	r := &restore.Report{Repository: p.Repository, Snapshot: p.Snapshot.Name, SnapshotUUID: p.Snapshot.UUID, SnapshotTime: p.Snapshot.Start, Cluster: p.Cluster.Name}
	for _, i := range p.Indices {
		line := restore.IndexReport{Name: i.Name, Target: i.Target, Stream: i.Stream, Shards: 1, Expected: i.Documents, State: restore.IndexProven, Proven: 1}
		fail := func(state, reason string) {
			line.State, line.Proven = state, 0
			r.Failures = append(r.Failures, restore.Failure{Index: i.Target, Shard: -1, Reason: reason})
		}
		switch x, there := f.indices[i.Target]; {
		case x.plan != p.ID && f.failing[i.Target] != "":
			fail(restore.IndexFailed, f.failing[i.Target])
		case !there:
			fail(restore.IndexMissing, "the index is not there")
		case x.plan != p.ID:
			fail(restore.IndexUnknown, "nothing says that the index came from the snapshot")
		default:
			line.Documents, r.Documents = &x.documents, r.Documents+x.documents
		}
		r.Shards, r.Proven = r.Shards+1, r.Proven+line.Proven
		r.Indices = append(r.Indices, line)
	}
	if !r.OK() {
		return r, failed(r)
	}
	return r, nil
}
