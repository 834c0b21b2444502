package zkjobs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/nuvla/nuvlaops/zkjobs"
)

// BenchmarkRebuild shows, for one size after the other, the floor (a bare read of five fields and bare transactions of
// 500), a whole rebuild, a second one that finds everything there beside a bare listing with data, and, up to 10,000 jobs,
// one create after the other. Each is the best of three in one run. NUVLAOPS_BENCH_MILLION=1 adds a million jobs.
func BenchmarkRebuild(b *testing.B) {
	sizes := []int{1000, 10_000, 100_000}
	if os.Getenv("NUVLAOPS_BENCH_MILLION") != "" {
		sizes = append(sizes, 1_000_000)
	}
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			x := newIndex(b, "")
			x.fill(n)
			for b.Loop() {
				measure(b, x, n)
			}
		})
	}
}

// fill indexes n open jobs of three priorities.
func (x *index) fill(n int) {
	x.t.Helper()
	var body strings.Builder
	for i := range n {
		id := fmt.Sprintf("%08x-aaaa-4bbb-8ccc-%012x", i*2654435761%(1<<32), i)
		fmt.Fprintf(&body, "{\"index\":{\"_id\":%q}}\n", id)
		fmt.Fprintf(&body, `{"id":"job/%s","state":"QUEUED","execution-mode":"push","priority":%d,"created":%d,"action":"start_deployment","version":2,`+
			`"resource-type":"job","target-resource":{"href":"deployment/%s"},"created-by":"user/%s"}`+"\n", id, []int{10, 50, 999}[i%3], 1767323045000+i, id, id)
		if (i+1)%5000 == 0 || i == n-1 {
			x.send("POST", "/"+x.name+"/_bulk", body.String())
			body.Reset()
		}
	}
	x.send("POST", "/"+x.name+"/_refresh", "")
	x.send("POST", "/"+x.name+"/_flush", "")
}

func measure(b *testing.B, x *index, n int) {
	runs := 3
	if n > 100_000 {
		runs = 1
	}
	floor, ours, again, listing, single := forever, forever, forever, forever, forever
	for range runs {
		floor = min(floor, timed(func() { bareRebuild(b, x, n) }))
		q := newQueueOf(b, "")
		ours = min(ours, timed(func() { wholeRebuild(b, x, q, n) }))
		listing = min(listing, timed(func() { q.entries() }))
		again = min(again, timed(func() { wholeRebuild(b, x, q, 0) }))
		q.raw.Close()
		if n <= 10_000 {
			single = min(single, timed(func() { oneAfterTheOther(b, x, n) }))
		}
	}
	runtime.GC()
	b.ReportMetric(floor.Seconds(), "floor-s")
	b.ReportMetric(ours.Seconds(), "ours-s")
	b.ReportMetric(ours.Seconds()/floor.Seconds(), "ours/floor")
	b.ReportMetric(again.Seconds(), "again-s")
	b.ReportMetric(again.Seconds()/listing.Seconds(), "again/listing")
	b.ReportMetric(float64(residentMiB()), "peak-MiB")
	if single < forever {
		b.ReportMetric(single.Seconds(), "single-s")
		b.ReportMetric(single.Seconds()/ours.Seconds(), "single/ours")
	}
}

const forever = time.Duration(1<<63 - 1)

func timed(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

func wholeRebuild(b *testing.B, x *index, q *queue, want int) {
	conn := must[*zkjobs.Conn](b)(zkjobs.Connect(b.Context(), []string{q.addr}, nil))
	defer conn.Close()
	r := must[*zkjobs.Rebuilder](b)(zkjobs.New(x.source(zkjobs.DocumentsOptions{}), conn, &zkjobs.Options{Path: q.path}))
	if res := apply(b, r, zkjobs.ApplyOptions{}); res.Written != want {
		b.Fatalf("%d written, want %d", res.Written, want)
	}
}

// bareJobs reads five fields of all open jobs, without a look at what they say.
func bareJobs(b *testing.B, x *index) (ids []string, priorities []int) {
	after := ""
	for {
		body := `{"size":10000,"_source":["id","state","execution-mode","priority","created"],"sort":[{"created":"asc"},{"id":"asc"}],` + after +
			`"query":{"terms":{"state":["QUEUED","RUNNING"]}}}`
		req := must[*http.Request](b)(http.NewRequestWithContext(b.Context(), "POST", "/"+x.name+"/_search", bytes.NewReader([]byte(body))))
		req.Header.Set("Content-Type", "application/json")
		res := must[*http.Response](b)(x.client.Perform(req))
		raw := must[[]byte](b)(io.ReadAll(res.Body))
		_ = res.Body.Close()
		var page struct {
			Hits struct {
				Hits []struct {
					Source struct {
						ID       string `json:"id"`
						Priority int    `json:"priority"`
					} `json:"_source"`
					Sort json.RawMessage `json:"sort"`
				} `json:"hits"`
			} `json:"hits"`
		}
		if err := json.Unmarshal(raw, &page); err != nil || res.StatusCode != 200 {
			b.Fatalf("%d %v %.300s", res.StatusCode, err, raw)
		}
		hits := page.Hits.Hits
		for _, h := range hits {
			ids, priorities = append(ids, h.Source.ID), append(priorities, h.Source.Priority)
		}
		if len(hits) < 10000 {
			return ids, priorities
		}
		after = `"search_after":` + string(hits[len(hits)-1].Sort) + `,`
	}
}

func bareRebuild(b *testing.B, x *index, n int) {
	q := newQueueOf(b, "")
	defer q.raw.Close()
	q.make()
	ids, priorities := bareJobs(b, x)
	if len(ids) != n {
		b.Fatalf("%d jobs, want %d", len(ids), n)
	}
	var ops []any
	for _, p := range []int{10, 50, 999} {
		for i, id := range ids {
			if priorities[i] != p {
				continue
			}
			ops = append(ops, &zk.CreateRequest{Path: fmt.Sprintf("%s/entries/entry-%03d-", q.path, p), Data: []byte(id),
				Acl: zk.WorldACL(zk.PermAll), Flags: zk.FlagSequence})
			if len(ops) == 500 {
				must[[]zk.MultiResponse](b)(q.raw.Multi(ops...))
				ops = ops[:0]
			}
		}
	}
	if len(ops) > 0 {
		must[[]zk.MultiResponse](b)(q.raw.Multi(ops...))
	}
}

func oneAfterTheOther(b *testing.B, x *index, n int) {
	q := newQueueOf(b, "")
	defer q.raw.Close()
	q.make()
	ids, priorities := bareJobs(b, x)
	for i, id := range ids {
		q.put(priorities[i], id)
	}
	if len(ids) != n {
		b.Fatalf("%d jobs, want %d", len(ids), n)
	}
}

// residentMiB is the most that this process ever held in memory, all of its measurements together.
func residentMiB() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, _ := strconv.Atoi(strings.Fields(rest + " 0")[0])
	return kib / 1024
}
