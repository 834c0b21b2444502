package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

type client func(*http.Request) (*http.Response, error)

func (c client) Perform(r *http.Request) (*http.Response, error) { return c(r) }

func reply(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// dead is a server whose blocking call never answers, over a connection that nobody closes; the snapshot ends after a
// minute. When it began is kept in begun, as Unix nanoseconds: requests come side by side.
func dead(begun *atomic.Int64) client {
	return func(r *http.Request) (*http.Response, error) {
		switch {
		case r.Method == http.MethodPut:
			begun.Store(time.Now().UnixNano())
			<-r.Context().Done()
			return nil, r.Context().Err()
		case strings.HasSuffix(r.URL.Path, "/_current"):
			return reply(200, `{"snapshots":[]}`)
		case strings.HasSuffix(r.URL.Path, "/_stats/docs"):
			return reply(200, `{"indices":{"nuvla-job":{"uuid":"u","primaries":{"docs":{"count":3}}}}}`)
		case strings.Contains(r.URL.Path, "/_snapshot/r/s"):
			state := "IN_PROGRESS"
			if time.Since(time.Unix(0, begun.Load())) > time.Minute {
				state = "SUCCESS"
			}
			return reply(200, fmt.Sprintf(`{"snapshots":[{"snapshot":"s","uuid":"x","state":%q,"indices":["nuvla-job"],"shards":{"total":1,"successful":1},
				"metadata":{"taken_by":"nuvlaops","run_id":"run"}}]}`, state))
		}
		return reply(200, `{}`)
	}
}

func TestADeadConnectionDoesNotHideTheEndOfASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun, looked atomic.Int64
		inner := dead(&begun)
		repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/s") {
				if looked.Add(1) == 1 { // nothing is there to adopt
					return reply(200, `{"snapshots":[]}`)
				}
			}
			return inner(r)
		}), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := repo.Create(t.Context(), snapshot.CreateRequest{Name: "s", RunID: "run"})
		if err != nil || !s.Complete() {
			t.Fatalf("%+v, %v", s, err)
		}
		if took := time.Since(time.Unix(0, begun.Load())); took < time.Minute || took > 80*time.Second {
			t.Errorf("the end was noticed after %v", took)
		}
	})
}

// A master that steps down answers so, and the next one goes on with the snapshot: seen on two nodes of 8.11.3.
func TestASnapshotIsFollowedWhenItsMasterStepsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int64
		inner := dead(&begun)
		repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPut {
				begun.Store(time.Now().UnixNano())
				return reply(500, `{"error":{"root_cause":[{"type":"snapshot_exception","reason":"[r:s/x] no longer master"}],
					"type":"snapshot_exception","reason":"[r:s/x] no longer master"},"status":500}`)
			}
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/s") && begun.Load() == 0 {
				return reply(200, `{"snapshots":[]}`)
			}
			return inner(r)
		}), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := repo.Create(t.Context(), snapshot.CreateRequest{Name: "s", RunID: "run"})
		if err != nil || !s.Complete() {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestADeadlineEndsEveryWaitPromptly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for point := range 8 { // the request that hangs
			var n, begun atomic.Int64
			begun.Store(time.Now().UnixNano())
			inner := dead(&begun)
			repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
				if n.Add(1) == int64(point+1) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				return inner(r)
			}), "r", nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			began := time.Now()
			_, err = repo.Create(ctx, snapshot.CreateRequest{Name: fmt.Sprint("s", point)})
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("request %d: %v", point+1, err)
			}
			if took := time.Since(began); took > 13*time.Second {
				t.Errorf("request %d: the end of the context took %v", point+1, took)
			}
		}
	})
}

func TestAStallIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int64
		begun.Store(time.Now().UnixNano()) // an earlier call of this run began it
		inner := dead(&begun)
		repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/_status") {
				return reply(200, `{"snapshots":[{"shards_stats":{"started":1,"total":1},"stats":{"incremental":{"size_in_bytes":100},"processed":{"size_in_bytes":50}}}]}`)
			}
			return inner(r)
		}), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		var stalled, moving nuvlaops.Progress
		_, err = repo.Create(t.Context(), snapshot.CreateRequest{Name: "s2", RunID: "run", StallAfter: 20 * time.Second, Progress: func(p nuvlaops.Progress) {
			if strings.HasPrefix(p.Message, "nothing has moved") {
				stalled = p
			} else if p.Phase == "copying" {
				moving = p
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if stalled.Elapsed < 20*time.Second || moving.Bytes != 50 || moving.TotalBytes != 100 || moving.Total != 1 || moving.Remaining == 0 {
			t.Errorf("stalled %+v, moving %+v", stalled, moving)
		}
	})
}

// A repository of 10,000 snapshots with a manifest each is listed page by page: what is held is a page, not the list.
func TestALongListIsReadInBoundedMemory(t *testing.T) {
	const total, indices = 10_000, 1_000
	var many strings.Builder
	for i := range indices {
		fmt.Fprintf(&many, "%q,", fmt.Sprintf("nuvla-resource-with-a-long-name-%04d", i))
	}
	allIndices := strings.TrimSuffix(many.String(), ",")
	requests := 0
	for _, with := range []bool{false, true} {
		repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
			requests++
			var from, size int
			_, _ = fmt.Sscan(r.URL.Query().Get("after"), &from)
			_, _ = fmt.Sscan(r.URL.Query().Get("size"), &size)
			var page bytes.Buffer
			page.WriteString(`{"snapshots":[`)
			to := min(from+size, total)
			for i := from; i < to; i++ {
				names := ""
				if r.URL.Query().Get("index_names") == "true" {
					names = allIndices
				}
				fmt.Fprintf(&page, `{"snapshot":"s-%05d","state":"SUCCESS","indices":[%s]}`, i, names)
				if i < to-1 {
					page.WriteByte(',')
				}
			}
			page.WriteString(`]`)
			if to < total {
				fmt.Fprintf(&page, `,"next":"%d"`, to)
			}
			page.WriteString(`}`)
			return &http.Response{StatusCode: 200, Body: io.NopCloser(&page)}, nil
		}), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		seen, most := 0, uint64(0)
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for s, err := range repo.List(t.Context(), snapshot.Filter{WithIndices: with}) {
			if err != nil || (with && len(s.Indices) != indices) {
				t.Fatal(len(s.Indices), err)
			}
			if seen++; seen%2500 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
			}
			if with && seen == 1000 {
				break
			}
		}
		if !with && (seen != total || requests > 11) {
			t.Errorf("%d snapshots in %d requests", seen, requests)
		}
		if most > 64<<20 {
			t.Errorf("%d MB are held", most>>20)
		}
	}
}

// What stands between may end a long call in a way of its own, as with 524 after 100 seconds, and the snapshot goes on.
func TestASnapshotIsFollowedWhenAnotherServerAnswersForElasticsearch(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusRequestTimeout, http.StatusInternalServerError, 524} {
		synctest.Test(t, func(t *testing.T) {
			var begun atomic.Int64
			inner := dead(&begun)
			repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
				switch {
				case r.Method == http.MethodPut:
					begun.Store(time.Now().UnixNano())
					return reply(status, "<html><title>it took too long</title></html>")
				case begun.Load() == 0 && strings.HasSuffix(r.URL.Path, "/s"):
					return reply(200, `{"snapshots":[]}`)
				}
				return inner(r)
			}), "r", nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := repo.Create(t.Context(), snapshot.CreateRequest{Name: "s", RunID: "run"})
			if err != nil || !s.Complete() {
				t.Errorf("%d: %+v, %v", status, s, err)
			}
		})
	}
}

// The request may be on its way still: a busy master begins the snapshot after the call has returned.
func TestASnapshotThatIsNotListedIsNotSaidToBeAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int64
		inner := dead(&begun)
		ctx, cancel := context.WithCancel(t.Context())
		repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/s") {
				if r.Method == http.MethodPut {
					cancel()
				} else {
					return reply(404, `{"error":{"type":"snapshot_missing_exception","reason":"[r:s] is missing"}}`)
				}
			}
			return inner(r)
		}), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = repo.Create(ctx, snapshot.CreateRequest{Name: "s", Abort: true})
		if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "was aborted") || !strings.Contains(err.Error(), "or not yet") {
			t.Errorf("got %v", err)
		}
	})
}

// A deletion may take longer than what stands between lets a call last.
func TestADeletionIsWaitedForWhenAnotherServerEndsItsCalls(t *testing.T) {
	for status, want := range map[int]error{504: nil, 524: nil, 500: nil, 403: nuvlaops.ErrDenied} {
		synctest.Test(t, func(t *testing.T) {
			began, sent := time.Now(), 0
			repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
				switch gone := time.Since(began) > 150*time.Second; {
				case r.Method == http.MethodDelete && gone:
					return reply(404, `{"error":{"type":"snapshot_missing_exception","reason":"[r:s] is missing"}}`)
				case r.Method == http.MethodDelete:
					sent++
					time.Sleep(61 * time.Second)
					return reply(status, "<html><title>it took too long</title></html>")
				case gone:
					return reply(200, `{"snapshots":[]}`)
				}
				return reply(200, `{"snapshots":[{"snapshot":"s","state":"SUCCESS"}]}`)
			}), "r", nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := repo.Delete(t.Context(), "s"); !errors.Is(err, want) || sent > 3 {
				t.Errorf("%d: %v, after %d requests", status, err, sent)
			}
		})
	}
}

func TestADeletionThatNobodyCarriesOutIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			if r.Method == http.MethodDelete {
				return reply(504, "")
			}
			return reply(200, `{"snapshots":[{"snapshot":"s","state":"SUCCESS"}]}`)
		}), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := repo.Delete(t.Context(), "s"); !errors.Is(err, nuvlaops.ErrUnavailable) || time.Since(began) > 2*time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// A policy that counts attempts is kept to, however long they take.
func TestADeletionIsNotRepeatedMoreOftenThanThePolicySays(t *testing.T) {
	for attempts, status := range map[int]int{1: 504, 2: 524} {
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
				if r.Method != http.MethodDelete {
					return reply(200, `{"snapshots":[{"snapshot":"s","state":"SUCCESS"}]}`)
				}
				if sent++; sent > 5 {
					return reply(403, `{"error":{"type":"security_exception","reason":"enough"}}`)
				}
				time.Sleep(25 * time.Second)
				return reply(status, "")
			}), "r", &snapshot.Options{Retry: nuvlaops.RetryPolicy{MaxAttempts: attempts}})
			if err != nil {
				t.Fatal(err)
			}
			if err := repo.Delete(t.Context(), "s"); err == nil || sent != attempts {
				t.Errorf("%v, after %d requests, want %d", err, sent, attempts)
			}
		})
	}
}
