package es_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// Each kind of request that names something of others, with a name that would mean others when it is decoded twice.
func TestANameInAPathStandsForItself(t *testing.T) {
	const name, part = "a.%2a%2cb\x1b?#", "a.%252a%252cb%1B%3F%23"
	some := []string{name, "c*"}
	for want, req := range map[string]esapi.Request{
		"/_snapshot/" + part + "/" + part + ",c":     esapi.SnapshotDeleteRequest{Repository: name, Snapshot: []string{name, "c"}},
		"/_snapshot/" + part + "/_verify":            esapi.SnapshotVerifyRepositoryRequest{Repository: name},
		"/_snapshot/" + part:                         esapi.SnapshotDeleteRepositoryRequest{Repository: []string{name}},
		"/_snapshot/r/" + part:                       esapi.SnapshotCreateRequest{Repository: "r", Snapshot: name},
		"/_snapshot/r/" + part + "/_restore":         esapi.SnapshotRestoreRequest{Repository: "r", Snapshot: name},
		"/" + part + ",c":                            esapi.IndicesDeleteRequest{Index: []string{name, "c"}},
		"/" + part + "/_clone/" + part:               esapi.IndicesCloneRequest{Index: name, Target: name},
		"/_data_stream/" + part + ",c":               esapi.IndicesDeleteDataStreamRequest{Name: []string{name, "c"}},
		"/" + part + ",c*/_settings":                 esapi.IndicesPutSettingsRequest{Index: some},
		"/" + part + ",c*/_settings/" + part + ",c*": esapi.IndicesGetSettingsRequest{Index: some, Name: some},
		"/_cluster/state/metadata/" + part + ",c*":   esapi.ClusterStateRequest{Metric: []string{"metadata"}, Index: some},
		"/_cluster/health/" + part + ",c*":           esapi.ClusterHealthRequest{Index: some},
		"/" + part + ",c*/_recovery":                 esapi.IndicesRecoveryRequest{Index: some},
		"/_index_template/_simulate_index/" + part:   esapi.IndicesSimulateIndexTemplateRequest{Name: name},
		"/é-日,<x>/_count":                            esapi.CountRequest{Index: []string{"é-日", "<x>"}},
	} {
		got := ""
		c := client(func(r *http.Request) (*http.Response, error) {
			got = r.URL.EscapedPath()
			return &http.Response{StatusCode: 200}, nil
		})
		if err := es.Send(t.Context(), c, req, nil); err != nil {
			t.Errorf("%T: %v", req, err)
		}
		u, _ := http.NewRequest("GET", "http://"+want, nil)
		if u != nil {
			want = u.URL.EscapedPath()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%T (-want +got):\n%s", req, diff)
		}
	}
	if diff := cmp.Diff([]string{"a.%2a%2cb\x1b?#", "c*"}, some); diff != "" {
		t.Errorf("the names of the caller were changed: %s", diff)
	}
}

func TestNothingIsDeletedByAPattern(t *testing.T) {
	for _, bad := range []string{"*", "a*", "a,b", "_all", "", "-a", "<a>"} {
		for _, req := range []esapi.Request{esapi.IndicesDeleteRequest{Index: []string{"x", bad}}, esapi.IndicesDeleteDataStreamRequest{Name: []string{bad}},
			esapi.SnapshotDeleteRequest{Repository: "r", Snapshot: []string{bad}}} {
			sent := client(func(*http.Request) (*http.Response, error) {
				t.Errorf("%#v was sent", req)
				return nil, errors.New("sent")
			})
			if err := es.Send(t.Context(), sent, req, nil); !errors.Is(err, nuvlaops.ErrRefused) {
				t.Errorf("%#v: %v", req, err)
			}
		}
	}
}
