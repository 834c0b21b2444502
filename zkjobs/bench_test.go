package zkjobs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

// million is measured in the first round only (go test -count).
var million sync.Once

// BenchmarkRebuild shows, for one size after the other, in one run: the floor (a bare read of five fields and bare
// transactions of 500), the program rebuild-queue as a whole process, a second call that finds everything there beside a
// bare listing with data, and one create after the other. Each is the best of three (a million: of one). peak-MiB is the most
// memory that the program's process ever held.
func BenchmarkRebuild(b *testing.B) {
	program := filepath.Join(b.TempDir(), "rebuild-queue")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, "../examples/rebuild-queue").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) { benchmark(b, program, n) })
	}
	million.Do(func() {
		b.Run("1000000", func(b *testing.B) { benchmark(b, program, 1_000_000) })
	})
}

func benchmark(b *testing.B, program string, n int) {
	x := newIndex(b, "")
	x.fill(n)
	// Its own server: the heap of the shared one is too small for the floor's million entries beside ours.
	server := testenv.UseZooKeeper(b, testenv.ZooKeeperOptions{Env: map[string]string{"SERVER_JVMFLAGS": "-Xms64m -Xmx3g"}})
	for b.Loop() {
		measure(b, program, x, server.Addr(), n)
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

func measure(b *testing.B, program string, x *index, addr string, n int) {
	runs := 3
	if n > 100_000 {
		runs = 1
	}
	floor, ours, again, listing, single := forever, forever, forever, forever, forever
	peak := 0
	for range runs {
		floor = min(floor, timed(func() { bareRebuild(b, x, addr, n) }))
		q := newQueue(b, addr)
		ours = min(ours, timed(func() { peak = max(peak, rebuildProcess(b, program, x, q, n, n)) }))
		listing = min(listing, timed(func() { q.entries() }))
		again = min(again, timed(func() { peak = max(peak, rebuildProcess(b, program, x, q, n, 0)) }))
		q.raw.Close()
		single = min(single, oneAfterTheOther(b, x, addr, n))
	}
	b.ReportMetric(floor.Seconds(), "floor-s")
	b.ReportMetric(ours.Seconds(), "ours-s")
	b.ReportMetric(ours.Seconds()/floor.Seconds(), "ours/floor")
	b.ReportMetric(again.Seconds(), "again-s")
	b.ReportMetric(again.Seconds()/listing.Seconds(), "again/listing")
	b.ReportMetric(single.Seconds(), "single-s")
	b.ReportMetric(single.Seconds()/ours.Seconds(), "single/ours")
	b.ReportMetric(float64(peak), "peak-MiB")
}

const forever = time.Duration(1<<63 - 1)

func timed(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

// rebuildProcess runs the program and returns the most memory that it held, in MiB.
func rebuildProcess(b *testing.B, program string, x *index, q *queue, n, written int) int {
	cmd := exec.CommandContext(b.Context(), program, "--es-hosts", x.server.URL(), "--zk-hosts", q.addr, "--index", x.name, "--path", q.path)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	for _, want := range []string{fmt.Sprintf("%d written", written), fmt.Sprintf("verified: %d of %d jobs", n, n)} {
		if err != nil || !strings.Contains(string(out), want) {
			b.Fatalf("%v, want %q in:\n%s%s", err, want, stderr.String(), out)
		}
	}
	usage, isUnix := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !isUnix {
		return 0
	}
	return int(usage.Maxrss / 1024) // Linux counts in KiB
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

func bareRebuild(b *testing.B, x *index, addr string, n int) {
	q := newQueue(b, addr)
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

// oneAfterTheOther creates one entry after the other: 10,000 at most, and the time of the others is taken to be the same.
func oneAfterTheOther(b *testing.B, x *index, addr string, n int) time.Duration {
	q := newQueue(b, addr)
	defer q.raw.Close()
	q.make()
	var ids []string
	var priorities []int
	reading := timed(func() { ids, priorities = bareJobs(b, x) })
	if len(ids) != n {
		b.Fatalf("%d jobs, want %d", len(ids), n)
	}
	sample := min(n, 10_000)
	writing := timed(func() {
		for i, id := range ids[:sample] {
			q.put(priorities[i], id)
		}
	})
	return reading + writing*time.Duration(n/sample)
}
