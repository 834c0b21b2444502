package snapshot_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nuvla/nuvlaops/snapshot"
)

// A long list costs a read of each snapshot's description.
func TestAListThatTheCallerHasReadIsReadAgainOnlyWhereItMissesSome(t *testing.T) {
	for _, tc := range []struct {
		name   string
		listed []string
		asked  string // of the list
		want   []string
	}{
		{"nothing was listed", nil, "a,damaged,b", []string{"damaged"}},
		{"all that can be described", []string{"a", "b"}, "damaged", []string{"damaged"}},
		{"one has ended since", []string{"a", "damaged"}, "b", nil},
		{"all", []string{"b", "damaged", "a", "removed since"}, "", nil},
	} {
		asked := ""
		repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("verbose") == "false" {
				return reply(200, `{"snapshots":[{"snapshot":"a","state":"SUCCESS"},{"snapshot":"damaged","state":"SUCCESS"},{"snapshot":"b","state":"SUCCESS"}]}`)
			}
			if r.URL.Query().Get("ignore_unavailable") != "true" { // why one cannot be read
				return reply(500, `{"error":{"type":"snapshot_exception","reason":"[r:damaged] Snapshot could not be read","caused_by":{"type":"no_such_file_exception","reason":"snap-1.dat"}}}`)
			}
			asked += strings.TrimPrefix(r.URL.Path, "/_snapshot/r/")
			return reply(200, `{"snapshots":[{"snapshot":"a","state":"SUCCESS"},{"snapshot":"b","state":"SUCCESS"}]}`)
		}), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := repo.Unreadable(t.Context(), tc.listed...)
		if diff := cmp.Diff(tc.want, got); err != nil || diff != "" || asked != tc.asked {
			t.Errorf("%s: %v, the list was asked for %q, want %q; %s", tc.name, err, asked, tc.asked, diff)
		}
	}
}

// The store that a deletion has failed for may be away: Elasticsearch knows the names then, and leaves out of its list what it
// cannot read. Whose marks and manifests are forgotten by that would lose them.
func TestWhatCannotBeDescribedIsNotCalledGoneWhenADeletionFails(t *testing.T) {
	const all = 60 // more than one request deletes
	var entries, first []string
	for i := range all {
		name := fmt.Sprintf("s%02d", i)
		entries = append(entries, fmt.Sprintf(`{"snapshot":%q,"uuid":%q,"state":"SUCCESS","start_time_in_millis":%d}`, name, name, i+1))
		if i < 50 {
			first = append(first, name)
		}
	}
	for _, tt := range []struct{ left, gone []string }{{entries, nil}, {entries[len(first):], first}} {
		deleted := false
		repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
			switch {
			case r.Method == http.MethodDelete:
				deleted = true
				return reply(500, `{"error":{"type":"repository_exception","reason":"the store is away"},"status":500}`)
			case r.URL.Query().Get("verbose") == "false":
				return reply(200, `{"snapshots":[`+strings.Join(tt.left, ",")+`]}`)
			case deleted:
				return reply(200, `{"snapshots":[]}`)
			}
			return reply(200, `{"snapshots":[`+strings.Join(entries, ",")+`]}`)
		}), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, repo := range []snapshot.SnapshotRepo{repo, snapshot.WithMarks(repo, t.TempDir()+"/marks.json")} {
			deleted = false
			plan, err := snapshot.PlanPrune(t.Context(), repo, snapshot.Policy{Last: 1, MinComplete: 1, Others: true})
			if err != nil {
				t.Fatal(err)
			}
			got, err := snapshot.Prune(t.Context(), repo, plan)
			slices.Sort(got)
			if diff := cmp.Diff(tt.gone, got, cmpopts.EquateEmpty()); err == nil || diff != "" || !deleted {
				t.Errorf("%d are there: %v, gone (-want +got):\n%s", len(tt.left), err, diff)
			}
		}
	}
}
