package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// Validate returns an error that matches ErrInvalid for a name that is not one name.
func (s Selector) Validate() error {
	if s.Name != "" && !isName(s.Name) {
		return invalid(fmt.Sprintf("snapshot name %q is not one name", s.Name), "leave it empty for the latest")
	}
	return nil
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
	// Larger is set by Choose when it chose the latest: one of the week before holds more than twice as much.
	Larger *Larger `json:"larger,omitempty"`

	needs    int // the index version (es.SnapshotInfo.VersionID)
	failures []es.ShardFailure
	details  map[string]es.IndexDetail
}

func snapshotOf(i es.SnapshotInfo) *Snapshot {
	s := &Snapshot{Name: i.Name, UUID: i.UUID, State: i.State, Version: i.Version, Start: i.Start, End: i.End, Indices: i.Indices,
		DataStreams: i.DataStreams, GlobalState: i.GlobalState, Shards: i.Shards.Total, Failed: i.Shards.Failed,
		needs: i.VersionID, failures: i.Failures, details: i.Details}
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
	if err := sel.Validate(); err != nil {
		return nil, err
	}
	if sel.Name != "" {
		return r.named(ctx, sel)
	}
	return r.latest(ctx, sel)
}

func (r *Repo) firstThatFits(ctx context.Context, sel Selector) (*Snapshot, error) {
	var passed passedOver
	var latest *es.SnapshotInfo
	var week []es.SnapshotInfo // before it
	for info, err := range r.conn.Snapshots(ctx, r.name, es.SnapshotQuery{WithoutIndices: true, Descending: true, Strict: true}) {
		if latest != nil && (err != nil || info.Start.Before(latest.Start.Add(-largerWithin))) {
			break
		}
		switch {
		case err != nil:
			return nil, err
		case latest != nil && info.Complete():
			week = append(week, info)
		case latest != nil:
		case sel.Among != nil && !slices.Contains(sel.Among, info.Name):
			passed.others++
			passed.show(info, "not among those to choose from")
		case !sel.Before.IsZero() && info.Start.After(sel.Before):
			passed.later++
			passed.show(info, "began "+info.Start.UTC().Format(time.RFC3339))
		case !info.Complete():
			passed.incomplete++
			passed.show(info, info.State)
		default:
			latest = &info
		}
	}
	if latest == nil {
		return nil, &nuvlaops.Error{Err: nuvlaops.ErrNotFound, Reason: "no complete snapshot to choose: " + passed.text(sel),
			Hint: "list the snapshots; check that this is the right repository, bucket and base path"}
	}
	s, err := r.complete(ctx, latest.Name, false) // with the names of its indices, which are most of a description
	if err == nil {
		s.Larger = r.larger(ctx, latest, s.details, week)
	}
	return s, err
}

// passedOver is why the snapshots that are there were not chosen.
type passedOver struct {
	incomplete, later, others int
	newest                    []string
}

// shownPassed is how many snapshots a refusal names: who reads it at night wants the latest few.
const shownPassed = 5

func (p *passedOver) show(info es.SnapshotInfo, why string) {
	if len(p.newest) < shownPassed {
		p.newest = append(p.newest, info.Name+" ("+why+")")
	}
}

func (p *passedOver) text(sel Selector) string {
	text := fmt.Sprintf("%d are not complete, %d began later", p.incomplete, p.later)
	if sel.Among != nil {
		text += fmt.Sprintf(", %d are not among the %d to choose from", p.others, len(sel.Among))
	}
	if len(p.newest) > 0 {
		text += "; the newest: " + strings.Join(p.newest, ", ")
	}
	return text
}

// withNewest adds to an error about a snapshot that is not there what is, as far as that can be read.
func (r *Repo) withNewest(ctx context.Context, err error) error {
	var missing *nuvlaops.Error
	if !errors.Is(err, nuvlaops.ErrNotFound) || !errors.As(err, &missing) {
		return err
	}
	var there passedOver
	for info, err := range r.conn.Snapshots(ctx, r.name, es.SnapshotQuery{WithoutIndices: true, Descending: true, PageSize: shownPassed}) {
		if err != nil || len(there.newest) == shownPassed {
			break
		}
		there.show(info, info.State)
	}
	if len(there.newest) == 0 {
		return err
	}
	out := *missing
	out.Reason += "; the newest that are there: " + strings.Join(there.newest, ", ")
	return &out
}

func (r *Repo) named(ctx context.Context, sel Selector) (*Snapshot, error) {
	if sel.Among != nil && !slices.Contains(sel.Among, sel.Name) {
		return nil, &nuvlaops.Error{Err: nuvlaops.ErrNotFound, Reason: fmt.Sprintf("the snapshot is not among the %d to choose from", len(sel.Among))}
	}
	s, err := r.complete(ctx, sel.Name, sel.AllowPartial)
	if err != nil {
		return s, r.withNewest(ctx, err)
	}
	if !sel.Before.IsZero() && s.Start.After(sel.Before) {
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
