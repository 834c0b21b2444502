package snapshot_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/snapshot"
)

func TestTheEndOfTheContextAbortsNoSnapshotOfAnotherRun(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.register()
	b.fill(b.index("job"), 5)
	if _, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Name: "kept", RunID: "other", Indices: []string{b.index("*")}}); err != nil {
		t.Fatal(err)
	}
	for _, abort := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		repo := b.open(client(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPut {
				defer cancel()
				r = r.WithContext(context.WithoutCancel(ctx))
			}
			return b.client.Perform(r)
		}), nil)
		_, err := repo.Create(ctx, snapshot.CreateRequest{Name: "kept", RunID: "late", Abort: abort, Indices: []string{b.index("*")}, WhenBusy: snapshot.BusyBeside})
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "it was not begun") {
			t.Errorf("abort %t: %v, want context.Canceled and that it was not begun", abort, err)
		}
		if diff := cmp.Diff([]string{"kept"}, b.snapshots()); diff != "" {
			t.Errorf("abort %t: %s", abort, diff)
		}
	}
}

// A snapshot of a slot may be that of another host, which has recorded it.
func TestTheEndOfTheContextDeletesNoSnapshotThatHasEnded(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.register()
	b.fill(b.index("job"), 5)
	for i, ends := range []string{"when this call's snapshot has ended", "when another call's is adopted"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		repo := b.open(client(func(r *http.Request) (*http.Response, error) {
			if i == 0 && r.Method == http.MethodPut || i == 1 && strings.HasSuffix(r.URL.Path, "/kept") {
				defer cancel()
				r = r.WithContext(context.WithoutCancel(ctx))
			}
			return b.client.Perform(r)
		}), nil)
		_, err := repo.Create(ctx, snapshot.CreateRequest{Name: "kept", RunID: "run", Abort: true, Indices: []string{b.index("*")}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", ends, err)
		}
		if diff := cmp.Diff([]string{"kept"}, b.snapshots()); diff != "" {
			t.Errorf("%s: %s (%v)", ends, diff, err)
		}
	}
}
