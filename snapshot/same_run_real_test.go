package snapshot_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/nuvla/nuvlaops/snapshot"
)

// Two hosts that work on one slot call Create with the same name and run. The one that is late counts what was written since
// the other one's snapshot: that is no count of what the snapshot holds.
func TestASnapshotThatAnotherHostBeganForTheSameRunIsNotCountedAnew(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.register()
	b.fill(b.index("job"), 4)
	req := snapshot.CreateRequest{Name: "slot", RunID: "slot", Indices: []string{b.index("*")}}
	var first *snapshot.Snapshot
	var once sync.Once
	late := b.open(client(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/_refresh") {
			once.Do(func() {
				var err error
				if first, err = b.repo.Create(t.Context(), req); err != nil {
					t.Error(err)
				}
				b.fill(b.index("job"), 2)
				b.fill(b.index("new"), 1)
			})
		}
		return b.client.Perform(r)
	}), nil)
	second, err := late.Create(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if second.UUID != first.UUID || second.Manifest.Documents != 4 || second.Manifest.Indices[b.index("job")].Before != 4 {
		t.Errorf("the manifest is %+v, want that of %+v", second.Manifest, first.Manifest)
	}
}

func TestASnapshotThatAnotherHostBeginsForTheSameRunIsNoOther(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.slow("40kb", 60)
	var ended <-chan error
	var once sync.Once
	late := b.open(client(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/_current") {
			once.Do(func() { ended = b.begin("slot") })
		}
		return b.client.Perform(r)
	}), nil)
	s, err := late.Create(t.Context(), snapshot.CreateRequest{Name: "slot", RunID: "run of slot", Indices: []string{b.index("big")}, WhenBusy: snapshot.BusyRefuse})
	if err != nil || !s.Complete() {
		t.Errorf("%+v, %v", s, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
