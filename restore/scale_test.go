package restore_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/restore"
)

// large answers as a cluster of many indices does that holds all of a snapshot already: what a real node on a small machine
// cannot. The forms of the answers are 8.11.3's.
type large struct {
	indices, shards int
	requests        atomic.Int64
	longest         atomic.Int64 // of a request's line
}

func (l *large) name(i int) string { return fmt.Sprintf("nuvla-resource-of-a-usual-name-%04d", i) }

func (l *large) Perform(req *http.Request) (*http.Response, error) {
	l.requests.Add(1)
	l.longest.Store(max(l.longest.Load(), int64(len(req.URL.String()))))
	var b strings.Builder
	status := 200
	switch path := req.URL.Path; {
	case path == "/_snapshot/repo/snap":
		l.snapshot(&b)
	case path == "/_snapshot/repo/_current":
		b.WriteString(`{"snapshots":[]}`)
	case path == "/_snapshot/repo":
		b.WriteString(`{"repo":{"type":"s3","settings":{"bucket":"b"}}}`)
	case strings.HasPrefix(path, "/_cluster/state/version"):
		b.WriteString(`{"cluster_name":"large","cluster_uuid":"u"}`)
	case strings.HasPrefix(path, "/_cluster/state/metadata,routing_table,customs/"):
		names := strings.Split(path[strings.LastIndex(path, "/")+1:], ",")
		if names[0] == "*" {
			names = nil
			for i := range l.indices {
				names = append(names, l.name(i))
			}
		}
		l.states(&b, names)
	case strings.HasSuffix(path, "/_recovery"):
		b.WriteString(`{}`)
	case strings.HasPrefix(path, "/_cluster/health"):
		fmt.Fprintf(&b, `{"active_shards":%d,"initializing_shards":0,"unassigned_shards":0}`, l.indices*l.shards)
	case strings.HasPrefix(path, "/_nodes") && strings.Contains(path, "stats"):
		b.WriteString(`{"nodes":{"n":{"name":"n","roles":["data"],"fs":{"total":{"total_in_bytes":4000000000000,"available_in_bytes":3000000000000}}}}}`)
	case strings.HasPrefix(path, "/_nodes"):
		b.WriteString(`{"nodes":{"n":{"name":"n","version":"8.11.3","index_version":8500003,"roles":["data"]}}}`)
	case strings.HasPrefix(path, "/_ilm"):
		status = 405
		b.WriteString(`{"error":"Incorrect HTTP method","status":405}`)
	default: // settings, running restores, names of aliases
		b.WriteString(`{}`)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}}, Body: io.NopCloser(strings.NewReader(b.String()))}, nil
}

func (l *large) snapshot(b *strings.Builder) {
	var names, details []string
	for i := range l.indices {
		names = append(names, fmt.Sprintf("%q", l.name(i)))
		details = append(details, fmt.Sprintf(`%q:{"shard_count":%d,"size_in_bytes":30000000,"max_segments_per_shard":9}`, l.name(i), l.shards))
	}
	n := l.indices * l.shards
	fmt.Fprintf(b, `{"snapshots":[{"snapshot":"snap","uuid":"s","repository":"repo","version":"8500003","state":"SUCCESS","indices":[%s],"index_details":{%s},
"shards":{"total":%d,"failed":0,"successful":%d},"failures":[]}]}`, strings.Join(names, ","), strings.Join(details, ","), n, n)
}

func (l *large) states(b *strings.Builder, names []string) {
	var metadata, routing []string
	for i, name := range names {
		metadata = append(metadata, fmt.Sprintf(`%q:{"state":"open","aliases":[],"settings":{"index":{"uuid":"uuid-of-22-characters%d","number_of_shards":"%d","number_of_replicas":"2"}}}`, name, i, l.shards))
		var shards []string
		for s := range l.shards {
			started := fmt.Sprintf(`{"state":"STARTED","primary":true,"shard":%d}`, s)
			replica := fmt.Sprintf(`{"state":"UNASSIGNED","primary":false,"shard":%d,"recovery_source":{"type":"PEER"},"unassigned_info":{"reason":"INDEX_CREATED","at":"2026-01-02T15:04:05.678Z","delayed":false,"allocation_status":"no_attempt"}}`, s)
			shards = append(shards, fmt.Sprintf(`"%d":[%s,%s,%s]`, s, started, replica, replica))
		}
		routing = append(routing, fmt.Sprintf(`%q:{"shards":{%s}}`, name, strings.Join(shards, ",")))
	}
	fmt.Fprintf(b, `{"metadata":{"indices":{%s}},"routing_table":{"indices":{%s}},"restore":{"snapshots":[]}}`, strings.Join(metadata, ","), strings.Join(routing, ","))
}

func (l *large) plan(t testing.TB) *restore.Plan {
	t.Helper()
	repo, err := restore.New(l, "repo", nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := repo.Plan(t.Context(), restore.Request{Snapshot: "snap", Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestPlanOfAThousandIndicesIsMadeOfFewRequestsInBoundedMemory(t *testing.T) {
	l := &large{indices: 1000, shards: 3}
	plan := l.plan(t)
	if len(plan.Indices) != 1000 || plan.Shards != 3000 || len(plan.Findings) < 1000 {
		t.Errorf("%d indices, %d shards, %d findings", len(plan.Indices), plan.Shards, len(plan.Findings))
	}
	order, told := map[string]int{restore.SeverityError: 0, restore.SeverityWarning: 1, restore.SeverityInfo: 2}, map[restore.Finding]bool{}
	for i, f := range plan.Findings {
		if i > 0 && order[f.Severity] < order[plan.Findings[i-1].Severity] || told[f] {
			t.Errorf("finding %d, %s, is told twice or after a lesser one", i, f)
		}
		told[f] = true
	}
	if n := l.requests.Load(); n > 30 || l.longest.Load() > 4096 {
		t.Errorf("%d requests, the longest line is of %d bytes", n, l.longest.Load())
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := l.plan(t)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := after.HeapAlloc - min(after.HeapAlloc, before.HeapAlloc); held > 4<<20 {
		t.Errorf("a plan holds %d bytes", held)
	}
	runtime.KeepAlive(kept)
}

// BenchmarkPlanOfAThousandIndices says how long Plan computes over 1,000 indices of 3 shards, the simulated server's own
// answers included, beside the same for 100 indices.
func BenchmarkPlanOfAThousandIndices(b *testing.B) {
	took := map[int]time.Duration{}
	for b.Loop() {
		for _, n := range []int{100, 1000} {
			l := &large{indices: n, shards: 3}
			start := time.Now()
			l.plan(b)
			took[n] += time.Since(start)
		}
	}
	b.ReportMetric(took[1000].Seconds()/float64(b.N), "plan-1000-s")
	b.ReportMetric(float64(took[1000])/float64(took[100]), "1000/100")
}
