package es_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// FuzzAnswers: whatever answers 200, each call returns what it could read, or an error.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `[]`, `{"snapshots":[null]}`, `{"snapshots":[{"snapshot":"a","start_time_in_millis":9223372036854775807,"metadata":{"taken_by":"nuvlaops","documents_digest":"d","documents_total":"1","documents_indices":"-1","documents":"a=-1 =1 a=1"}}]}`,
		`{"snapshots":[{"shards":{"total":-1},"indices":null,"failures":[null]}],"next":"x","failures":{"r":null}}`, `{"nodes":{"a":null,"b":{"roles":["data"],"version":"9999999999999999999.1"}}}`,
		`{"metadata":{"indices":{"a":{"state":"open","settings":{"index":{"number_of_shards":"-1","creation_date":"9e99"}}}}},"routing_table":{"indices":{"a":{"shards":{"x":[null,{"primary":true,"shard":-7}]}}}}}`,
		`{"_shards":{"failed":1,"failures":[{"reason":7}]},"indices":{"a":null}}`, `{"persistent":{"a":null,"b":[1]},"transient":7}`, `{"a":{"shards":[null]},"b":null}`,
		`{"index_templates":[null]}`, `{"operation_mode":7}`, `{"active_shards":1e99}`, `{"node_allocation_decisions":[null]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		c := &es.Conn{Client: answers(200, body), Retry: nuvlaops.RetryPolicy{MaxAttempts: 1}}
		ctx, some := t.Context(), []string{"a", "b*"}
		for i, call := range []func() error{
			func() error { _, err := c.Disks(ctx); return err },
			func() error { _, err := c.EffectiveSettings(ctx, "a"); return err },
			func() error { _, err := c.OpenShards(ctx); return err },
			func() error { _, _, err := c.AliasesAndStreams(ctx); return err },
			func() error { _, err := c.StreamTemplates(ctx); return err },
			func() error { _, err := c.Cluster(ctx); return err },
			func() error { _, err := c.ClusterUUID(ctx); return err },
			func() error { _, err := c.ClusterSettings(ctx); return err },
			func() error { _, err := c.CountDocuments(ctx, "a"); return err },
			func() error { _, err := c.MissingPrimaries(ctx, "a"); return err },
			func() error { _, err := c.ExplainPrimary(ctx, "a", 0); return err },
			func() error { _, err := c.GlobalState(ctx); return err },
			func() error { _, err := c.ILMMode(ctx); return err },
			func() error { _, err := c.RepositorySettings(ctx, "r"); return err },
			func() error { _, err := c.TemplatePolicy(ctx, "a"); return err },
			func() error { _, _, err := c.IndexStates(ctx, some); return err },
			func() error { _, err := c.IndexSettings(ctx, some, "index.a"); return err },
			func() error { _, err := c.Aliases(ctx, some); return err },
			func() error { _, err := c.DataNodes(ctx); return err },
			func() error { _, err := c.Master(ctx); return err },
			func() error { _, err := c.RunningRestores(ctx); return err },
			func() error { _, err := c.Recoveries(ctx, some); return err },
			func() error { _, err := c.SnapshotNames(ctx, "r"); return err },
			func() error { _, err := c.RunningSnapshots(ctx, "r"); return err },
			func() error { _, err := c.Version(ctx); return err },
			func() error { s, err := c.SnapshotWithDetails(ctx, "r", "a"); writable(t, s); return err },
			func() error { return list(ctx, t, c) },
		} {
			if err := call(); err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
				t.Errorf("call %d: %q", i, err)
			}
		}
	})
}

// list reads at most two pages: an answer that is always the same may lead on to another.
func list(ctx context.Context, t *testing.T, c *es.Conn) error {
	n := 0
	for s, err := range c.Snapshots(ctx, "r", es.SnapshotQuery{}) {
		if err != nil {
			return err
		}
		writable(t, s)
		if n++; n > 100 {
			break
		}
	}
	return nil
}

// writable: what is read of a snapshot can be written as JSON, as programs do.
func writable(t *testing.T, s es.SnapshotInfo) {
	t.Helper()
	s.RunID()
	if m, there := s.Manifest(); there && (m.Total < 0 || m.Indices < len(m.Documents)) {
		t.Errorf("manifest %+v", m)
	}
	s.Complete()
	if _, err := json.Marshal([]any{s.Start, s.End, s.Metadata}); err != nil {
		t.Error(err)
	}
}
