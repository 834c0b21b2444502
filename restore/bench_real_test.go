package restore_test

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/restore"
)

// BenchmarkApply restores the same snapshot, at the same limits of recovery, in turn by Apply and by the bare blocking call
// of Elasticsearch with a wait for primaries, and says how many times as long Apply takes: the least and the median of all
// rounds so far. Documents are counted by Apply alone.
//
// The snapshot has 30 primaries and 300 MB, and comes back at 100 MB/s, about what a network of 1 Gbit/s lets through: three
// seconds, and no real restore takes less. What Apply adds is the same whatever the size, so that a restore of a moment
// would tell of nothing else, and the limit keeps other work of this machine from being taken for it.
func BenchmarkApply(tb *testing.B) {
	b := places[1].bench(tb)
	for i := range 10 {
		b.fill(b.index(fmt.Sprint("i", i)), 3, 1000, 30_000)
	}
	b.snapshot("snap")
	b.wipe()
	b.setLimit("100mb")
	plan := b.plan(b.request())
	new(round).bare(b) // a server's first restore is slow, and belongs to neither side
	b.wipe()
	var rounds []round
	tb.Run("300_MB", func(tb *testing.B) { // for each -count; what is above, once
		for tb.Loop() {
			var r round
			sides := []func(){func() { r.apply(b, plan) }, func() { r.bare(b) }}
			if len(rounds)%2 == 1 {
				slices.Reverse(sides)
			}
			for _, restore := range sides {
				restore()
				b.wipe()
			}
			rounds = append(rounds, r)
		}
		report(tb, rounds)
	})
}

// round is one restore by each side.
type round struct {
	ours, theirs time.Duration
	// From the end of the last primary, by the server's clock, until Apply knew of it, until it had proven all and returned,
	// and until the other side was done.
	noticed, returned, theirsReturned time.Duration
	requests                          float64 // a second, while Apply follows
}

func (r *round) apply(b *bench, plan *restore.Plan) {
	client := &timed{Client: b.client}
	repo := b.open(client, nil)
	start := time.Now()
	if _, err := repo.Apply(b.t.Context(), plan, restore.ApplyOptions{BytesPerSecond: -1}); err != nil {
		b.t.Fatal(err)
	}
	end, last := time.Now(), b.lastStop()
	call, beside := client.following()
	r.ours, r.noticed, r.returned = end.Sub(start), call.to.Sub(last), end.Sub(last)
	r.requests = float64(beside) / math.Ceil(call.to.Sub(call.from).Seconds())
}

func (r *round) bare(b *bench) {
	start := time.Now()
	b.do("POST", "/_snapshot/"+b.repository()+"/snap/_restore?wait_for_completion=true", `{"indices":"`+b.index("*")+`","feature_states":["none"]}`)
	b.do("GET", "/_cluster/health/"+b.index("*")+"?wait_for_status=yellow&timeout=60s", "")
	end := time.Now()
	r.theirs, r.theirsReturned = end.Sub(start), end.Sub(b.lastStop())
}

// lastStop is when the last primary had come back, by the server's clock, which is this machine's.
func (b *bench) lastStop() time.Time {
	b.t.Helper()
	var last float64
	for _, index := range b.do("GET", "/"+b.index("*")+"/_recovery", "") {
		for _, s := range index.(map[string]any)["shards"].([]any) {
			if at, ok := s.(map[string]any)["stop_time_in_millis"].(float64); ok {
				last = max(last, at)
			}
		}
	}
	return time.UnixMilli(int64(last))
}

// timed is a client that notes when requests were sent and answered.
type timed struct {
	restore.Client
	mu   sync.Mutex
	sent []exchange
}

type exchange struct {
	request  string
	from, to time.Time
}

func (c *timed) Perform(req *http.Request) (*http.Response, error) {
	from := time.Now()
	res, err := c.Client.Perform(req)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, exchange{req.Method + " " + req.URL.Path, from, time.Now()})
	return res, err
}

// following is the blocking call of the restore, and the number of requests beside it.
func (c *timed) following() (call exchange, beside int) {
	at := slices.IndexFunc(c.sent, func(x exchange) bool { return strings.HasSuffix(x.request, "/_restore") })
	call = c.sent[at]
	for _, x := range c.sent {
		if x.from.After(call.from) && x.from.Before(call.to) {
			beside++
		}
	}
	return call, beside
}

func report(tb *testing.B, rounds []round) {
	sorted := func(of func(round) float64) []float64 {
		var all []float64
		for _, r := range rounds {
			all = append(all, of(r))
		}
		slices.Sort(all)
		return all
	}
	median := func(name string, of func(round) float64) {
		all := sorted(of)
		tb.ReportMetric((all[(len(all)-1)/2]+all[len(all)/2])/2, name)
	}
	ratio := func(r round) float64 { return float64(r.ours) / float64(r.theirs) }
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	tb.ReportMetric(0, "ns/op") // both sides and their cleaning: nothing to look at
	tb.ReportMetric(sorted(ratio)[0], "apply/raw-min")
	median("apply/raw", ratio)
	median("apply-s", func(r round) float64 { return r.ours.Seconds() })
	median("raw-s", func(r round) float64 { return r.theirs.Seconds() })
	median("overhead-ms", func(r round) float64 { return ms(r.ours - r.theirs) })
	median("noticed-ms", func(r round) float64 { return ms(r.noticed) })
	median("proven-ms", func(r round) float64 { return ms(r.returned) })
	median("raw-noticed-ms", func(r round) float64 { return ms(r.theirsReturned) })
	median("requests/s", func(r round) float64 { return r.requests })
}
