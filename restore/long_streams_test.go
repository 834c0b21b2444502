package restore_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/restore"
)

// Of a data stream of which one index is asked for, the cluster state describes all, and has the shards of that one alone. After
// a year its names take many requests' lines.
func TestADataStreamWhoseNamesDoNotFitIntoOneRequestComesBack(t *testing.T) {
	at(t, places[1:], func(t *testing.T, p place) {
		b := p.bench(t)
		stream := b.stream("ts-" + strings.Repeat("of-a-long-name-", 11))
		const indices = 16 // 3.2 kB of names
		for range indices - 2 {
			b.do("POST", "/"+stream+"/_rollover?wait_for_active_shards=0", "")
		}
		b.snapshot("snap")
		req := b.request()
		req.RenamePrefix = "copy-"
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		plan := b.plan(req)
		report, err := b.repo.Apply(ctx, plan, restore.ApplyOptions{})
		if err != nil || report.Proven != indices {
			t.Fatalf("%v\n%s", err, report)
		}
		if report, err := b.repo.Verify(ctx, plan, restore.VerifyOptions{}); err != nil {
			t.Errorf("Verify: %v\n%s", err, report)
		}
		// Scratch indices are hidden.
		if report, err := b.drill(restore.DrillOptions{}); err != nil || !strings.Contains(report.Restore.Verified[0], "16 indices are started and were recovered from") {
			t.Errorf("Drill: %v\n%s", err, report)
		}
		if n := fmt.Sprint(len(b.backing("copy-" + stream).([]any)[0].(map[string]any)["backing_indices"].([]any))); n != fmt.Sprint(indices) {
			t.Errorf("the data stream has %s indices", n)
		}
	})
}
