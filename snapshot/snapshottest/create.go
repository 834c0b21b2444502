package snapshottest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	name, err := f.begin(ctx, req)
	if err != nil {
		return name, nil, err
	}
	if f.Block != nil {
		select {
		case <-f.Block:
		case <-ctx.Done():
			if req.Abort {
				f.drop(name)
			}
			return name, nil, &nuvlaops.Error{Reason: "the snapshot goes on", Err: context.Cause(ctx)}
		}
	}
	s, err := f.end(name, req)
	return name, s, err
}

// begin finds the snapshot of this run, or begins one.
func (f *Fake) begin(ctx context.Context, req snapshot.CreateRequest) (string, error) {
	name := req.Name
	if name == "" {
		name = snapshot.Name(req.Prefix, f.now())
	}
	if err := snapshot.ValidateName(name); err != nil {
		return name, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(ctx); err != nil {
		return name, err
	}
	if f.registered.ReadOnly {
		return name, &nuvlaops.Error{Reason: "the repository is read-only", Err: nuvlaops.ErrRepository}
	}
	for _, s := range f.snapshots {
		if req.RunID != "" && s.RunID == req.RunID && (req.Name == "" || req.Name == s.Name) {
			return s.Name, nil
		}
	}
	if f.index(name) >= 0 {
		if req.Name != "" {
			return name, &nuvlaops.Error{Reason: "the name is taken by another run", Err: nuvlaops.ErrExists}
		}
		name += "-" + strings.ToLower(random()[:8])
	}
	for _, s := range f.snapshots {
		if s.Running() && req.WhenBusy == snapshot.BusyRefuse {
			return name, &nuvlaops.Error{Reason: "snapshot " + s.Name + " is running", Err: nuvlaops.ErrBusy}
		}
	}
	documents := f.matching(req.Indices)
	if len(documents) == 0 {
		return name, &nuvlaops.Error{Reason: "no index matches", Err: nuvlaops.ErrNotFound}
	}
	f.snapshots = append(f.snapshots, f.started(name, req, documents))
	return name, nil
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
		s.Manifest.Indices[index] = snapshot.IndexManifest{UUID: index, Before: n, After: &n}
		s.Manifest.Documents += n
	}
	return s
}

// end ends the snapshot, which may have been ended already.
func (f *Fake) end(name string, req snapshot.CreateRequest) (*snapshot.Snapshot, error) {
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
	if req.Manifest != nil {
		if err := json.NewEncoder(req.Manifest).Encode(out.Manifest); err != nil {
			return &out, err
		}
	}
	if req.Progress != nil {
		req.Progress(nuvlaops.Progress{Op: "snapshot.Create", Phase: "done", Done: int64(out.Shards.Successful), Total: int64(out.Shards.Total), Unit: "shards"})
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
	s.Manifest.End = s.End
}

func (f *Fake) drop(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshots = slices.DeleteFunc(f.snapshots, func(s snapshot.Snapshot) bool { return s.Name == name })
}
