package snapshot_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/snapshot"
)

// A long list costs a read of each snapshot's description.
func TestAListThatTheCallerHasReadIsReadAgainOnlyWhereItMissesSome(t *testing.T) {
	for _, tc := range []struct {
		name   string
		listed []string
		lists  int
		want   []string
	}{
		{"nothing was listed", nil, 1, []string{"damaged"}},
		{"all that can be described", []string{"a", "b"}, 1, []string{"damaged"}},
		{"one has ended since", []string{"a", "damaged"}, 1, nil},
		{"all", []string{"b", "damaged", "a", "removed since"}, 0, nil},
	} {
		lists := 0
		repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("verbose") == "false" {
				return reply(200, `{"snapshots":[{"snapshot":"a","state":"SUCCESS"},{"snapshot":"damaged","state":"SUCCESS"},{"snapshot":"b","state":"SUCCESS"}]}`)
			}
			lists++
			return reply(200, `{"snapshots":[{"snapshot":"a","state":"SUCCESS"},{"snapshot":"b","state":"SUCCESS"}]}`)
		}), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := repo.Unreadable(t.Context(), tc.listed...)
		if diff := cmp.Diff(tc.want, got); err != nil || diff != "" || lists != tc.lists {
			t.Errorf("%s: %v, the list was read %d times, want %d; %s", tc.name, err, lists, tc.lists, diff)
		}
	}
}
