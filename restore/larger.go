package restore

import (
	"context"
	"fmt"
	"time"

	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/units"
)

// Larger is a complete snapshot of the week before the latest one, which holds less than half of it. An Elasticsearch that has
// lost its data is started again and is green, and what is then backed up is complete, the latest, and next to nothing. Or it
// is of fewer indices.
type Larger struct {
	Name  string    `json:"name"`
	Start time.Time `json:"start"`
	// Documents here and in the latest, where both say how many they hold; otherwise 0, and Bytes are.
	Documents       int64 `json:"documents,omitempty"`
	LatestDocuments int64 `json:"latest_documents,omitempty"`
	Bytes           int64 `json:"bytes,omitempty"`
	LatestBytes     int64 `json:"latest_bytes,omitempty"`
}

func (l *Larger) String() string {
	here, there := fmt.Sprint(l.LatestDocuments, " documents"), fmt.Sprint(l.Documents)
	if l.Documents == 0 {
		here, there = units.Bytes(l.LatestBytes), units.Bytes(l.Bytes)
	}
	return fmt.Sprintf("it holds %s, and %s of %s held %s", here, l.Name, l.Start.UTC().Format(time.RFC3339), there)
}

// largerWithin is how long before the latest snapshot a larger one counts.
const largerWithin = 7 * 24 * time.Hour

// larger looks in the week for one that is more than twice as large: by documents, as their metadata have them, or else by the
// bytes of the oldest one. Where neither can be read there is none.
func (r *Repo) larger(ctx context.Context, latest *es.SnapshotInfo, details map[string]es.IndexDetail, week []es.SnapshotInfo) *Larger {
	here, counted := latest.Manifest()
	most := &Larger{LatestDocuments: here.Total}
	for _, other := range week {
		if m, ok := other.Manifest(); ok && m.Total > most.Documents {
			most.Name, most.Start, most.Documents = other.Name, other.Start, m.Total
		}
	}
	if counted && most.Documents > 0 {
		return most.ifLarger(most.Documents, here.Total)
	}
	if len(week) == 0 {
		return nil
	}
	oldest, err := r.conn.SnapshotWithDetails(ctx, r.name, week[len(week)-1].Name)
	if err != nil {
		return nil
	}
	l := &Larger{Name: oldest.Name, Start: oldest.Start, Bytes: bytesOf(oldest.Details), LatestBytes: bytesOf(details)}
	return l.ifLarger(l.Bytes, l.LatestBytes)
}

func (l *Larger) ifLarger(there, here int64) *Larger {
	if there > 2*here {
		return l
	}
	return nil
}

func bytesOf(details map[string]es.IndexDetail) (total int64) {
	for _, d := range details {
		total += d.Bytes
	}
	return total
}
