package restore_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

func TestPlanSaysWhatStandsInTheWay(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 3, 6, 50)
	b.fill(b.index("b"), 3, 6, 50)
	b.snapshot("snap")
	for _, c := range []struct {
		name     string
		arrange  func()
		request  func(*restore.Request)
		undo     func()
		errors   []string
		warnings []string
	}{
		{name: "nothing", warnings: []string{restore.CodeReplicas, restore.CodeWritable}},
		{name: "as many replicas as one node can hold", request: func(q *restore.Request) { q.Replicas = new(int) }, warnings: []string{restore.CodeWritable}},
		{name: "a pattern that selects nothing", request: func(q *restore.Request) { q.Indices = []string{"other-*"} },
			errors: []string{restore.CodeNothing}, warnings: []string{restore.CodeReplicas, restore.CodeWritable}},
		{name: "an open index", arrange: func() { b.fill(b.index("a"), 1, 0, 0) },
			errors: []string{restore.CodeOpenIndex}, warnings: []string{restore.CodeReplicas, restore.CodeWritable}},
		{name: "a closed index", arrange: func() { b.fill(b.index("a"), 1, 0, 0); b.do("POST", "/"+b.index("a")+"/_close", "") },
			errors: []string{restore.CodeClosedIndex}, warnings: []string{restore.CodeReplicas, restore.CodeWritable}},
		{name: "an alias of an index's name", arrange: func() {
			b.do("PUT", "/other-"+b.id+"-x", `{"aliases":{"`+b.index("a")+`":{}}}`)
		}, errors: []string{restore.CodeNameClash}, warnings: []string{restore.CodeReplicas, restore.CodeWritable}},
		{name: "allocation switched off", arrange: func() { b.cluster(`"cluster.routing.allocation.enable":"none"`) },
			undo:   func() { b.cluster(`"cluster.routing.allocation.enable":null`) },
			errors: []string{restore.CodeAllocation}, warnings: []string{restore.CodeReplicas, restore.CodeWritable}},
		{name: "a filter of the cluster that excludes every node", arrange: func() { b.cluster(`"cluster.routing.allocation.exclude._name":"*"`) },
			undo:   func() { b.cluster(`"cluster.routing.allocation.exclude._name":null`) },
			errors: []string{restore.CodeFilters}, warnings: []string{restore.CodeReplicas, restore.CodeWritable}},
		{name: "a filter of the request that no node meets", request: func(q *restore.Request) {
			q.Settings = map[string]string{"index.routing.allocation.require.box": "hot"}
		}, errors: []string{restore.CodeFilters}, warnings: []string{restore.CodeReplicas, restore.CodeWritable}},
		{name: "a read-only repository with a limit of its own", arrange: func() { b.register(`,"readonly":true,"max_restore_bytes_per_sec":"50mb"`) },
			undo: func() { b.register("") }, warnings: []string{restore.CodeReplicas, restore.CodeLimit}},
		{name: "an index that may be replaced", arrange: func() { b.fill(b.index("a"), 3, 0, 0) }, request: func(q *restore.Request) { q.Replace = true },
			warnings: []string{restore.CodeReplaced, restore.CodeReplicas, restore.CodeWritable}},
		{name: "an index of other shards", arrange: func() { b.fill(b.index("a"), 2, 0, 0) }, request: func(q *restore.Request) { q.Replace = true },
			errors: []string{restore.CodeShardsDiffer}, warnings: []string{restore.CodeReplicas, restore.CodeWritable}},
		{name: "a limit of shards", arrange: func() { b.cluster(`"cluster.max_shards_per_node":5`) },
			undo:   func() { b.cluster(`"cluster.max_shards_per_node":null`) },
			errors: []string{restore.CodeShardLimit}, warnings: []string{restore.CodeReplicas, restore.CodeWritable}},
		{name: "global state", request: func(q *restore.Request) { q.GlobalState = true },
			warnings: []string{restore.CodeGlobalState, restore.CodeReplicas, restore.CodeWritable}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.wipe()
			if c.arrange != nil {
				c.arrange()
			}
			if c.undo != nil {
				defer c.undo()
			}
			req := b.request()
			if c.request != nil {
				c.request(&req)
			}
			plan := b.plan(req)
			if d := cmp.Diff(c.errors, codes(plan, restore.SeverityError)); d != "" {
				t.Errorf("errors (-want +got):\n%s%s", d, plan)
			}
			if d := cmp.Diff(c.warnings, codes(plan, restore.SeverityWarning)); d != "" {
				t.Errorf("warnings (-want +got):\n%s%s", d, plan)
			}
			if len(c.errors) == 0 {
				return
			}
			if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrRefused) {
				t.Errorf("Apply: %v, want ErrRefused", err)
			}
		})
	}
}

func TestPlanSaysThatASnapshotAndARestoreRun(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 3, 1500, 2000)
	b.snapshot("snap")
	b.register(`,"max_snapshot_bytes_per_sec":"1mb","max_restore_bytes_per_sec":"1mb"`)
	b.fill(b.index("later"), 3, 1500, 2000)
	b.do("PUT", "/_snapshot/"+b.repository()+"/later", `{"indices":"`+b.index("later")+`","feature_states":["none"]}`)
	b.do("DELETE", "/"+b.index("a"), "")
	b.do("POST", "/_snapshot/"+b.repository()+"/snap/_restore", `{"indices":"`+b.index("a")+`","feature_states":["none"]}`)
	got := codes(b.plan(restore.Request{Snapshot: "snap", Indices: []string{b.index("a")}, RenamePrefix: "copy-"}), restore.SeverityWarning)
	if d := cmp.Diff([]string{restore.CodeReplicas, restore.CodeLimit, restore.CodeWritable, restore.CodeRestoreRunning, restore.CodeSnapshotRunning}, got); d != "" {
		t.Errorf("warnings (-want +got):\n%s", d)
	}
	b.do("DELETE", "/_snapshot/"+b.repository()+"/later", "")
}

func TestPartialSnapshotIsRefusedUnlessForcedAndThenRestoredWithoutWhatIsLost(t *testing.T) {
	b := places[2].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.do("PUT", "/"+b.index("lost")+"?wait_for_active_shards=0", `{"settings":{"number_of_shards":1,"number_of_replicas":0,"index.routing.allocation.require.box":"nowhere"}}`)
	b.do("PUT", "/_snapshot/"+b.repository()+"/snap?wait_for_completion=true", `{"indices":"`+b.index("*")+`","partial":true,"feature_states":["none"]}`)
	b.wipe()
	plan := b.plan(b.request())
	if d := cmp.Diff([]string{restore.CodeIncomplete}, codes(plan, restore.SeverityError)); d != "" {
		t.Errorf("errors (-want +got):\n%s%s", d, plan)
	}
	if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrRefused) {
		t.Errorf("Apply: %v, want ErrRefused", err)
	}
	req := b.request()
	req.AllowPartial = true
	plan = b.plan(req)
	report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	if err != nil || report.Documents != 10 || len(report.Indices) != 1 || !strings.Contains(plan.String(), b.index("lost")) {
		t.Errorf("%v\n%s\n%s", err, plan, report)
	}
}

// cluster sets transient settings of the cluster.
func (b *bench) cluster(settings string) {
	b.t.Helper()
	b.do("PUT", "/_cluster/settings", `{"transient":{`+settings+`}}`)
}

func TestRenamedRestoreLeavesOriginalsAlone(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 3, 6, 50)
	b.do("POST", "/_aliases", `{"actions":[{"add":{"index":"`+b.index("a")+`","alias":"alias-`+b.id+`"}}]}`)
	b.snapshot("snap")
	b.do("POST", "/"+b.index("a")+"/_doc?refresh", `{"n":7}`)
	req := b.request()
	req.RenamePrefix = "copy-"
	plan := b.plan(req)
	report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	if err != nil || report.Documents != 6 || report.Indices[0].Target != "copy-"+b.index("a") {
		t.Fatalf("%v\n%s", err, report)
	}
	if n := b.do("GET", "/"+b.index("a")+"/_count", "")["count"]; n != 7.0 {
		t.Errorf("the original has %v documents, want 7", n)
	}
	if got := b.do("GET", "/_alias/alias-"+b.id, ""); len(got) != 1 || got[b.index("a")] == nil {
		t.Errorf("the alias points to %v, want the original alone", got)
	}
}

func TestDataStreamIsRestoredWholeAndItsMissingTemplateIsSaid(t *testing.T) {
	at(t, []place{places[0], places[2]}, func(t *testing.T, p place) {
		b := p.bench(t)
		stream := b.index("ts")
		b.do("PUT", "/_index_template/"+b.id, `{"index_patterns":["`+stream+`*"],"priority":500,"data_stream":{},"template":{"settings":{"number_of_shards":2,"number_of_replicas":0}}}`)
		b.do("POST", "/"+stream+"/_doc?op_type=create&refresh", `{"@timestamp":"2026-01-01T00:00:00Z"}`)
		b.snapshot("snap")
		req := b.request()
		req.RenamePrefix = "copy-"
		plan := b.plan(req)
		if len(plan.DataStreams) != 1 || len(plan.Indices) != 1 || plan.Indices[0].Stream != stream || plan.Shards != 2 {
			t.Fatalf("plan:\n%s", plan)
		}
		if d := cmp.Diff([]string{restore.CodeReplicas, restore.CodeWritable, restore.CodeTemplate}, codes(plan, restore.SeverityWarning)); d != "" {
			t.Errorf("warnings (-want +got):\n%s", d)
		}
		report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
		if err != nil || !report.OK() || report.Documents != 1 {
			t.Fatalf("%v\n%s", err, report)
		}
		if got := b.do("GET", "/_resolve/index/copy-"+stream+"?filter_path=data_streams.name", "")["data_streams"]; got == nil {
			t.Error("the restored data stream is not one")
		}
		if d := cmp.Diff([]string{restore.CodeStreamExists, restore.CodeOpenIndex}, codes(b.plan(b.request()), restore.SeverityError)); d != "" {
			t.Errorf("errors onto the original (-want +got):\n%s", d)
		}
		replace := b.plan(b.replacing())
		if d := cmp.Diff([]string{restore.CodeStreamExists, restore.CodeOpenIndex}, codes(replace, restore.SeverityError)); d != "" {
			t.Errorf("errors in the place of the original (-want +got):\n%s", d)
		}
		if text := replace.String(); !strings.Contains(text, "data streams are not replaced") || !strings.Contains(text, "delete the data stream and restore then") || !strings.Contains(text, "a time series takes no documents from before its first index") {
			t.Errorf("the plan does not say what to do instead:\n%s", text)
		}
	})
}

func TestPlanRefusesWhatWouldFillTheDiskOverItsWatermark(t *testing.T) {
	server := testenv.UseElasticsearch(t, testenv.ElasticsearchOptions{DataSize: 96 << 20, Settings: map[string]string{
		"cluster.routing.allocation.disk.threshold_enabled": "true"}})
	b := places[1].benchOn(t, server, nil)
	b.fill(b.index("a"), 1, 6000, 2000)
	b.snapshot("snap")
	req := b.request()
	req.RenamePrefix = "copy-"
	if plan := b.plan(req); len(codes(plan, restore.SeverityError)) > 0 || plan.Room.Reserved < 10<<20 || plan.Room.Available <= plan.Room.Reserved {
		t.Fatalf("with room enough: %+v\n%s", plan.Room, plan)
	}
	t.Run("room enough, and none for one of its shards", func(t *testing.T) {
		plan, err := b.open(crowded{b.client, int64(b.plan(req).Bytes) * 3 / 4}, nil).Plan(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{restore.CodeDisk}, codes(plan, restore.SeverityError)); d != "" || !strings.Contains(plan.String(), "no node has more than") {
			t.Errorf("errors (-want +got):\n%s%s", d, plan)
		}
	})
	b.cluster(`"cluster.routing.allocation.disk.watermark.low":"20%"`)
	plan := b.plan(req)
	if d := cmp.Diff([]string{restore.CodeDisk}, codes(plan, restore.SeverityError)); d != "" || !strings.Contains(plan.String(), "are to be restored, and ") {
		t.Errorf("errors (-want +got):\n%s%s", d, plan)
	}
}

// crowded is the server, and says that it has three data nodes with so many bytes free below the watermark on each.
type crowded struct {
	restore.Client
	free int64
}

func (c crowded) Perform(req *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(req.URL.Path, "/_nodes") || !strings.HasSuffix(req.URL.Path, "/stats/fs") {
		return c.Client.Perform(req)
	}
	node := fmt.Sprintf(`{"roles":["data"],"fs":{"total":{"total_in_bytes":%d,"available_in_bytes":%d}}}`, 10*c.free, c.free+10*c.free*15/100)
	return &http.Response{StatusCode: 200, Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}},
		Body: io.NopCloser(strings.NewReader(`{"nodes":{"a":` + node + `,"b":` + node + `,"c":` + node + `}}`))}, nil
}

func TestNamesOfDataStreamsAndIndicesThatClashAreFoundBothWays(t *testing.T) {
	at(t, []place{places[1], places[2]}, func(t *testing.T, p place) {
		b := p.bench(t)
		template := func(name, stream string) {
			b.do("PUT", "/_index_template/"+b.id+name, `{"index_patterns":["`+stream+`"],"priority":500,"data_stream":{},"template":{"settings":{"number_of_replicas":0}}}`)
		}
		write := func(stream string) {
			b.do("POST", "/"+stream+"/_doc?op_type=create&refresh", `{"@timestamp":"2026-01-01T00:00:00Z"}`)
		}
		template("ts", b.index("ts"))
		write(b.index("ts"))
		b.fill(b.index("a"), 1, 5, 100)
		b.snapshot("snap")
		template("copy", "copy-"+b.index("a"))
		write("copy-" + b.index("a"))
		b.fill("copy-"+b.index("ts"), 1, 5, 100)
		req := b.request()
		req.RenamePrefix = "copy-"
		plan := b.plan(req)
		var got []string
		for _, f := range plan.Findings {
			if f.Severity == restore.SeverityError {
				got = append(got, f.Code+" "+f.Resource+": "+f.Text)
			}
		}
		want := []string{
			restore.CodeNameClash + " copy-" + b.index("a") + ": a data stream of this name is there",
			restore.CodeNameClash + " copy-" + b.index("ts") + ": an index that bears the name of a data stream is there",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("errors (-want +got):\n%s%s", d, plan)
		}
		before := b.state()
		if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrRefused) {
			t.Errorf("Apply: %v, want ErrRefused", err)
		}
		if d := cmp.Diff(before, b.state()); d != "" {
			t.Errorf("indices after the refusal (-want +got):\n%s", d)
		}
	})
}
