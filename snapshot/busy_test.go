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

// cleaned has a snapshot of somebody else before Ensure, and deletes nothing for a while. Others may take snapshots meanwhile.
type cleaned struct {
	*snapshottest.Fake
	began, asked time.Time
	busy, others time.Duration // how long, and how often
	taken        time.Duration // by others
	lists        int
}

func (c *cleaned) List(ctx context.Context, f snapshot.Filter) iter.Seq2[snapshot.Snapshot, error] {
	if f.NewestFirst {
		return relay{c.Fake, c.began}.List(ctx, f)
	}
	c.lists++
	return c.Fake.List(ctx, f)
}

func (c *cleaned) Delete(ctx context.Context, names ...string) error {
	if c.asked.IsZero() {
		c.asked = time.Now()
	}
	if time.Since(c.asked) > c.busy {
		return c.Fake.Delete(ctx, names...)
	}
	if n := time.Since(c.asked) / c.others; n > c.taken {
		c.Add(snapshot.Snapshot{Name: "other-" + n.String(), UUID: n.String(), State: snapshot.Success})
		c.taken = n
	}
	return &nuvlaops.Error{Reason: "a repository is cleaned up", Err: nuvlaops.ErrBusy}
}

// seen is a repository that lists as told.
type seen struct {
	*snapshottest.Fake
	list []snapshot.Snapshot
	err  error
}

func (r seen) List(context.Context, snapshot.Filter) iter.Seq2[snapshot.Snapshot, error] {
	return func(yield func(snapshot.Snapshot, error) bool) {
		for _, s := range r.list {
			if !yield(s, nil) {
				return
			}
		}
		if r.err != nil {
			yield(snapshot.Snapshot{}, r.err)
		}
	}
}

// Ensure changes and verifies nothing under somebody else's snapshot; for it to register or to mend is what cannot be seen.
func TestACycleEnsuresTheRepositoryBesideNoOther(t *testing.T) {
	running := func(run string) snapshot.Snapshot {
		return snapshot.Snapshot{Name: "s" + run, State: snapshot.InProgress, Start: day0, RunID: run}
	}
	own := taken(day0)
	own.RunID = "own"
	for name, tc := range map[string]struct {
		run  string
		list []snapshot.Snapshot
		err  error
		kind error // nil: it is ensured
	}{
		"nothing":                       {"own", nil, nil, nil},
		"one of another run":            {"own", []snapshot.Snapshot{taken(day0), running("other")}, nil, nuvlaops.ErrBusy},
		"one of another tool":           {"", []snapshot.Snapshot{running("")}, nil, nuvlaops.ErrBusy},
		"its own":                       {"own", []snapshot.Snapshot{running("own")}, nil, nil},
		"its own, ended, and another":   {"own", []snapshot.Snapshot{running("other"), own}, nil, nil},
		"nothing that can be listed":    {"own", nil, nuvlaops.ErrRepository, nil},
		"a list that breaks off":        {"own", []snapshot.Snapshot{running("other")}, nuvlaops.ErrRepository, nil},
		"no repository":                 {"own", nil, nuvlaops.ErrNotFound, nil},
		"no server, whatever was known": {"own", []snapshot.Snapshot{taken(day0)}, nuvlaops.ErrUnavailable, nuvlaops.ErrUnavailable},
	} {
		repo := seen{&snapshottest.Fake{Documents: map[string]int64{"nuvla-job": 1}}, tc.list, tc.err}
		_, err := snapshot.Cycle(t.Context(), repo, snapshot.CycleOptions{Settings: &snapshot.Settings{FS: &snapshot.FS{Location: "/x"}},
			Create: snapshot.CreateRequest{RunID: tc.run, WhenBusy: snapshot.BusyRefuse}})
		if !errors.Is(err, tc.kind) || (repo.Registered() != nil) != (tc.kind == nil) {
			t.Errorf("%s: got %v, ensured %t", name, err, repo.Registered() != nil)
		}
	}
}

func TestThePolicyOfACycleWaitsAsLongOnceMoreAndNoLonger(t *testing.T) {
	for name, c := range map[string]struct {
		busy, others, want time.Duration
		err                error
	}{
		"after a wait for a snapshot":           {busy: busyFor, others: time.Hour, want: busyFor},
		"while others take snapshots":           {busy: time.Hour, others: 20 * time.Minute, want: 30 * time.Minute, err: nuvlaops.ErrBusy},
		"while others take many":                {busy: busyFor, others: 6 * time.Minute, want: busyFor},
		"while nobody does, and all is in vain": {busy: time.Hour, others: 2 * time.Hour, want: 30 * time.Minute, err: nuvlaops.ErrBusy},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &cleaned{Fake: &snapshottest.Fake{Documents: map[string]int64{"nuvla-job": 3}}, began: time.Now(), busy: c.busy, others: c.others}
				for _, old := range []string{"a", "b"} {
					r.Add(snapshot.Snapshot{Name: old, UUID: old, State: snapshot.Success, RunID: old})
				}
				_, err := snapshot.Cycle(t.Context(), r, snapshot.CycleOptions{Settings: &snapshot.Settings{FS: &snapshot.FS{Location: "/x"}},
					Policy: &snapshot.Policy{Last: 1, MinComplete: 1}})
				if took := time.Since(r.asked); !errors.Is(err, c.err) || took < c.want || took > c.want+time.Minute {
					t.Errorf("after %v: %v, want %v after %v", took, err, c.err, c.want)
				}
				if r.lists > 100 { // each reads an object for each snapshot
					t.Errorf("the repository was listed %d times", r.lists)
				}
			})
		})
	}
}
