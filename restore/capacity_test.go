package restore

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/es"
)

// says is a cluster that answers so, by the end of the path; of anything else it says nothing.
type says map[string]string

func (c says) Perform(req *http.Request) (*http.Response, error) {
	body := "{}"
	for end, answer := range c {
		if strings.HasSuffix(req.URL.Path, end) {
			body = answer
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (c says) repo(t *testing.T) *Repo {
	t.Helper()
	r, err := New(c, "r", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// found are the severities and codes of findings.
func (p *Plan) found() []string {
	out := []string{}
	for _, f := range p.Findings {
		out = append(out, f.Severity+" "+f.Code)
	}
	slices.SortFunc(out, cmp.Compare)
	return out
}

// Each disk has 85 of 100 bytes for primaries.
func TestThePlanReckonsWithTheRoomOfEachNode(t *testing.T) {
	disks := func(available ...int) string {
		var nodes []string
		for i, n := range available {
			nodes = append(nodes, fmt.Sprintf(`"n%d":{"name":"n%d","roles":["data"],"fs":{"total":{"total_in_bytes":100,"available_in_bytes":%d}}}`, i, i, n))
		}
		return `{"nodes":{` + strings.Join(nodes, ",") + `}}`
	}
	one, two := func(bytes int64) []PlannedIndex { return []PlannedIndex{{Name: "a", Shards: 1, Bytes: bytes}} }, func(a, b int64) []PlannedIndex {
		return []PlannedIndex{{Name: "a", Shards: 1, Bytes: a}, {Name: "b", Shards: 1, Bytes: b}}
	}
	none := []string{}
	for _, c := range []struct {
		name, disks, settings string
		indices               []PlannedIndex
		replace               bool
		want                  []string
		room                  *Room
	}{
		{"room enough", disks(55), "", one(36), false, none, &Room{Available: 55, Reserved: 15}},
		{"nearly none is left", disks(55), "", one(40), false, []string{"warning disk_space"}, &Room{Available: 55, Reserved: 15}},
		{"too little", disks(55), "", one(41), false, []string{"error disk_space"}, &Room{Available: 55, Reserved: 15}},
		{"over the watermark", disks(10), "", one(1), false, []string{"error disk_space"}, &Room{Available: 10, Reserved: 15}},
		{"one node is over it", disks(10, 55), "", one(36), false, none, &Room{Available: 65, Reserved: 30}},
		{"on two nodes together", disks(55, 55), "", two(30, 30), false, none, &Room{Available: 110, Reserved: 30}},
		{"on two nodes, and a shard on none", disks(55, 55), "", one(41), false, []string{"error disk_space"}, &Room{Available: 110, Reserved: 30}},
		{"a clone is reckoned with", disks(95), "", two(30, 21), true, []string{"error disk_space"}, &Room{Available: 95, Reserved: 15}},
		{"a clone of the largest", disks(95), "", two(20, 10), true, none, &Room{Available: 95, Reserved: 15}},
		{"the watermark is lower", disks(55), `"cluster.routing.allocation.disk.watermark.low":"95%"`, one(41), false, none, &Room{Available: 55, Reserved: 5}},
		{"no watermarks", disks(10), `"cluster.routing.allocation.disk.threshold_enabled":"false"`, one(90), false, none, &Room{Available: 10}},
		{"nobody says", "", "", one(90), false, none, nil},
	} {
		r := says{"/_cluster/settings": `{"transient":{` + c.settings + `}}`, "/stats/fs": c.disks, "/_cluster/health": `{"active_shards":0}`}
		if c.disks == "" {
			delete(r, "/stats/fs")
		}
		p := &Plan{Indices: c.indices, Request: Request{Replace: c.replace, Replicas: new(int)}, Cluster: Cluster{DataNodes: 1}}
		for _, i := range c.indices {
			p.Bytes, p.Shards = p.Bytes+i.Bytes, p.Shards+i.Shards
		}
		if err := r.repo(t).findCapacity(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(c.want, p.found()) + gocmp.Diff(c.room, p.Room); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// What is over the limit is refused by the server one index after the other.
func TestThePlanReckonsWithTheLimitOfShards(t *testing.T) {
	zero, two := 0, 2
	for _, c := range []struct {
		name, limit string
		nodes, open int
		replicas    *int
		replace     bool
		want        []string
	}{
		{"below the default of 1,000", "", 1, 997, &zero, false, []string{}},
		{"above it", "", 1, 998, &zero, false, []string{"error shard_limit"}},
		{"of each node", "", 2, 1997, &zero, false, []string{}},
		{"of no data node", "", 0, 998, &zero, false, []string{"error shard_limit"}},
		{"another limit", "5", 1, 3, &zero, false, []string{"error shard_limit"}},
		{"with replicas", "", 1, 991, &two, false, []string{}},
		{"with too many replicas", "", 1, 992, &two, false, []string{"error shard_limit"}},
		{"beside what they replace", "", 1, 994, &zero, true, []string{}},
		{"beside what they replace, above it", "", 1, 995, &zero, true, []string{"error shard_limit"}},
		{"with replicas that nobody knows", "", 1, 991, nil, false, []string{}},
		{"with replicas that nobody knows, perhaps above it", "", 1, 992, nil, false, []string{"warning shard_limit"}},
		{"above it without any", "", 1, 998, nil, false, []string{"error shard_limit"}},
	} {
		settings := `{}`
		if c.limit != "" {
			settings = `{"persistent":{"cluster.max_shards_per_node":"` + c.limit + `"}}`
		}
		r := says{"/_cluster/settings": settings, "/_cluster/health": fmt.Sprintf(`{"active_shards":%d,"initializing_shards":1,"unassigned_shards":1}`, c.open-2)}
		p := &Plan{Shards: 3, Request: Request{Replicas: c.replicas, Replace: c.replace}, Cluster: Cluster{DataNodes: c.nodes}}
		if err := r.repo(t).findCapacity(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(c.want, p.found()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestReplicasThatFindNoNodeAreWarnedOf(t *testing.T) {
	for _, c := range []struct {
		nodes, replicas int // below 0: as in the snapshot
		want            []string
	}{
		{1, 0, []string{}}, {1, 1, []string{"warning replicas_cannot_be_assigned"}}, {3, 2, []string{}}, {3, 3, []string{"warning replicas_cannot_be_assigned"}},
		{1, -1, []string{"warning replicas_cannot_be_assigned"}}, {2, -1, []string{}},
	} {
		p := &Plan{Cluster: Cluster{DataNodes: c.nodes}}
		if c.replicas >= 0 {
			p.Request.Replicas = &c.replicas
		}
		if p.findReplicas(); gocmp.Diff(c.want, p.found()) != "" {
			t.Errorf("%d replicas on %d nodes: %v, want %v", c.replicas, c.nodes, p.found(), c.want)
		}
	}
}

// Indices of a data stream have names that tell so, unless somebody has put others into it.
func TestADataStreamNoneOfWhoseIndicesIsKnownIsWarnedOf(t *testing.T) {
	p := &Plan{Snapshot: Snapshot{State: es.StateSuccess, Version: "8.11.3", Indices: []string{"a", ".ds-ts-2026.01.01-000001", ".ds-not-2026.01.01-000001"}, DataStreams: []string{"ts", "odd", "not"}},
		Request: Request{Indices: []string{"*", "-not"}}, Cluster: Cluster{DataNodes: 2, Version: "8.11.3"}}
	p.choose(&p.Snapshot)
	p.findInSnapshot(es.Cluster{Version: "8.11.3"})
	if diff := gocmp.Diff([]string{"warning data_stream_without_known_indices"}, p.found()); diff != "" || p.Findings[0].Resource != "odd" {
		t.Errorf("%+v %s", p.Findings, diff)
	}
}

func TestASnapshotThatIsNotWholeIsRefusedUnlessWhatItHasIsAskedFor(t *testing.T) {
	for _, c := range []struct {
		state  string
		failed int
		allow  bool
		want   []string
	}{
		{es.StateSuccess, 0, false, []string{}}, {es.StateSuccess, 0, true, []string{}},
		{es.StateSuccess, 1, false, []string{"error snapshot_not_complete"}}, {es.StateSuccess, 1, true, []string{"error snapshot_not_complete"}}, // which no server says
		{es.StatePartial, 1, false, []string{"error snapshot_not_complete"}}, {es.StatePartial, 1, true, []string{"warning snapshot_not_complete"}},
		{es.StateFailed, 3, true, []string{"error snapshot_not_complete"}}, {es.StateInProgress, 0, true, []string{"error snapshot_not_complete"}},
	} {
		p := &Plan{Snapshot: Snapshot{State: c.state, Failed: c.failed, Version: "8.11.3"}, Request: Request{AllowPartial: c.allow}, Indices: []PlannedIndex{{}}, Cluster: Cluster{DataNodes: 2}}
		if p.findInSnapshot(es.Cluster{Version: "8.11.3"}); gocmp.Diff(c.want, p.found()) != "" {
			t.Errorf("%s, %d shards missing, allowed %t: %v, want %v", c.state, c.failed, c.allow, p.found(), c.want)
		}
	}
}

// It costs time at each later start, for good.
func TestThatEachStartReadsAllFilesIsSaid(t *testing.T) {
	for _, q := range []Request{{Checksums: true}, {Settings: map[string]string{checkSetting: "true"}}, {Settings: map[string]string{checkSetting: "checksum"}}, {Settings: map[string]string{checkSetting: "false"}}, {}} {
		p := &Plan{Snapshot: Snapshot{State: es.StateSuccess, Version: "8.11.3"}, Request: q, Indices: []PlannedIndex{{}}, Cluster: Cluster{DataNodes: 2}}
		want := []string{}
		if q.Checksums || q.Settings[checkSetting] == "true" || q.Settings[checkSetting] == "checksum" {
			want = append(want, "info checksums_at_each_start")
		}
		if p.findInSnapshot(es.Cluster{Version: "8.11.3"}); gocmp.Diff(want, p.found()) != "" {
			t.Errorf("%+v: %v, want %v", q, p.found(), want)
		}
	}
}
