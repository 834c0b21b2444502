package snapshot_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/snapshot"
)

// BenchmarkCreate compares Create, with its checks and its manifest, with a bare blocking call and with loops that poll
// every second and every 9 seconds, as other tools do, all in turn on the same server. It reports medians: the total of
// each way in ms, and what Create costs over the bare call.
func BenchmarkCreate(b *testing.B) {
	for _, p := range places[:2] {
		b.Run(strings.ReplaceAll(p.name, " ", "-"), func(b *testing.B) { benchCreate(b, p) })
	}
}

func benchCreate(b *testing.B, p place) {
	s := p.bench(b)
	s.register()
	for i := range 6 {
		s.fill(s.index(fmt.Sprint("resource-", i)), 2000)
	}
	ways := []struct {
		name string
		run  func(n int)
	}{
		{"create", func(n int) {
			if _, err := s.repo.Create(b.Context(), snapshot.CreateRequest{Indices: []string{s.index("*")}, RunID: fmt.Sprint("run-", n), Name: fmt.Sprint("create-", n)}); err != nil {
				b.Fatal(err)
			}
		}},
		{"bare", func(n int) { s.bare(fmt.Sprint("bare-", n), true) }},
		{"poll1s", func(n int) { s.polled(fmt.Sprint("poll-1-", n), time.Second) }},
		{"poll9s", func(n int) { s.polled(fmt.Sprint("poll-9-", n), 9*time.Second) }},
	}
	ways[1].run(-1) // the first one copies all files
	took := map[string][]time.Duration{}
	n := 0
	for b.Loop() {
		for _, w := range ways {
			if w.name == "poll9s" && n%4 > 0 {
				continue // it is slow, and each run tells the same
			}
			began := time.Now()
			w.run(n)
			took[w.name] = append(took[w.name], time.Since(began))
		}
		n++
	}
	median := func(name string) float64 {
		slices.Sort(took[name])
		return float64(took[name][len(took[name])/2]) / float64(time.Millisecond)
	}
	for _, w := range ways {
		b.ReportMetric(median(w.name), w.name+"-ms")
	}
	b.ReportMetric(median("create")-median("bare"), "over-bare-ms")
	b.ReportMetric(median("poll1s")/median("create"), "poll1s/create")
	b.ReportMetric(median("poll9s")/median("create"), "poll9s/create")
	b.ReportMetric(0, "ns/op")
}

// bare is what an operator does with curl.
func (b *bench) bare(name string, wait bool) {
	b.t.Helper()
	b.do("PUT", fmt.Sprintf("/_snapshot/%s/%s?wait_for_completion=%v", b.repo.Name(), name, wait),
		fmt.Sprintf(`{"indices":%q,"include_global_state":false}`, b.index("*")))
}

// polled is what other tools do: begin, then look every so often.
func (b *bench) polled(name string, every time.Duration) {
	b.t.Helper()
	b.bare(name, false)
	for {
		time.Sleep(every)
		s, err := b.repo.Get(b.t.Context(), name)
		if err != nil {
			b.t.Fatal(err)
		}
		if !s.Running() {
			return
		}
	}
}

// BenchmarkNotice measures what Create does after the server has answered that a snapshot has ended: it reads the state,
// counts the documents again and makes the manifest. A loop that polls every second is half a second late on average.
func BenchmarkNotice(b *testing.B) {
	s := place{"8.11.3 fs", testenv.Elasticsearch811, false}.bench(b)
	s.slow("40kb", 60)
	var answered time.Time
	repo := s.open(client(func(r *http.Request) (*http.Response, error) {
		res, err := s.client.Perform(r)
		if r.Method == http.MethodPut {
			answered = time.Now()
		}
		return res, err
	}), nil)
	var late []time.Duration
	n := 0
	for b.Loop() {
		if _, err := repo.Create(b.Context(), snapshot.CreateRequest{Name: fmt.Sprint("s-", n), Indices: []string{s.index("*")}}); err != nil {
			b.Fatal(err)
		}
		n++
		late = append(late, time.Since(answered))
	}
	slices.Sort(late)
	b.ReportMetric(float64(late[len(late)/2])/float64(time.Millisecond), "after-answer-ms")
	b.ReportMetric(0, "ns/op")
}
