package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// Selector chooses a snapshot: by name, or the latest complete one, optionally at or before a time, or of a few.
type Selector struct {
	// Name is an exact name; empty means the latest complete one.
	Name string
	// Before, when not zero, passes over snapshots that started later.
	Before time.Time
	// Among, when not nil, passes over snapshots of other names: those that a drill has verified, for instance.
	Among []string
	// AllowPartial takes a snapshot in which shards are missing, when it is named.
	AllowPartial bool
}

// Snapshot describes a snapshot that can be restored.
type Snapshot struct {
	Name        string    `json:"name"`
	UUID        string    `json:"uuid"`
	State       string    `json:"state"`
	Version     string    `json:"version,omitempty"`
	Start       time.Time `json:"start"`
	End         time.Time `json:"end,omitzero"`
	Indices     []string  `json:"indices"` // backing indices of data streams included
	DataStreams []string  `json:"data_streams,omitempty"`
	GlobalState bool      `json:"global_state,omitempty"`
	Shards      int       `json:"shards"`
	Failed      int       `json:"failed_shards,omitempty"`
	// Documents by index right before the snapshot began, as its metadata hold them; nil when there are none. The smallest
	// indices may be left out.
	Documents map[string]int64 `json:"documents,omitempty"`

	failures []es.ShardFailure
	details  map[string]es.IndexDetail
}

func snapshotOf(i es.SnapshotInfo) *Snapshot {
	s := &Snapshot{Name: i.Name, UUID: i.UUID, State: i.State, Version: i.Version, Start: i.Start, End: i.End, Indices: i.Indices,
		DataStreams: i.DataStreams, GlobalState: i.GlobalState, Shards: i.Shards.Total, Failed: i.Shards.Failed,
		failures: i.Failures, details: i.Details}
	if m, ok := i.Manifest(); ok {
		s.Documents = m.Documents
	}
	return s
}

// Choose finds the snapshot to restore.
func (r *Repo) Choose(ctx context.Context, sel Selector) (*Snapshot, error) {
	s, err := r.choose(ctx, sel)
	return s, nuvlaops.Wrap("restore.Choose", r.resource(sel.Name), err)
}

func (r *Repo) choose(ctx context.Context, sel Selector) (*Snapshot, error) {
	if sel.Name != "" {
		return r.named(ctx, sel)
	}
	return r.latest(ctx, sel)
}

func (r *Repo) firstThatFits(ctx context.Context, sel Selector) (*Snapshot, error) {
	passed := map[string]int{}
	for info, err := range r.conn.Snapshots(ctx, r.name, es.SnapshotQuery{WithoutIndices: true, Descending: true, Strict: true}) {
		switch {
		case err != nil:
			return nil, err
		case sel.Among != nil && !slices.Contains(sel.Among, info.Name):
			passed["others"]++
		case !sel.Before.IsZero() && info.Start.After(sel.Before):
			passed["later"]++
		case !info.Complete():
			passed["not complete"]++
		default: // now with the names of its indices, which are most of a description
			return r.complete(ctx, info.Name, false)
		}
	}
	return nil, &nuvlaops.Error{Err: nuvlaops.ErrNotFound, Reason: "no complete snapshot to choose: " + sel.passedText(passed),
		Hint: "list the snapshots; check that this is the right repository, bucket and base path"}
}

// passedText says why the snapshots that are there were passed over.
func (sel Selector) passedText(passed map[string]int) string {
	text := fmt.Sprintf("%d are not complete, %d began later", passed["not complete"], passed["later"])
	if sel.Among != nil {
		text += fmt.Sprintf(", %d are not among the %d to choose from", passed["others"], len(sel.Among))
	}
	return text
}

func (r *Repo) named(ctx context.Context, sel Selector) (*Snapshot, error) {
	if sel.Among != nil && !slices.Contains(sel.Among, sel.Name) {
		return nil, &nuvlaops.Error{Err: nuvlaops.ErrNotFound, Reason: fmt.Sprintf("the snapshot is not among the %d to choose from", len(sel.Among))}
	}
	s, err := r.complete(ctx, sel.Name, sel.AllowPartial)
	if err == nil && !sel.Before.IsZero() && s.Start.After(sel.Before) {
		return nil, &nuvlaops.Error{Err: nuvlaops.ErrNotFound, Reason: fmt.Sprintf("the snapshot began %s, later than asked for", s.Start.Format(time.RFC3339))}
	}
	return s, err
}

func (r *Repo) complete(ctx context.Context, name string, allowPartial bool) (*Snapshot, error) {
	info, err := r.conn.SnapshotWithDetails(ctx, r.name, name)
	if err != nil {
		return nil, damaged(err)
	}
	s := snapshotOf(info)
	if info.Complete() || (allowPartial && s.State == es.StatePartial) {
		return s, nil
	}
	return s, incomplete(info)
}

// incomplete says why a snapshot is not one to restore.
func incomplete(info es.SnapshotInfo) error {
	e := &nuvlaops.Error{Err: nuvlaops.ErrPartial, Reason: fmt.Sprintf("the snapshot is %s, %d of %d shards are in it",
		info.State, info.Shards.Successful, info.Shards.Total), Hint: "choose another snapshot"}
	if info.Running() {
		e.Err, e.Hint = nuvlaops.ErrBusy, "wait for its end, or choose another snapshot"
	}
	return e
}

// isPartial reports whether a choice failed only because the snapshot is not complete.
func isPartial(err error) bool {
	return errors.Is(err, nuvlaops.ErrPartial) || errors.Is(err, nuvlaops.ErrBusy)
}
