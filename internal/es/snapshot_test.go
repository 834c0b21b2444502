package es_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

const running = `{"snapshots":[{"snapshot":"s1","uuid":"u1","repository":"r","version_id":8500003,"version":"8500003","indices":["nuvla-a"],"data_streams":["nuvla-ts"],
"include_global_state":false,"metadata":{"taken_by":"nuvlaops","run_id":"x"},"state":"IN_PROGRESS","start_time":"2026-01-02T15:04:05.678Z","start_time_in_millis":1767366245678,
"end_time":"1970-01-01T00:00:00.000Z","end_time_in_millis":0,"duration_in_millis":0,"failures":[],"shards":{"total":0,"failed":0,"successful":0},"feature_states":[]}],"total":1,"remaining":0}`

func TestARunningSnapshotHasNoEnd(t *testing.T) {
	c := &es.Conn{Client: answers(200, running)}
	got, err := c.Snapshot(t.Context(), "r", "s1")
	if err != nil {
		t.Fatal(err)
	}
	want := es.SnapshotInfo{Name: "s1", UUID: "u1", Repository: "r", State: es.StateInProgress, Version: "8500003", VersionID: 8500003,
		Indices:     []string{"nuvla-a"},
		DataStreams: []string{"nuvla-ts"}, Start: time.UnixMilli(1767366245678).UTC(), Failures: []es.ShardFailure{},
		Metadata: map[string]any{"taken_by": "nuvlaops", "run_id": "x"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !got.Running() || got.Complete() || got.RunID() != "x" {
		t.Errorf("Running %v, Complete %v, RunID %q", got.Running(), got.Complete(), got.RunID())
	}
}

func TestOnlySuccessWithAllShardsIsComplete(t *testing.T) {
	all := es.ShardCount{Total: 3, Successful: 3}
	for name, tc := range map[string]struct {
		info es.SnapshotInfo
		want bool
	}{
		"success":                     {es.SnapshotInfo{State: "SUCCESS", Shards: all}, true},
		"empty success":               {es.SnapshotInfo{State: "SUCCESS"}, true},
		"success with a failed shard": {es.SnapshotInfo{State: "SUCCESS", Shards: es.ShardCount{Total: 3, Successful: 2, Failed: 1}}, false},
		"success with a failure":      {es.SnapshotInfo{State: "SUCCESS", Shards: all, Failures: []es.ShardFailure{{Index: "a"}}}, false},
		"a shard not counted":         {es.SnapshotInfo{State: "SUCCESS", Shards: es.ShardCount{Total: 3, Successful: 2}}, false},
		"partial":                     {es.SnapshotInfo{State: "PARTIAL", Shards: all}, false},
		"running":                     {es.SnapshotInfo{State: "IN_PROGRESS"}, false},
	} {
		if got := tc.info.Complete(); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSnapshotsAreReadPageByPage(t *testing.T) {
	var asked []string
	c := &es.Conn{Client: client(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.Path+" after="+r.URL.Query().Get("after"))
		next := map[string]string{"": "p2", "p2": "p3", "p3": ""}[r.URL.Query().Get("after")]
		body := fmt.Sprintf(`{"snapshots":[{"snapshot":"s%d"}],"next":%q}`, len(asked), next)
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))}, nil
	})}
	var names []string
	for s, err := range c.Snapshots(t.Context(), "r", es.SnapshotQuery{WithoutIndices: true}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, s.Repository+"/"+s.Name)
	}
	if diff := cmp.Diff([]string{"r/s1", "r/s2", "r/s3"}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/_snapshot/r/* after=", "/_snapshot/r/* after=p2", "/_snapshot/r/* after=p3"}, asked); diff != "" {
		t.Error(diff)
	}
	asked = nil
	for range c.Snapshots(t.Context(), "r", es.SnapshotQuery{WithoutIndices: true}) {
		break
	}
	if len(asked) != 1 {
		t.Errorf("a reader that stops at the first snapshot caused %d requests", len(asked))
	}
}

// "Nothing there" and "nothing running" would be the worst that could be made of such an answer.
func TestFailuresInAnAnswerOf200AreErrors(t *testing.T) {
	c := &es.Conn{Client: answers(200, `{"snapshots":[],"failures":{"r":{"root_cause":[{"type":"repository_exception","reason":"[r] Could not determine repository generation from root blobs"}],
"type":"repository_exception","reason":"[r] Could not determine repository generation from root blobs"}}}`)}
	for name, ask := range map[string]func() error{
		"Snapshots": func() (got error) {
			for _, err := range c.Snapshots(t.Context(), "r", es.SnapshotQuery{}) {
				got = err
			}
			return got
		},
		"Snapshot":            func() error { _, err := c.Snapshot(t.Context(), "r", "s"); return err },
		"SnapshotWithDetails": func() error { _, err := c.SnapshotWithDetails(t.Context(), "r", "s"); return err },
		"SnapshotNames":       func() error { _, err := c.SnapshotNames(t.Context(), "r"); return err },
		"AllSnapshotNames":    func() error { _, err := c.AllSnapshotNames(t.Context(), "r"); return err },
		"RunningSnapshots":    func() error { _, err := c.RunningSnapshots(t.Context(), "r"); return err },
	} {
		if err := ask(); !errors.Is(err, nuvlaops.ErrRepository) || errors.Is(err, nuvlaops.ErrNotFound) {
			t.Errorf("%s: got %v, want ErrRepository", name, err)
		}
	}
	c = &es.Conn{Client: answers(200, `{"snapshots":[],"failures":{"nope":{"type":"repository_missing_exception","reason":"[nope] missing"}}}`)}
	_, err := c.SnapshotNames(t.Context(), "nope")
	if !errors.Is(err, nuvlaops.ErrNotFound) || !strings.Contains(err.Error(), "register") { // an Elasticsearch that was made anew has no repository
		t.Errorf("got %v, want ErrNotFound and what to do", err)
	}
}

func TestASnapshotThatIsNotInTheAnswerIsNotFound(t *testing.T) {
	c := &es.Conn{Client: answers(200, `{"snapshots":[]}`)}
	if _, err := c.Snapshot(t.Context(), "r", "s"); !errors.Is(err, nuvlaops.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestAManifestSurvivesTheMetadata(t *testing.T) {
	many := map[string]int64{}
	for i := range 200 {
		many[fmt.Sprintf("nuvla-resource-with-a-name-%03d", i)] = int64(i)
	}
	for name, tc := range map[string]struct {
		documents map[string]int64
		whole     bool
	}{
		"nuvla's":      {map[string]int64{"nuvla-job": 10000, "nuvla-user": 0, ".ds-nuvla-ts-2026.01.01-000001": 7, "other=1": 3}, true},
		"one":          {map[string]int64{"a": 1}, true},
		"too many":     {many, false},
		"no index":     {map[string]int64{}, true},
		"mostly other": {map[string]int64{"x-a": 1, "x-b": 2, "nuvla-c": 3}, true},
	} {
		m := es.NewManifest(tc.documents)
		meta := es.Metadata("run", m, map[string]string{"note": "hourly"})
		if size := es.MetadataSize(meta); size > es.MaxMetadata {
			t.Errorf("%s: %d bytes", name, size)
		}
		got, ok := es.SnapshotInfo{Metadata: meta}.Manifest()
		if len(tc.documents) == 0 {
			if ok {
				t.Errorf("%s: a manifest without indices", name)
			}
			continue
		}
		if !ok || got.Whole() != tc.whole || got.Total != m.Total || got.Indices != m.Indices || got.Digest != es.Digest(tc.documents) {
			t.Errorf("%s: %v %+v", name, ok, got)
		}
		least := int64(1 << 60)
		for index, n := range got.Documents {
			if tc.documents[index] != n {
				t.Errorf("%s: %s has %d documents, want %d", name, index, n, tc.documents[index])
			}
			least = min(least, n)
		}
		for index, n := range tc.documents {
			if _, there := got.Documents[index]; !there && n > least {
				t.Errorf("%s: %s with %d documents is left out, one with %d is not", name, index, n, least)
			}
		}
	}
}

func TestMetadataOfOtherToolsAreNoManifest(t *testing.T) {
	for _, meta := range []map[string]any{nil, {"taken_by": "slm", "run_id": "x"}, {"taken_by": "nuvlaops", "documents": 7},
		{"taken_by": "nuvlaops", "documents_digest": "d", "documents_total": "1", "documents_indices": "1", "documents": "a"}} {
		if m, ok := (es.SnapshotInfo{Metadata: meta}).Manifest(); ok {
			t.Errorf("%v gave %+v", meta, m)
		}
	}
}

// A node that has just died fails the shards that it held, until the cluster serves them from another one.
func TestShardsThatCouldNotBeCountedAreCountedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		failing int // counts that do
		want    map[string]es.IndexDocuments
		kind    error
	}{
		"for a moment": {2, map[string]es.IndexDocuments{"a": {UUID: "u", Documents: 5}}, nil},
		"for good":     {math.MaxInt, nil, nuvlaops.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				counts := 0
				c := &es.Conn{Client: client(func(r *http.Request) (*http.Response, error) {
					body := `{"_shards":{"total":2,"successful":2,"failed":0},"indices":{"a":{"uuid":"u","primaries":{"docs":{"count":5}}}}}`
					if strings.Contains(r.URL.Path, "_stats") {
						if counts++; counts <= test.failing {
							body = `{"_shards":{"total":2,"successful":1,"failed":1},"indices":{"gone":{"uuid":"g","primaries":{"docs":{"count":5}}}}}`
						}
					}
					return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))}, nil
				})}
				got, err := c.CountDocuments(t.Context(), "a")
				if !errors.Is(err, test.kind) {
					t.Errorf("%v does not match %v", err, test.kind)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
