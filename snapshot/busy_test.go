package snapshot_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

// busyFor is how long the first of two waits takes.
const busyFor = 25 * time.Minute

func TestAllThatCreateWaitsForIsBoundTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/_current") && time.Since(began) < busyFor:
				return reply(200, `{"snapshots":[{"snapshot":"other","state":"IN_PROGRESS"}]}`)
			case strings.HasSuffix(r.URL.Path, "/_stats/docs"):
				return reply(200, `{"indices":{"nuvla-job":{"uuid":"u","primaries":{"docs":{"count":3}}}}}`)
			case r.Method == http.MethodPut:
				return reply(503, `{"error":{"type":"concurrent_snapshot_execution_exception","reason":"as many as it may"}}`)
			}
			return reply(200, `{"snapshots":[]}`)
		}), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = repo.Create(t.Context(), snapshot.CreateRequest{})
		if took := time.Since(began); !errors.Is(err, nuvlaops.ErrBusy) || took < 30*time.Minute || took > 31*time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// relay has a snapshot of somebody else before Ensure and another one after it.
type relay struct {
	*snapshottest.Fake
	began time.Time
}

func (r relay) List(ctx context.Context, f snapshot.Filter) iter.Seq2[snapshot.Snapshot, error] {
	if time.Since(r.began) < busyFor {
		return func(yield func(snapshot.Snapshot, error) bool) {
			yield(snapshot.Snapshot{Name: "other", State: snapshot.InProgress}, nil)
		}
	}
	return r.Fake.List(ctx, f)
}

func (r relay) Ensure(ctx context.Context, want snapshot.Settings) (snapshot.Change, error) {
	change, err := r.Fake.Ensure(ctx, want)
	r.Add(snapshot.Snapshot{Name: "another", State: snapshot.InProgress})
	return change, err
}

func TestAllThatACycleWaitsForIsBoundTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relay{&snapshottest.Fake{Documents: map[string]int64{"nuvla-job": 3}}, time.Now()}
		_, err := snapshot.Cycle(t.Context(), r, snapshot.CycleOptions{Settings: &snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}})
		if took := time.Since(r.began); !errors.Is(err, nuvlaops.ErrBusy) || took < 30*time.Minute || took > 31*time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
	})
}
