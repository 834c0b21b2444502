package restore_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

func TestReplyLostAtAnyRequestLeavesOneProvenRestore(t *testing.T) {
	for _, c := range []struct {
		name    string
		place   place
		request func(*bench) restore.Request
		step    int
	}{
		{"fresh", places[0], (*bench).request, 1},
		{"replace", places[2], (*bench).replacing, scaled(9, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.place.bench(t)
			b.fill(b.index("a"), 2, 60, 500)
			b.snapshot("snap")
			proxy, client := b.proxied()
			repo := b.open(client, &restore.Options{Retry: nuvlaops.RetryPolicy{Initial: 10 * time.Millisecond}})
			for action, match := range map[testenv.Action]func(testenv.Request) bool{
				testenv.CutAfter:  nil,
				testenv.CutBefore: func(r testenv.Request) bool { return r.Method != "GET" },
				testenv.CutMidway: func(r testenv.Request) bool { return strings.HasSuffix(r.Path, "_restore") },
			} {
				for n := 1; ; n += c.step {
					b.wipe()
					req := c.request(b)
					if req.Replace {
						b.fill(b.index("a"), 2, 3, 200)
					}
					plan := b.plan(req)
					proxy.Inject(testenv.Fault{Nth: n, Do: action, Match: match})
					begun := len(proxy.Requests())
					report, err := repo.Apply(t.Context(), plan, restore.ApplyOptions{BytesPerSecond: 1 << 30})
					proxy.Reset()
					at := fmt.Sprintf("action %d at request %d", action, n)
					if err != nil || !report.OK() || report.Documents != 60 || len(b.state()) != 1 {
						t.Fatalf("%s: %v\n%s\n%v", at, err, report, b.state())
					}
					if limit := b.limit(); limit != "" {
						t.Fatalf("%s: limit is %q, want none as before", at, limit)
					}
					if n >= matching(proxy.Requests()[begun:], match) {
						break
					}
				}
			}
			if restores := count(proxy.Requests(), "_restore"); restores < 3 {
				t.Errorf("%d restores were seen: the faults did not reach them", restores)
			}
		})
	}
}

func matching(requests []testenv.Request, match func(testenv.Request) bool) int {
	n := 0
	for _, r := range requests {
		if match == nil || match(r) {
			n++
		}
	}
	return n
}

func count(requests []testenv.Request, path string) int {
	n := 0
	for _, r := range requests {
		if strings.HasSuffix(r.Path, path) {
			n++
		}
	}
	return n
}

func TestIndexThatAppearsBesideTheRequestIsAConflict(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.snapshot("snap")
	b.wipe()
	client := &before{Client: b.client, like: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/_restore") }, do: func() { b.fill(b.index("a"), 1, 3, 100) }}
	report, err := b.open(client, nil).Apply(t.Context(), b.plan(b.request()), restore.ApplyOptions{})
	if !errors.Is(err, nuvlaops.ErrConflict) || b.documents(b.index("a")) != 3.0 {
		t.Errorf("%v, want ErrConflict\n%s", err, report)
	}
}

func TestAConflictNamesWhatStandsBesideTheOriginal(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.snapshot("snap")
	plan := b.plan(b.replacing())
	stranger := "restoring-" + plan.ID + "-" + b.index("a")
	b.fill(stranger, 1, 3, 100)
	_, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	var e *nuvlaops.Error
	if !errors.Is(err, nuvlaops.ErrConflict) || !errors.As(err, &e) || e.Resource != stranger {
		t.Errorf("%v, want ErrConflict about %s, and not about the original", err, stranger)
	}
}
