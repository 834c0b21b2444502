package restore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/restore"
)

// BenchmarkApply restores the same snapshot, at the same limits, in turn by Apply and by the bare blocking call of
// Elasticsearch with a wait for primaries, and reports how many times as long Apply takes. Documents are counted by Apply
// alone.
func BenchmarkApply(tb *testing.B) {
	b := places[1].bench(tb)
	for i := range 10 {
		b.fill(b.index(fmt.Sprint("i", i)), 3, 300, 2000)
	}
	b.snapshot("snap")
	b.wipe()
	b.setLimit("1gb")
	plan := b.plan(b.request())
	var ours, raw time.Duration
	for tb.Loop() {
		b.wipe()
		start := time.Now()
		if _, err := b.repo.Apply(tb.Context(), plan, restore.ApplyOptions{BytesPerSecond: -1}); err != nil {
			tb.Fatal(err)
		}
		ours += time.Since(start)
		b.wipe()
		start = time.Now()
		b.do("POST", "/_snapshot/"+b.repository()+"/snap/_restore?wait_for_completion=true", `{"indices":"`+b.index("*")+`","feature_states":["none"]}`)
		b.do("GET", "/_cluster/health/"+b.index("*")+"?wait_for_status=yellow&timeout=60s", "")
		raw += time.Since(start)
	}
	tb.ReportMetric(ours.Seconds()/float64(tb.N), "apply-s")
	tb.ReportMetric(raw.Seconds()/float64(tb.N), "raw-s")
	tb.ReportMetric(float64(ours)/float64(raw), "apply/raw")
}
