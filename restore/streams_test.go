package restore_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// stream makes a data stream of two indices, and returns its name.
func (b *bench) stream(name string) string {
	b.t.Helper()
	stream := b.index(name)
	b.do("PUT", "/_index_template/"+b.id+name, `{"index_patterns":["`+stream+`*","copy-`+stream+`*"],"priority":500,"data_stream":{},"template":{"settings":{"number_of_shards":1,"number_of_replicas":0}}}`)
	b.write(stream)
	b.do("POST", "/"+stream+"/_rollover", "")
	b.write(stream)
	return stream
}

// copiedStream makes a data stream, and restores it from a snapshot under another name, by a plan for that request.
func (b *bench) copiedStream(name string) (stream string, req restore.Request, plan *restore.Plan) {
	b.t.Helper()
	stream = b.stream(name)
	b.snapshot("snap")
	req = b.request()
	req.RenamePrefix = "copy-"
	plan = b.plan(req)
	if report, err := b.repo.Apply(b.t.Context(), plan, restore.ApplyOptions{}); err != nil {
		b.t.Fatalf("%v\n%s", err, report)
	}
	return stream, req, plan
}

func (b *bench) write(stream string) {
	b.t.Helper()
	b.do("POST", "/"+stream+"/_doc?op_type=create&refresh", `{"@timestamp":"2026-01-01T00:00:00Z"}`)
}

// backing is what the server says of a data stream.
func (b *bench) backing(stream string) any {
	b.t.Helper()
	return b.do("GET", "/_resolve/index/"+stream+"?expand_wildcards=all", "")["data_streams"]
}

func TestIndicesOfALiveDataStreamAreNotReplacedOneByOne(t *testing.T) {
	b := places[1].bench(t)
	stream := b.stream("ts")
	b.snapshot("snap")
	before := b.backing(stream)
	req := b.replacing()
	req.PlainStreams = true
	plan := b.plan(req)
	if d := cmp.Diff([]string{restore.CodeStreamExists}, codes(plan, restore.SeverityError)); d != "" {
		t.Errorf("errors (-want +got):\n%s%s", d, plan)
	}
	report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	if !errors.Is(err, nuvlaops.ErrRefused) {
		t.Errorf("Apply: %v, want ErrRefused\n%s", err, report)
	}
	if d := cmp.Diff(before, b.backing(stream)); d != "" {
		t.Errorf("data stream (-want +got):\n%s", d)
	}
}

func TestDataStreamThatAppearedAfterThePlanIsAConflict(t *testing.T) {
	for _, p := range places[1:] {
		t.Run(p.version, func(t *testing.T) {
			b := p.bench(t)
			stream := b.stream("ts")
			for _, x := range b.backing(stream).([]any) {
				first := x.(map[string]any)["backing_indices"].([]any)[0].(string)
				b.do("DELETE", "/"+first, "")
			}
			b.snapshot("snap")
			req := b.request()
			req.RenamePrefix = "copy-"
			plan := b.plan(req)
			b.write("copy-" + stream)
			before := b.backing("copy-" + stream)
			report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
			if !errors.Is(err, nuvlaops.ErrConflict) {
				t.Errorf("Apply: %v, want ErrConflict\n%s", err, report)
			}
			if d := cmp.Diff(before, b.backing("copy-"+stream)); d != "" {
				t.Errorf("data stream (-want +got):\n%s", d)
			}
		})
	}
}

// The last index of a data stream is written to all the time, and may have been begun right before the snapshot; and of a small
// index a few documents are a large share.
func TestWhatHasGrownWhileItsSnapshotWasTakenIsWhole(t *testing.T) {
	b := places[1].bench(t)
	stream := b.stream("ts")
	b.fill(b.index("small"), 1, 3, 10)
	real := b.client
	b.client = &before{Client: real, like: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/snap") }, do: func() {
		for range 2 {
			b.write(stream)
			b.do("POST", "/"+b.index("small")+"/_doc?refresh", `{"n":7}`)
		}
	}}
	b.snapshot("snap")
	b.client = real
	req := b.request()
	req.RenamePrefix = "copy-"
	report, err := b.repo.Apply(t.Context(), b.plan(req), restore.ApplyOptions{})
	if err != nil || report.Documents != 9 || !strings.Contains(report.String(), "more than in the snapshot's manifest") {
		t.Errorf("%v\n%s", err, report)
	}
	if report, err := b.drill(restore.DrillOptions{}); err != nil {
		t.Errorf("Drill: %v\n%s", err, report)
	}
	req.DocumentTolerance, req.RenamePrefix = -1, "strict-"
	if report, err := b.repo.Apply(t.Context(), b.plan(req), restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrVerification) {
		t.Errorf("with a tolerance of not one: %v, want ErrVerification\n%s", err, report)
	}
}

// ILM deletes the oldest ones by their original age, as soon as a restore has ended.
func TestAnIndexOfADataStreamThatWasDeletedSinceItWasProvenIsNotMissed(t *testing.T) {
	b := places[1].bench(t)
	_, req, plan := b.copiedStream("ts")
	b.do("DELETE", "/"+plan.Indices[0].Target, "")
	b.setLimit("21mb")
	for _, again := range []*restore.Plan{plan, b.plan(req)} {
		report, err := b.repo.Apply(t.Context(), again, restore.ApplyOptions{})
		if err != nil || report.Indices[0].State != restore.IndexRemoved || report.Shards != len(plan.Indices)-1 || report.AlreadyThere != len(plan.Indices)-1 || b.limit() != "21mb" {
			t.Fatalf("%v, limit %s, want the others proven, and nothing done:\n%s", err, b.limit(), report)
		}
		if said := strings.Join(report.NotVerified, "\n"); !strings.Contains(said, "deleted since") || !strings.Contains(said, plan.Indices[0].Target) {
			t.Errorf("the report does not say what is gone:\n%s", report)
		}
	}
	if report, err := b.repo.Verify(t.Context(), plan, restore.VerifyOptions{}); !errors.Is(err, nuvlaops.ErrVerification) {
		t.Errorf("who asks whether all is there is told %v, want ErrVerification\n%s", err, report)
	}
}

// What was never proven has not been deleted since.
func TestDataStreamThatHasLostAnIndexIsNotRestoredInto(t *testing.T) {
	b := places[1].bench(t)
	stream, _, plan := b.copiedStream("ts")
	b.do("DELETE", "/"+plan.Indices[0].Target, "")
	b.do("PUT", "/_cluster/settings", `{"persistent":{"cluster.metadata.nuvlaops.restore":null}}`) // the journal
	b.setLimit("21mb")
	_, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	var e *nuvlaops.Error
	if !errors.Is(err, nuvlaops.ErrConflict) || !errors.As(err, &e) || e.Resource != "copy-"+stream || !strings.Contains(e.Hint, "delete the data stream") || b.limit() != "21mb" {
		t.Errorf("%v, want ErrConflict about the data stream, and what to do; limit %s", err, b.limit())
	}
}

func TestDataStreamOfWhichAShardIsMissingIsLeftOut(t *testing.T) {
	b := places[2].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	stream := b.index("ts")
	template := func(further string) {
		b.do("PUT", "/_index_template/"+b.id, `{"index_patterns":["`+stream+`*"],"priority":500,"data_stream":{},"template":{"settings":{"number_of_shards":1,"number_of_replicas":0`+further+`}}}`)
	}
	template("")
	b.write(stream)
	template(`,"index.routing.allocation.require.box":"nowhere"`)
	b.do("POST", "/"+stream+"/_rollover?wait_for_active_shards=0", "")
	b.do("PUT", "/_snapshot/"+b.repository()+"/snap?wait_for_completion=true", `{"indices":"`+b.index("*")+`","partial":true,"feature_states":["none"]}`)
	req := b.request()
	req.AllowPartial, req.RenamePrefix = true, "copy-"
	plan := b.plan(req)
	report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	if err != nil || report.Documents != 10 || len(report.Indices) != 1 || len(plan.DataStreams) != 0 {
		t.Errorf("%v\n%s\n%s", err, plan, report)
	}
	if d := cmp.Diff([]string{restore.CodeReplicas, restore.CodeWritable, restore.CodeIncomplete}, codes(plan, restore.SeverityWarning)); d != "" {
		t.Errorf("warnings (-want +got):\n%s%s", d, plan)
	}
	req.PlainStreams, req.RenamePrefix = true, "plain-"
	plan = b.plan(req)
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || report.Documents != 11 || len(report.Indices) != 2 {
		t.Errorf("as plain indices: %v\n%s\n%s", err, plan, report)
	}
}
