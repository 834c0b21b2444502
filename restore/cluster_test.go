package restore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

// A restore goes on through the death of the master; afterwards the replicas in the place of primaries that were lost are proven,
// and nobody is told of a restart that was none.
func TestRestoreOnThreeNodesOutlivesTheMasterAndAPrimaryThatWasLost(t *testing.T) {
	t.Parallel()
	node := testenv.ElasticsearchOptions{Heap: "400m", SharedVolume: testenv.UseVolume(t)}
	nodes := testenv.UseElasticsearchCluster(t, node, node, node)
	b := places[1].benchOn(t, nodes[1], nil)
	b.fill(b.index("big"), 3, 3000, 2000)
	b.fill(b.index("small"), 3, 30, 100)
	b.snapshot("snap")
	b.wipe()
	b.slow()
	plan := b.plan(b.request())
	struck := false
	killed := make(chan error, 1)
	report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{Progress: func(p nuvlaops.Progress) {
		if !struck && p.Bytes > 0 {
			struck = true
			go func() { killed <- nodes[0].Kill(context.Background()) }()
		}
	}})
	if !struck {
		t.Fatalf("the restore ended before anybody saw it under way: %v", err)
	}
	if err = errors.Join(err, <-killed); err != nil || !report.OK() || report.Documents != 3030 || b.limit() != "" {
		t.Fatalf("limit %q, %v\n%s", b.limit(), err, report)
	}
	b.do("GET", "/_cluster/health?wait_for_nodes=2&wait_for_no_initializing_shards=true&timeout=60s", "")
	b.losePrimaries(b.index("big"))
	for name, call := range map[string]func() (*restore.Report, error){
		"verified":      func() (*restore.Report, error) { return b.repo.Verify(t.Context(), plan, restore.VerifyOptions{}) },
		"applied again": func() (*restore.Report, error) { return b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}) },
	} {
		report, err := call()
		if err != nil || !report.OK() || report.Documents != 3030 || !slices.ContainsFunc(report.Verified, func(s string) bool { return strings.Contains(s, "another copy") }) {
			t.Errorf("%s: %v\n%s", name, err, report)
		}
	}
}

// losePrimaries fails the primaries of an index, so that a replica takes the place of each, where there is one.
func (b *bench) losePrimaries(index string) {
	b.t.Helper()
	state := b.do("GET", "/_cluster/state/routing_table/"+index, "")
	shards := state["routing_table"].(map[string]any)["indices"].(map[string]any)[index].(map[string]any)["shards"].(map[string]any)
	var commands []string
	for number, copies := range shards {
		for _, c := range copies.([]any) {
			if c := c.(map[string]any); c["primary"] == true {
				commands = append(commands, fmt.Sprintf(`{"cancel":{"index":%q,"shard":%s,"node":%q,"allow_primary":true}}`, index, number, c["node"]))
			}
		}
	}
	b.do("POST", "/_cluster/reroute", `{"commands":[`+strings.Join(commands, ",")+`]}`)
}
