package snapshot

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// Filter chooses snapshots. The zero value lets all through.
type Filter struct {
	// Names are names or patterns with *.
	Names []string
	// States, when not empty, are the states to let through.
	States []string
	// Complete lets only those through that can be restored whole.
	Complete bool
	// Ours lets only those through that this SDK took.
	Ours bool
	// Since and Until, when not zero, bound the start.
	Since, Until time.Time
	// WithIndices asks for the names of indices and data streams too, which are most of the answer.
	WithIndices bool
	// NewestFirst turns the order round.
	NewestFirst bool
}

// Lets reports whether the filter lets s through; Names are not looked at.
func (f Filter) Lets(s Snapshot) bool {
	return (len(f.States) == 0 || slices.Contains(f.States, s.State)) &&
		(!f.Complete || s.Complete()) && (!f.Ours || s.Ours()) &&
		(f.Since.IsZero() || !s.Start.Before(f.Since)) && (f.Until.IsZero() || !s.Start.After(f.Until))
}

// List implements SnapshotRepo. What the repository has of each snapshot is read once, twice with the names of indices; of those
// that began before Since, nothing is read. Newest first, those of the last eight days are read before the others, which are read
// only for who does not stop there. A page is 10,000 snapshots.
func (r *Repo) List(ctx context.Context, f Filter) iter.Seq2[Snapshot, error] {
	return func(yield func(Snapshot, error) bool) {
		q := es.SnapshotQuery{Names: f.Names, WithoutIndices: !f.WithIndices, Descending: f.NewestFirst, Since: f.Since}
		chosen := tooManyNames(f.Names)
		if chosen != nil {
			q.Names = nil
		}
		for info, err := range r.conn.Snapshots(ctx, r.name, q) {
			if err != nil {
				yield(Snapshot{}, nuvlaops.Wrap("snapshot.List", r.name, r.explain(ctx, err)))
				return
			}
			if s := fromInfo(info); f.Lets(*s) && (chosen == nil || chosen[s.Name]) && !yield(*s, nil) {
				return
			}
		}
	}
}

// tooManyNames are names that do not fit into the line of a request, to be chosen from the whole list; nil when they fit, or when
// there is a pattern among them, which Elasticsearch alone knows how to read.
func tooManyNames(names []string) map[string]bool {
	bytes, chosen := 0, map[string]bool{}
	for _, name := range names {
		if ValidateName(name) != nil {
			return nil
		}
		bytes, chosen[name] = bytes+len(name)+1, true
	}
	if bytes <= maxBatchBytes {
		return nil
	}
	return chosen
}

// Get implements SnapshotRepo.
func (r *Repo) Get(ctx context.Context, name string) (*Snapshot, error) {
	s, err := r.get(ctx, name)
	return s, nuvlaops.Wrap("snapshot.Get", r.resource(name), err)
}

func (r *Repo) get(ctx context.Context, name string) (*Snapshot, error) {
	if err := ValidateName(name); err != nil {
		return nil, err
	}
	info, err := r.conn.SnapshotWithDetails(ctx, r.name, name)
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	return fromInfo(info), nil
}
