package snapshot_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/snapshot"
)

// Newest first, a list comes in two parts, wherever the server is told to cut it.
func TestTheNewestSnapshotsComeFirstWhereverTheListIsCut(t *testing.T) {
	for _, p := range places[1:] {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := p.bench(t)
			b.register()
			b.fill(b.index("job"), 1)
			names := []string{"d", "a", "c", "b"}
			var starts []time.Time
			for _, name := range names {
				s, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Name: name, Indices: []string{b.index("*")}})
				if err != nil {
					t.Fatal(err)
				}
				starts = append(starts, s.Start)
				time.Sleep(250 * time.Millisecond) // Elasticsearch reads its clock five times a second for the start
			}
			newest := slices.Clone(names)
			slices.Reverse(newest)
			list := func(q es.SnapshotQuery) (got []string) {
				for s, err := range (&es.Conn{Client: b.client}).Snapshots(t.Context(), b.repo.Name(), q) {
					if err != nil {
						t.Fatal(err)
					}
					if (len(s.Indices) == 0) != q.WithoutIndices {
						t.Errorf("%s: indices %v", s.Name, s.Indices)
					}
					got = append(got, s.Name)
				}
				return got
			}
			between := starts[2].Add(-starts[2].Sub(starts[1]) / 2)
			for _, recent := range []time.Duration{time.Nanosecond, time.Since(between), time.Hour} {
				for _, without := range []bool{true, false} {
					if d := cmp.Diff(newest, list(es.SnapshotQuery{Descending: true, Recent: recent, WithoutIndices: without})); d != "" {
						t.Errorf("those of %s first, without indices %t (-want +got):\n%s", recent, without, d)
					}
				}
			}
			for _, descending := range []bool{true, false} {
				want := slices.Clone(names[2:])
				if descending {
					slices.Reverse(want)
				}
				if d := cmp.Diff(want, list(es.SnapshotQuery{Descending: descending, Since: starts[2]})); d != "" {
					t.Errorf("since the third one, descending %t (-want +got):\n%s", descending, d)
				}
			}
		})
	}
}
