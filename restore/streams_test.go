package restore_test

import (
	"errors"
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
