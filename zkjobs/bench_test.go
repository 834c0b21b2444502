package zkjobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

// million says that a million were measured: with go test -count, once in the process.
var million atomic.Bool

// BenchmarkRebuild shows, for one size after the other, in one run: the floor (a bare read of five fields and bare
// transactions of 500), the program rebuild-queue as a whole process, a second call that finds everything there beside a
// bare listing with data, and one create after the other. Each is the best of three; a million of one, and creates one after
// the other, at about 0.4 ms each, of one from 100,000. peak-MiB is the most memory that the program's process ever held.
func BenchmarkRebuild(b *testing.B) {
	program, err := testenv.Build(b.Context(), b.TempDir(), "../examples/rebuild-queue")
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1000, 10_000, 100_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			if n == 1_000_000 && million.Swap(true) {
				b.Skip("a million jobs take a quarter of an hour: measured once in a process, however large -count is")
			}
			benchmark(b, program, n)
		})
	}
}

func benchmark(b *testing.B, program string, n int) {
	x := newIndex(b, "")
	b.Logf("%d documents indexed in %v", n, timed(func() { x.fill(n) }).Round(time.Millisecond))
	for b.Loop() {
		measure(b, program, x, n)
	}
}

// big is from where on one round must do, and each part has its own server.
const big = 200_000

// onServer does something with a ZooKeeper that has room for a million entries, which the shared one does not have. Up to
// 100,000 one server does all; more get one for each part, so that none carries the entries of another along in its heap
// and its snapshots.
func onServer(b *testing.B, do func(addr string)) {
	options := testenv.ZooKeeperOptions{Env: map[string]string{"SERVER_JVMFLAGS": "-Xms256m -Xmx3g"}}
	server, err := testenv.StartZooKeeper(b.Context(), options)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := server.Close(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	do(server.Addr())
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

// figures are the best of each part, and the most memory.
type figures struct {
	floor, ours, listing, again, single time.Duration
	peak                                int
}

func measure(b *testing.B, program string, x *index, n int) {
	f := &figures{floor: forever, ours: forever, listing: forever, again: forever, single: forever}
	parts := []func(addr string){
		func(addr string) { f.floor = min(f.floor, timed(func() { bareRebuild(b, x, addr, n) })) },
		func(addr string) { f.program(b, program, x, addr, n) },
		func(addr string) { f.single = min(f.single, oneAfterTheOther(b, x, addr, n)) },
	}
	if n >= big {
		for _, part := range parts {
			onServer(b, part)
		}
	} else {
		onServer(b, func(addr string) {
			for round := range 3 {
				parts[0](addr)
				parts[1](addr)
				if round == 0 || n < 100_000 {
					parts[2](addr)
				}
			}
		})
	}
	b.ReportMetric(f.floor.Seconds(), "floor-s")
	b.ReportMetric(f.ours.Seconds(), "ours-s")
	b.ReportMetric(f.ours.Seconds()/f.floor.Seconds(), "ours/floor")
	b.ReportMetric(f.again.Seconds(), "again-s")
	b.ReportMetric(f.again.Seconds()/f.listing.Seconds(), "again/listing")
	b.ReportMetric(f.single.Seconds(), "single-s")
	b.ReportMetric(f.single.Seconds()/f.ours.Seconds(), "single/ours")
	b.ReportMetric(float64(f.peak), "peak-MiB")
	b.Logf("%+v", *f)
}

// program measures a rebuild, and a second call that finds everything there beside a bare listing with data.
func (f *figures) program(b *testing.B, program string, x *index, addr string, n int) {
	q := newQueue(b, addr)
	defer q.raw.Close()
	f.ours = min(f.ours, timed(func() { f.peak = max(f.peak, rebuildProcess(b, program, x, q, n, n)) }))
	f.listing = min(f.listing, timed(func() { q.entries() }))
	f.again = min(f.again, timed(func() { f.peak = max(f.peak, rebuildProcess(b, program, x, q, n, 0)) }))
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

// oneAfterTheOther creates one entry after the other.
func oneAfterTheOther(b *testing.B, x *index, addr string, n int) time.Duration {
	q := newQueue(b, addr)
	defer q.raw.Close()
	q.make()
	return timed(func() {
		ids, priorities := bareJobs(b, x)
		if len(ids) != n {
			b.Fatalf("%d jobs, want %d", len(ids), n)
		}
		for i, id := range ids {
			q.put(priorities[i], id)
		}
	})
}
