// Package snapshottest helps to test code that uses package snapshot: Fake is a repository in memory, and Conformance
// is what every implementation of snapshot.SnapshotRepo must do.
package snapshottest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

// Fake is a snapshot.SnapshotRepo in memory. Its methods may be called at the same time; its fields are set before.
type Fake struct {
	// Name of the repository. Default "fake".
	Name string
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Documents by index are what Create takes.
	Documents map[string]int64
	// Nodes that verify the repository. Default "node-1".
	Nodes []string
	// VerifyErr, when not nil, is what the storage answers to these settings; the registration is put back.
	VerifyErr func(snapshot.Settings) error
	// FailShard, when not nil, names a reason for which the only shard of an index is missing: the snapshot is PARTIAL.
	FailShard func(index string) string
	// Block, when not nil, is waited for between the beginning and the end of a snapshot.
	Block <-chan struct{}

	mu         sync.Mutex
	registered *snapshot.Settings
	snapshots  []snapshot.Snapshot
}

var _ snapshot.SnapshotRepo = (*Fake)(nil)

func (f *Fake) name() string {
	if f.Name == "" {
		return "fake"
	}
	return f.Name
}

func (f *Fake) now() time.Time {
	if f.Now == nil {
		return time.Now().UTC()
	}
	return f.Now().UTC()
}

// Add puts a snapshot into the repository as it is.
func (f *Fake) Add(s ...snapshot.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshots = append(f.snapshots, s...)
}

// Registered returns the settings; nil when there are none.
func (f *Fake) Registered() *snapshot.Settings {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.registered
}

// Ensure implements snapshot.SnapshotRepo.
func (f *Fake) Ensure(ctx context.Context, want snapshot.Settings) (snapshot.Change, error) {
	change, err := f.ensure(ctx, want)
	return change, nuvlaops.Wrap("snapshot.Ensure", f.name(), err)
}

func (f *Fake) ensure(ctx context.Context, want snapshot.Settings) (snapshot.Change, error) {
	if ctx.Err() != nil {
		return snapshot.Change{}, context.Cause(ctx)
	}
	if err := want.Validate(); err != nil {
		return snapshot.Change{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	change := snapshot.Change{Created: f.registered == nil, Settings: differences(f.registered, want), Nodes: f.Nodes}
	if len(change.Nodes) == 0 {
		change.Nodes = []string{"node-1"}
	}
	running := slices.ContainsFunc(f.snapshots, snapshot.Snapshot.Running)
	if !change.Created && running && slices.ContainsFunc(change.Settings, fixed) {
		return snapshot.Change{}, &nuvlaops.Error{Reason: "a snapshot is running in the repository", Err: nuvlaops.ErrConflict}
	}
	if f.VerifyErr != nil {
		if err := f.VerifyErr(want); err != nil {
			return snapshot.Change{}, fmt.Errorf("%w: %w", nuvlaops.ErrRepository, err)
		}
	}
	f.registered = clone(want)
	return change, nil
}

// clone has nothing in common with the settings of the caller, who may change his.
func clone(s snapshot.Settings) *snapshot.Settings {
	if s.S3 != nil {
		s.S3 = new(*s.S3)
	}
	if s.FS != nil {
		s.FS = new(*s.FS)
	}
	if s.Compress != nil {
		s.Compress = new(*s.Compress)
	}
	s.Other = maps.Clone(s.Other)
	return &s
}

// fixed reports whether a setting cannot be changed while a snapshot runs.
func fixed(c snapshot.SettingChange) bool { return !strings.HasSuffix(c.Name, "_bytes_per_sec") }

func differences(before *snapshot.Settings, after snapshot.Settings) []snapshot.SettingChange {
	was, is := map[string]string{}, plain(after)
	if before != nil {
		was = plain(*before)
	}
	names := maps.Clone(was)
	maps.Copy(names, is)
	out := []snapshot.SettingChange{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if was[name] != is[name] {
			out = append(out, snapshot.SettingChange{Name: name, Before: was[name], After: is[name]})
		}
	}
	return out
}

// plain is the form that Elasticsearch gives back.
func plain(s snapshot.Settings) map[string]string {
	raw, _ := json.Marshal(s) // of strings only
	var d struct {
		Type     string            `json:"type"`
		Settings map[string]string `json:"settings"`
	}
	_ = json.Unmarshal(raw, &d)
	if d.Settings == nil {
		d.Settings = map[string]string{}
	}
	d.Settings["type"] = d.Type
	return d.Settings
}

// List implements snapshot.SnapshotRepo.
func (f *Fake) List(ctx context.Context, filter snapshot.Filter) iter.Seq2[snapshot.Snapshot, error] {
	return func(yield func(snapshot.Snapshot, error) bool) {
		all, err := f.sorted(ctx)
		if err != nil {
			yield(snapshot.Snapshot{}, nuvlaops.Wrap("snapshot.List", f.name(), err))
			return
		}
		if filter.NewestFirst {
			slices.Reverse(all)
		}
		for _, s := range all {
			if !matches(filter.Names, s.Name) || !filter.Lets(s) {
				continue
			}
			if !filter.WithIndices {
				s.Indices = nil
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (f *Fake) sorted(ctx context.Context) ([]snapshot.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(ctx); err != nil {
		return nil, err
	}
	all := slices.Clone(f.snapshots)
	slices.SortStableFunc(all, func(a, b snapshot.Snapshot) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all, nil
}

func matches(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return ok && err == nil
	})
}

// usable is asked with the lock held.
func (f *Fake) usable(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if f.registered == nil {
		return &nuvlaops.Error{Reason: "the repository is not registered", Err: nuvlaops.ErrNotFound}
	}
	return nil
}

// Get implements snapshot.SnapshotRepo.
func (f *Fake) Get(ctx context.Context, name string) (*snapshot.Snapshot, error) {
	s, err := f.get(ctx, name)
	return s, nuvlaops.Wrap("snapshot.Get", f.name()+"/"+name, err)
}

func (f *Fake) get(ctx context.Context, name string) (*snapshot.Snapshot, error) {
	if err := snapshot.ValidateName(name); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(ctx); err != nil {
		return nil, err
	}
	if i := f.index(name); i >= 0 {
		s := f.snapshots[i]
		return &s, nil
	}
	return nil, &nuvlaops.Error{Reason: "the snapshot does not exist", Err: nuvlaops.ErrNotFound}
}

func (f *Fake) index(name string) int {
	return slices.IndexFunc(f.snapshots, func(s snapshot.Snapshot) bool { return s.Name == name })
}

// Delete implements snapshot.SnapshotRepo.
func (f *Fake) Delete(ctx context.Context, names ...string) error {
	return nuvlaops.Wrap("snapshot.Delete", f.name(), f.delete(ctx, names))
}

func (f *Fake) delete(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := snapshot.ValidateName(name); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(ctx); err != nil {
		return err
	}
	if s := f.registered; s.ReadOnly {
		return &nuvlaops.Error{Reason: "the repository is read-only", Err: nuvlaops.ErrRepository}
	}
	f.snapshots = slices.DeleteFunc(f.snapshots, func(s snapshot.Snapshot) bool { return slices.Contains(names, s.Name) })
	return nil
}

// random identifies a run or a snapshot.
func random() string { return rand.Text() }
