package snapshottest

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

func createWhole(t *testing.T, target Target) {
	register(t, target)
	var last nuvlaops.Progress
	var file bytes.Buffer
	from := time.Now().Add(-time.Minute)
	s := take(t, target, snapshot.CreateRequest{RunID: "run-1", Pin: true, Manifest: &file, Progress: func(p nuvlaops.Progress) { last = p }})
	if !s.Complete() || s.RunID != "run-1" || !s.Ours() || !s.Pinned || s.Start.Before(from) || s.End.Before(s.Start) {
		t.Errorf("got %+v", s)
	}
	if at, ok := snapshot.ParseName("", s.Name); !ok || at.Before(from) {
		t.Errorf("the name %s is not the time", s.Name)
	}
	if s.Manifest == nil {
		t.Fatal("no manifest")
	}
	for index, n := range target.Documents {
		m := s.Manifest.Indices[index]
		if m.Before != n || m.After == nil || *m.After != n || m.UUID == "" {
			t.Errorf("manifest of %s is %+v, want %d documents", index, m, n)
		}
		if !slices.Contains(s.Indices, index) {
			t.Errorf("%s is not among the indices %v", index, s.Indices)
		}
	}
	var written snapshot.Manifest
	if err := json.Unmarshal(file.Bytes(), &written); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*s.Manifest, written); diff != "" {
		t.Error(diff)
	}
	if last.Phase != "done" || last.Done == 0 || last.Done != last.Total {
		t.Errorf("the last report is %+v", last)
	}
	again, err := target.Repo.Get(t.Context(), s.Name)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Complete() || again.UUID != s.UUID || again.RunID != "run-1" || !again.Pinned || again.Manifest == nil ||
		again.Manifest.Digest != s.Manifest.Digest || again.Manifest.Documents != s.Manifest.Documents {
		t.Errorf("Get says %+v", again)
	}
	for index, m := range again.Manifest.Indices {
		if m != (snapshot.IndexManifest{Before: target.Documents[index]}) {
			t.Errorf("Get says of %s %+v: what became known at the end is not in the repository", index, m)
		}
	}
}

func createAdopts(t *testing.T, target Target) {
	register(t, target)
	first := take(t, target, snapshot.CreateRequest{RunID: "run-1"})
	second := take(t, target, snapshot.CreateRequest{RunID: "run-1"})
	if first.UUID != second.UUID || first.Name != second.Name {
		t.Errorf("%s and %s are two snapshots of one run", first.Name, second.Name)
	}
	named := take(t, target, snapshot.CreateRequest{RunID: "run-2", Name: "named"})
	if again := take(t, target, snapshot.CreateRequest{RunID: "run-2", Name: "named"}); again.UUID != named.UUID {
		t.Error("a named snapshot was taken twice")
	}
	if got := names(t, target, snapshot.Filter{}); len(got) != 2 {
		t.Errorf("%v, want two snapshots", got)
	}
}

func createKeepsNames(t *testing.T, target Target) {
	register(t, target)
	first := take(t, target, snapshot.CreateRequest{RunID: "run-1", Name: "named"})
	for _, run := range []string{"run-2", ""} {
		_, err := target.Repo.Create(t.Context(), snapshot.CreateRequest{RunID: run, Name: "named", Indices: target.Indices})
		mustMatch(t, err, nuvlaops.ErrExists, "snapshot.Create")
	}
	if s, err := target.Repo.Get(t.Context(), "named"); err != nil || s.UUID != first.UUID {
		t.Errorf("%+v, %v", s, err)
	}
	for _, wrong := range []string{"Upper", "_leading", "a space", "a,b", "a*"} {
		_, err := target.Repo.Create(t.Context(), snapshot.CreateRequest{Name: wrong, Indices: target.Indices})
		mustMatch(t, err, nuvlaops.ErrInvalid, "snapshot.Create")
	}
	for _, wrong := range []snapshot.CreateRequest{{Indices: []string{"a,b"}}, {RunID: strings.Repeat("r", 129)}, {BusyTimeout: -1},
		{Metadata: map[string]string{"run_id": "mine"}}, {Metadata: map[string]string{"why": strings.Repeat("w", 1024)}}} {
		_, err := target.Repo.Create(t.Context(), wrong)
		mustMatch(t, err, nuvlaops.ErrInvalid, "snapshot.Create")
	}
}

func createTwoAtOnce(t *testing.T, target Target) {
	register(t, target)
	var wg sync.WaitGroup
	made := make([]*snapshot.Snapshot, 3)
	for i := range made {
		wg.Go(func() {
			s, err := target.Repo.Create(t.Context(), snapshot.CreateRequest{Indices: target.Indices, WhenBusy: snapshot.BusyBeside})
			if err != nil {
				t.Errorf("Create: %v", err)
				return
			}
			made[i] = s
		})
	}
	wg.Wait()
	all := map[string]bool{}
	for _, s := range made {
		if s != nil {
			all[s.Name+" "+s.UUID] = true
			if _, ok := snapshot.ParseName("", s.Name); !ok {
				t.Errorf("the name %s has no time", s.Name)
			}
		}
	}
	if len(all) != len(made) {
		t.Errorf("%v, want %d snapshots", all, len(made))
	}
}

func createNothing(t *testing.T, target Target) {
	register(t, target)
	_, err := target.Repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{"no-such-index-*"}})
	mustMatch(t, err, nuvlaops.ErrNotFound, "snapshot.Create")
	if got := names(t, target, snapshot.Filter{}); len(got) != 0 {
		t.Errorf("%v was made of nothing", got)
	}
}

func createDead(t *testing.T, target Target) {
	register(t, target)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := target.Repo.Create(ctx, snapshot.CreateRequest{Indices: target.Indices})
	mustMatch(t, err, context.Canceled, "snapshot.Create")
	if got := names(t, target, snapshot.Filter{}); len(got) != 0 {
		t.Errorf("%v was made", got)
	}
}
