package snapshot_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

func TestARequestIsRefusedBeforeItIsSentWhereItCannotBeMeant(t *testing.T) {
	for name, tc := range map[string]struct {
		req   snapshot.CreateRequest
		valid bool
	}{
		"nothing said":             {snapshot.CreateRequest{}, true},
		"a long run":               {snapshot.CreateRequest{RunID: strings.Repeat("r", 128)}, true},
		"a longer one":             {snapshot.CreateRequest{RunID: strings.Repeat("r", 129)}, false},
		"the last way to be busy":  {snapshot.CreateRequest{WhenBusy: snapshot.BusyRefuse}, true},
		"one behind it":            {snapshot.CreateRequest{WhenBusy: snapshot.BusyRefuse + 1}, false},
		"one before the first":     {snapshot.CreateRequest{WhenBusy: -1}, false},
		"a wait below zero":        {snapshot.CreateRequest{BusyTimeout: -1}, false},
		"a stall below zero":       {snapshot.CreateRequest{StallAfter: -1}, false},
		"patterns":                 {snapshot.CreateRequest{Indices: []string{"a*", "-b"}}, true},
		"an empty pattern":         {snapshot.CreateRequest{Indices: []string{"a", ""}}, false},
		"two patterns in one":      {snapshot.CreateRequest{Indices: []string{"a,b"}}, false},
		"a prefix of no name":      {snapshot.CreateRequest{Prefix: "Nuvla."}, false},
		"a prefix that is long":    {snapshot.CreateRequest{Prefix: strings.Repeat("p", 255-18-9)}, true}, // with the time, and what keeps two of one second apart
		"a prefix that is longer":  {snapshot.CreateRequest{Prefix: strings.Repeat("p", 255-18-8)}, false},
		"a note":                   {snapshot.CreateRequest{Metadata: map[string]string{"note": "x"}}, true},
		"our own entry":            {snapshot.CreateRequest{Metadata: map[string]string{"run_id": "x"}}, false},
		"our own mark":             {snapshot.CreateRequest{Metadata: map[string]string{"pinned": "x"}}, false},
		"a note without an end":    {snapshot.CreateRequest{Metadata: map[string]string{"note": strings.Repeat("x", 1000)}}, false},
		"a note with a long run":   {snapshot.CreateRequest{RunID: strings.Repeat("r", 128), Metadata: map[string]string{"note": strings.Repeat("x", 450)}}, true},
		"a longer note beside one": {snapshot.CreateRequest{RunID: strings.Repeat("r", 128), Metadata: map[string]string{"note": strings.Repeat("x", 550)}}, false},
	} {
		if err := tc.req.Validate(); tc.valid != (err == nil) || !tc.valid && !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASnapshotIsAskedForAsTheRequestSays(t *testing.T) {
	for name, tc := range map[string]struct {
		req  snapshot.CreateRequest
		want map[string]any
	}{
		"nothing said": {snapshot.CreateRequest{}, map[string]any{"indices": []any{"nuvla-*"}, "include_global_state": false, "partial": false, "feature_states": []any{"none"}}},
		"all": {snapshot.CreateRequest{Indices: []string{"a", "b*"}, GlobalState: true, Partial: true, Pin: true, Metadata: map[string]string{"note": "x"}},
			map[string]any{"indices": []any{"a", "b*"}, "include_global_state": true, "partial": true, "pinned": "true", "note": "x"}},
	} {
		var sent map[string]any
		path := ""
		repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
			switch {
			case r.Method == http.MethodPut:
				path = r.URL.Path + " " + r.URL.Query().Get("wait_for_completion")
				if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
					t.Error(err)
				}
				return reply(200, `{}`)
			case strings.HasSuffix(r.URL.Path, "/_stats/docs"):
				return reply(200, `{"indices":{"nuvla-job":{"uuid":"u","primaries":{"docs":{"count":3}}}}}`)
			case strings.HasSuffix(r.URL.Path, "/_snapshot/r/s"):
				return reply(200, `{"snapshots":[{"snapshot":"s","uuid":"x","state":"SUCCESS","indices":["nuvla-job"],"shards":{"total":1,"successful":1}}]}`)
			}
			return reply(200, `{}`)
		}), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		tc.req.Name, tc.req.RunID = "s", "run"
		if _, err := repo.Create(t.Context(), tc.req); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		metadata, _ := sent["metadata"].(map[string]any)
		if metadata["run_id"] != "run" || metadata["taken_by"] != "nuvlaops" || path != "/_snapshot/r/s true" {
			t.Errorf("%s: %s %v", name, path, sent)
		}
		delete(sent, "metadata")
		for _, key := range []string{"pinned", "note"} {
			if v, there := metadata[key]; there {
				sent[key] = v
			}
		}
		if diff := cmp.Diff(tc.want, sent); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
