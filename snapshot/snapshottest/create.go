package snapshottest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

// Create implements snapshot.SnapshotRepo. The context's end leaves the snapshot IN_PROGRESS; a call with the same
// RunID ends it.
func (f *Fake) Create(ctx context.Context, req snapshot.CreateRequest) (*snapshot.Snapshot, error) {
	name, s, err := f.create(ctx, req)
	return s, nuvlaops.Wrap("snapshot.Create", f.name()+"/"+name, err)
}

func (f *Fake) create(ctx context.Context, req snapshot.CreateRequest) (string, *snapshot.Snapshot, error) {
	name, counted, err := f.beginWhenFree(ctx, req)
	if err != nil {
		return name, nil, err
	}
	if f.Block != nil {
		select {
		case <-f.Block:
		case <-ctx.Done():
			reason := "the snapshot goes on"
			if req.Abort && f.drop(name) {
				reason = "the snapshot was aborted"
			}
			return name, nil, &nuvlaops.Error{Reason: reason, Err: context.Cause(ctx)}
		}
	}
	s, err := f.end(name, req, counted)
	return name, s, err
}

// beginWhenFree is begin, after the end of the snapshots that run.
func (f *Fake) beginWhenFree(ctx context.Context, req snapshot.CreateRequest) (string, map[string]int64, error) {
	limit := time.After(cmp.Or(req.BusyTimeout, 30*time.Minute))
	for {
		name, counted, err := f.begin(ctx, req)
		if req.WhenBusy != snapshot.BusyWait || !errors.Is(err, nuvlaops.ErrBusy) {
			return name, counted, err
		}
		select {
		case <-ctx.Done():
			return name, nil, context.Cause(ctx)
		case <-limit:
			return name, nil, err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// begin finds the snapshot of this run, or begins one of the documents that it returns.
func (f *Fake) begin(ctx context.Context, req snapshot.CreateRequest) (string, map[string]int64, error) {
	name := req.Name
	if name == "" {
		name = snapshot.Name(req.Prefix, f.now())
	}
	if err := req.Validate(); err != nil {
		return name, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(ctx); err != nil {
		return name, nil, err
	}
	if f.registered.ReadOnly {
		return name, nil, &nuvlaops.Error{Reason: "the repository is read-only", Err: nuvlaops.ErrRepository}
	}
	for _, s := range f.snapshots {
		if req.RunID != "" && s.RunID == req.RunID && (req.Name == "" || req.Name == s.Name) {
			return s.Name, nil, nil
		}
	}
	if f.index(name) >= 0 {
		if req.Name != "" {
			return name, nil, &nuvlaops.Error{Reason: "the name is taken by another run", Err: nuvlaops.ErrExists}
		}
		name += "-" + strings.ToLower(random()[:8])
	}
	for _, s := range f.snapshots {
		if s.Running() && req.WhenBusy != snapshot.BusyBeside {
			return name, nil, &nuvlaops.Error{Reason: "snapshot " + s.Name + " is running", Err: nuvlaops.ErrBusy}
		}
	}
	documents := f.matching(req.Indices)
	if len(documents) == 0 && !req.GlobalState && !req.Partial {
		return name, nil, &nuvlaops.Error{Reason: "no index matches", Err: nuvlaops.ErrNotFound}
	}
	f.snapshots = append(f.snapshots, f.started(name, req, documents))
	return name, documents, nil
}

func (f *Fake) matching(patterns []string) map[string]int64 {
	if len(patterns) == 0 {
		patterns = []string{"nuvla-*"}
	}
	out := maps.Clone(f.Documents)
	maps.DeleteFunc(out, func(index string, _ int64) bool { return !matches(patterns, index) })
	return out
}

func (f *Fake) started(name string, req snapshot.CreateRequest, documents map[string]int64) snapshot.Snapshot {
	if req.RunID == "" {
		req.RunID = random()
	}
	s := snapshot.Snapshot{Name: name, Repository: f.name(), UUID: random(), State: snapshot.InProgress, Start: f.now(),
		Indices: slices.Sorted(maps.Keys(documents)), GlobalState: req.GlobalState, RunID: req.RunID, Pinned: req.Pin}
	s.Manifest = &snapshot.Manifest{Repository: s.Repository, Snapshot: name, UUID: s.UUID, RunID: s.RunID, Start: s.Start,
		Indices: map[string]snapshot.IndexManifest{}, Digest: fmt.Sprint(documents)}
	for index, n := range documents {
		s.Manifest.Indices[index] = snapshot.IndexManifest{Before: n}
		s.Manifest.Documents += n
	}
	return s
}

// whole is the manifest of the call that has counted. A repository keeps only what was known when the snapshot began.
func whole(m snapshot.Manifest, counted map[string]int64) *snapshot.Manifest {
	m.Indices = map[string]snapshot.IndexManifest{}
	for index, n := range counted {
		m.Indices[index] = snapshot.IndexManifest{UUID: index, Before: n, After: &n}
	}
	return &m
}

// end ends the snapshot, and tells the caller, who may read the fake meanwhile.
func (f *Fake) end(name string, req snapshot.CreateRequest, counted map[string]int64) (*snapshot.Snapshot, error) {
	out, err := f.ended(name)
	if err != nil {
		return out, err
	}
	if counted != nil {
		out.Manifest = whole(*out.Manifest, counted)
	}
	if req.Manifest != nil && out.Manifest != nil {
		if err := json.NewEncoder(req.Manifest).Encode(out.Manifest); err != nil {
			return out, err
		}
	}
	if req.Progress != nil {
		req.Progress(nuvlaops.Progress{Op: "snapshot.Create", Phase: "done", Done: int64(out.Shards.Successful), Total: int64(out.Shards.Total), Unit: "shards"})
	}
	return out, nil
}

// ended is the snapshot at its end, which may have come already.
func (f *Fake) ended(name string) (*snapshot.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.index(name)
	if i < 0 {
		return nil, &nuvlaops.Error{Reason: "the snapshot is not listed any more", Err: nuvlaops.ErrVerification}
	}
	s := &f.snapshots[i]
	if s.Running() {
		f.finish(s)
	}
	out := *s
	if !out.Complete() {
		return &out, &nuvlaops.Error{Reason: "the snapshot ended " + out.State, Err: nuvlaops.ErrPartial}
	}
	return &out, nil
}

func (f *Fake) finish(s *snapshot.Snapshot) {
	s.State, s.End = snapshot.Success, f.now()
	s.Shards.Total = len(s.Indices)
	for _, index := range s.Indices {
		reason := ""
		if f.FailShard != nil {
			reason = f.FailShard(index)
		}
		if reason == "" {
			s.Shards.Successful++
			continue
		}
		s.State = snapshot.Partial
		s.Shards.Failed++
		s.Failures = append(s.Failures, snapshot.Failure{Index: index, Reason: reason})
	}
	if s.Manifest != nil { // one that was added may have none
		m := *s.Manifest // what was handed out stays as it was
		m.End, s.Manifest = s.End, &m
	}
}

// drop deletes a snapshot that has not ended, and reports whether it did.
func (f *Fake) drop(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.snapshots)
	f.snapshots = slices.DeleteFunc(f.snapshots, func(s snapshot.Snapshot) bool { return s.Name == name && s.Running() })
	return len(f.snapshots) < n
}
