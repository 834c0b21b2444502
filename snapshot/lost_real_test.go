package snapshot_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/snapshot"
)

// through is a Repo of the same repository behind a proxy that does harm.
func (b *bench) through(opts *snapshot.Options) (*snapshot.Repo, *testenv.Proxy) {
	b.t.Helper()
	proxy, err := testenv.NewHTTPProxy(b.server.URL())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = proxy.Close() })
	client, err := es.Dial(es.Access{Addresses: []string{proxy.URL()}, Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		b.t.Fatal(err)
	}
	return b.open(client, opts), proxy
}

func (b *bench) snapshots() []string {
	b.t.Helper()
	out := []string{}
	for s, err := range b.repo.List(b.t.Context(), snapshot.Filter{}) {
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, s.Name)
	}
	return out
}

var harms = []struct {
	name string
	testenv.Fault
}{
	{"cut before", testenv.Fault{Do: testenv.CutBefore}},
	{"cut after", testenv.Fault{Do: testenv.CutAfter}},
	{"cut midway", testenv.Fault{Do: testenv.CutMidway}},
	{"a proxy's page", testenv.Fault{Do: testenv.Answer, Status: 504}},
}

// Every request of Create loses its reply once, in each way: there is one snapshot in the end, and Create returns it.
func TestALostReplyAtAnyPointOfCreateLeavesOneSnapshot(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.register()
	b.fill(b.index("job"), 5)
	request := func(run string) snapshot.CreateRequest {
		return snapshot.CreateRequest{Indices: []string{b.index("*")}, RunID: run}
	}
	repo, proxy := b.through(nil)
	if _, err := repo.Create(t.Context(), request("undisturbed")); err != nil {
		t.Fatal(err)
	}
	points := len(proxy.Requests())
	if points < 6 {
		t.Fatalf("Create sent %d requests, which are too few to be all", points)
	}
	total := 1
	for _, harm := range harms {
		for n := 1; n <= points; n++ {
			run := harm.name + string(rune('a'+n))
			fault := harm.Fault
			fault.Nth = n
			proxy.Reset()
			proxy.Inject(fault)
			s, err := repo.Create(t.Context(), request(run))
			if err != nil {
				t.Errorf("%s request %d of %d: %v", harm.name, n, points, err)
				continue
			}
			total++
			if !s.Complete() || s.RunID != run {
				t.Errorf("%s request %d: %+v", harm.name, n, s)
			}
		}
	}
	if got := b.snapshots(); len(got) != total {
		t.Errorf("%d snapshots of %d runs: %v", len(got), total, got)
	}
}

func TestALostReplyAtAnyPointOfDeleteLeavesNothing(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.register()
	b.fill(b.index("job"), 5)
	repo, proxy := b.through(nil)
	for _, harm := range harms {
		for n := 1; n <= 2; n++ {
			for _, name := range []string{"a", "b", "keep"} {
				if _, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Name: name, RunID: name, Indices: []string{b.index("*")}}); err != nil {
					t.Fatal(err)
				}
			}
			fault := harm.Fault
			fault.Nth = n
			var err error
			for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
				proxy.Reset()
				proxy.Inject(fault)
				if err = repo.Delete(t.Context(), "a", "b"); !errors.Is(err, nuvlaops.ErrBusy) {
					break // otherwise a test beside this one cleans its repository up
				}
			}
			if err != nil {
				t.Errorf("%s request %d: %v", harm.name, n, err)
			}
			if diff := cmp.Diff([]string{"keep"}, b.snapshots()); diff != "" {
				t.Errorf("%s request %d: %s", harm.name, n, diff)
			}
		}
	}
}

func TestALostReplyAtAnyPointOfEnsureRegistersOnce(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	repo, proxy := b.through(nil)
	for _, harm := range harms {
		for n := 1; n <= 3; n++ {
			fault := harm.Fault
			fault.Nth = n
			proxy.Reset()
			proxy.Inject(fault)
			if _, err := repo.Ensure(t.Context(), b.settings()); err != nil {
				t.Errorf("%s request %d: %v", harm.name, n, err)
			}
			if change, err := b.repo.Ensure(t.Context(), b.settings()); err != nil || change.Changed() {
				t.Errorf("%s request %d: %+v, %v", harm.name, n, change, err)
			}
			b.do("DELETE", "/_snapshot/"+b.repo.Name(), "")
		}
	}
}

// The blocking call loses its connection while the snapshot runs: it is followed to its end.
func TestASnapshotIsFollowedWhenItsConnectionIsLost(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.slow("40kb", 100)
	repo, proxy := b.through(nil)
	cut := false
	var phases []string
	s, err := repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{b.index("*")}, Progress: func(p nuvlaops.Progress) {
		if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
			phases = append(phases, p.Phase)
		}
		if p.Phase == "copying" && !cut {
			cut = true
			proxy.CutAll()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !cut || !s.Complete() || len(b.snapshots()) != 1 {
		t.Errorf("cut %v, %+v, %v", cut, s, b.snapshots())
	}
	if !slices.Contains(phases, "copying") || phases[len(phases)-1] != "done" { // it may wait for another test's first
		t.Errorf("phases %v", phases)
	}
	if s.Manifest == nil || s.Manifest.Indices[b.index("big")].After == nil {
		t.Errorf("the manifest of a followed snapshot is %+v", s.Manifest)
	}
}

func TestTheEndOfTheContextLeavesTheSnapshotAndItIsAdopted(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.slow("40kb", 100)
	ctx, cancel := context.WithCancel(t.Context())
	req := snapshot.CreateRequest{Indices: []string{b.index("*")}, RunID: "run-1", Progress: func(p nuvlaops.Progress) {
		if p.Phase == "copying" {
			cancel()
		}
	}}
	began := time.Now()
	_, err := b.repo.Create(ctx, req)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the end of the context took %v", took)
	}
	mustSay(t, err, context.Canceled, "goes on in the server", "run-1")
	running := b.snapshots()
	if len(running) != 1 || !strings.Contains(err.Error(), running[0]) {
		t.Fatalf("%v, %v", running, err)
	}
	req.Progress = nil
	s, err := b.repo.Create(t.Context(), req)
	if err != nil || !s.Complete() || s.Name != running[0] {
		t.Errorf("%+v, %v", s, err)
	}
	if diff := cmp.Diff(running, b.snapshots()); diff != "" {
		t.Error(diff)
	}
}

func TestTheEndOfTheContextAbortsWhenSoChosen(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.slow("20kb", 200)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := b.repo.Create(ctx, snapshot.CreateRequest{Indices: []string{b.index("*")}, Abort: true, Progress: func(p nuvlaops.Progress) {
		if p.Phase == "copying" {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "was aborted") {
		t.Errorf("got %v", err)
	}
	if got := b.snapshots(); len(got) != 0 {
		t.Errorf("%v is left", got)
	}
}
