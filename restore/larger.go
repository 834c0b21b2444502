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

// String says what the latest holds, and what this one held.
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
// bytes of the oldest one. Of those that are as large, within a half, the newest is named: that is the one to restore when the
// data was lost. Where neither can be read there is none.
func (r *Repo) larger(ctx context.Context, latest *es.SnapshotInfo, details map[string]es.IndexDetail, week []es.SnapshotInfo) *Larger {
	here, counted := latest.Manifest()
	var most int64
	for _, other := range week {
		m, _ := other.Manifest()
		most = max(most, m.Total)
	}
	if counted && most > 0 {
		return newest(week, most, here.Total, func(other es.SnapshotInfo) *Larger {
			m, _ := other.Manifest()
			return &Larger{Documents: m.Total, LatestDocuments: here.Total}
		})
	}
	if len(week) == 0 {
		return nil
	}
	bytes := bytesOf(details)
	measure := func(other es.SnapshotInfo) *Larger {
		info, _ := r.conn.SnapshotWithDetails(ctx, r.name, other.Name) // of nothing where it cannot be read
		return &Larger{Bytes: bytesOf(info.Details), LatestBytes: bytes}
	}
	return newest(week, measure(week[len(week)-1]).Bytes, bytes, measure)
}

// newest is the first that holds more than twice as much as the latest, and more than half of the most.
func newest(week []es.SnapshotInfo, most, here int64, measure func(es.SnapshotInfo) *Larger) *Larger {
	if most <= 2*here {
		return nil
	}
	for _, other := range week {
		if l := measure(other); max(l.Documents, l.Bytes) > max(2*here, most/2) {
			l.Name, l.Start = other.Name, other.Start
			return l
		}
	}
	return nil
}

func bytesOf(details map[string]es.IndexDetail) (total int64) {
	for _, d := range details {
		total += d.Bytes
	}
	return total
}
