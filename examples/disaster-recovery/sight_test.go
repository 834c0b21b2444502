package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/restore"
)

func TestASnapshotThatCannotBeRestoredIsNotOneToWipeFor(t *testing.T) {
	one := []restore.PlannedIndex{{Name: "nuvla-job", Target: "nuvla-job"}}
	for _, tt := range []struct {
		name    string
		plan    restore.Plan
		refused bool
	}{
		{"it can", restore.Plan{Indices: one}, false},
		{"what stands in its way is removed", restore.Plan{Indices: one, Findings: []restore.Finding{{Severity: restore.SeverityError, Code: restore.CodeOpenIndex}}}, false},
		{"of an older version", restore.Plan{Indices: one, Findings: []restore.Finding{{Severity: restore.SeverityWarning, Code: restore.CodeVersion}}}, false},
		{"of a newer version", restore.Plan{Indices: one, Findings: []restore.Finding{{Severity: restore.SeverityError, Code: restore.CodeVersion}}}, true},
		{"without the jobs", restore.Plan{Indices: []restore.PlannedIndex{{Name: "nuvla-user", Target: "nuvla-user"}}}, true},
		{"none of the indices", restore.Plan{}, true},
	} {
		r := takenUp(t)
		err := r.sighting(&sighting{snapshot: &restore.Snapshot{Name: "s", UUID: "u"}, plan: &tt.plan}, nil, "")
		shown := r.page.Checks[len(r.page.Checks)-1].State == "refused"
		if errors.Is(err, nuvlaops.ErrRefused) != tt.refused || shown != tt.refused || r.sighted() == tt.refused {
			t.Errorf("%s: got %v, on the page as refused: %t, taken as seen: %t", tt.name, err, shown, r.sighted())
		}
	}
}

func TestWhatIsNotRestoredIsNamed(t *testing.T) {
	plan := &restore.Plan{Snapshot: restore.Snapshot{Indices: []string{"nuvla-job", "nuvla-user", ".geoip_databases", ".ds-nuvla-ts-1", ".ds-other-1", "downsample-1h-.ds-other-2"}, DataStreams: []string{"nuvla-ts", "other"}},
		Indices: []restore.PlannedIndex{{Name: "nuvla-job", Target: "nuvla-job"}, {Name: ".ds-nuvla-ts-1", Stream: "nuvla-ts"}}, DataStreams: []string{"nuvla-ts"}}
	r := takenUp(t)
	err := errors.Join(r.sighting(&sighting{snapshot: &restore.Snapshot{Name: "s", UUID: "u"}, plan: plan}, nil, ""), r.keepPlan(plan))
	want := "-indices leaves out what else the snapshot holds, and it is not restored: nuvla-user, other"
	if page := r.page.String(); err != nil || !strings.Contains(page, want) || !slices.Contains(r.remembered().Warnings, want) {
		t.Errorf("%v: want %q on the page and among the warnings %q:\n%s", err, want, r.remembered().Warnings, page)
	}
	plan.Snapshot.Indices, plan.Snapshot.DataStreams = plan.Snapshot.Indices[:1], plan.Snapshot.DataStreams[:1]
	if left := notRestored(plan); left != "" {
		t.Errorf("all of it: %q", left)
	}
}

// After years there are a thousand indices.
func TestWhatIsSaidOfEachIndexIsOneWarningOfTheReport(t *testing.T) {
	plan := &restore.Plan{Findings: []restore.Finding{{Severity: restore.SeverityWarning, Code: restore.CodeWritable, Text: "it is writable"}}}
	for i := range 1000 {
		plan.Findings = append(plan.Findings, restore.Finding{Severity: restore.SeverityInfo, Code: restore.CodeInterrupted, Resource: fmt.Sprintf("nuvla-%d", i), Text: "it is taken up"})
	}
	r := takenUp(t)
	err := r.keepPlan(plan)
	if all := r.remembered().Warnings; err != nil || len(all) != 2 || !strings.Contains(all[1], "nuvla-0, ") || !strings.Contains(all[1], "and 995 more: it is taken up") {
		t.Errorf("%v, %d warnings", err, len(all))
	}
}

// Called again, the program would look for the same one, and -snapshot is the only way out.
func TestASnapshotThatVanishesAfterItWasChosenIsNoMistakeOfTheBucket(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error":{"type":"snapshot_missing_exception","reason":"[r:s] is missing"},"status":404}`)
	}))
	defer server.Close()
	r := takenUp(t, "wipe")
	r.cfg.repository, r.state.Snapshot = "r", &report.Snapshot{Name: "s", UUID: "u"}
	if err := r.talkTo(server.URL); err != nil {
		t.Fatal(err)
	}
	_, err := r.find(t.Context(), r.restorer)
	if err = r.sighting(nil, err, ""); !errors.Is(err, nuvlaops.ErrConflict) || !strings.Contains(err.Error(), "with -snapshot") || strings.Contains(err.Error(), "bucket") {
		t.Errorf("got %v", err)
	}
}

// chooser remembers what it was asked for.
type chooser struct {
	restore.Restorer
	asked  restore.Selector
	larger *restore.Larger
	err    error
}

func (c *chooser) Choose(_ context.Context, sel restore.Selector) (*restore.Snapshot, error) {
	c.asked = sel
	if c.err != nil {
		return nil, c.err
	}
	return &restore.Snapshot{Name: "s", UUID: "u", Larger: c.larger}, nil
}

// The drill goes on: what it measures is not lost.
func TestALatestSnapshotOfNextToNothingHasToBeNamed(t *testing.T) {
	for drill, refused := range map[bool]bool{false: true, true: false} {
		r := takenUp(t)
		r.cfg.drill = drill
		_, err := r.find(t.Context(), &chooser{larger: &restore.Larger{Name: "whole", Documents: 50_000, LatestDocuments: 3}})
		if errors.Is(err, nuvlaops.ErrRefused) != refused || refused && !strings.Contains(err.Error(), "it holds 3 documents, and whole") {
			t.Errorf("in a drill (%t): %v", drill, err)
		}
		if warnings := r.remembered().Warnings; (len(warnings) == 1) == refused {
			t.Errorf("in a drill (%t) it warns %q", drill, warnings)
		}
	}
}

// The stacks may have run since an earlier call, and backups been made.
func TestTheLatestSnapshotIsChosenAnewUntilTheWipe(t *testing.T) {
	for _, tt := range []struct {
		name string
		done []string
		seen time.Duration // ago
		want string
	}{
		{"long before", []string{"stop-core"}, 10 * time.Hour, ""},
		{"just before", []string{"stop-core"}, time.Minute, "s"},
		{"wiped already", []string{"stop-core", "wipe"}, 10 * time.Hour, "s"},
	} {
		r, c := takenUp(t, tt.done...), &chooser{}
		r.state = state{Snapshot: &report.Snapshot{Name: "s", UUID: "u"}, Seen: time.Now().Add(-tt.seen)}
		if _, err := r.find(t.Context(), c); err != nil || c.asked.Name != tt.want {
			t.Errorf("%s: it asks for %q, want %q, %v", tt.name, c.asked.Name, tt.want, err)
		}
	}
}

// Under the name of the one that was chosen there may be another one by now.
func TestASnapshotIsTheOneThatWasNamedOrChosen(t *testing.T) {
	at, away := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), &nuvlaops.Error{Reason: "away", Err: nuvlaops.ErrUnavailable}
	chosen := func(uuid string) state { return state{Snapshot: &report.Snapshot{Name: "s", UUID: uuid}} }
	for _, tt := range []struct {
		name   string
		cfg    config
		done   []string
		was    state
		answer error
		asked  restore.Selector
		want   error
	}{
		{"the latest", config{}, nil, state{}, nil, restore.Selector{}, nil},
		{"the latest before a time", config{before: at}, nil, state{}, nil, restore.Selector{Before: at}, nil},
		{"one that is named", config{snapshot: "s"}, nil, state{}, nil, restore.Selector{Name: "s"}, nil},
		{"named, and seen before", config{snapshot: "s"}, nil, chosen("u"), nil, restore.Selector{Name: "s"}, nil},
		{"named, and another one by now", config{snapshot: "s"}, nil, chosen("other"), nil, restore.Selector{Name: "s"}, nuvlaops.ErrConflict},
		{"the latest of before the wipe, and another one by now", config{before: at}, []string{"wipe"}, chosen("other"), nil, restore.Selector{Name: "s"}, nuvlaops.ErrConflict},
		{"the repository is away", config{snapshot: "s"}, nil, chosen("other"), away, restore.Selector{Name: "s"}, nuvlaops.ErrUnavailable},
	} {
		r, c := takenUp(t, tt.done...), &chooser{err: tt.answer}
		r.cfg, r.state = &tt.cfg, tt.was
		_, err := r.find(t.Context(), c)
		if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if diff := cmp.Diff(tt.asked, c.asked); diff != "" {
			t.Errorf("%s: it asks for (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestWhatIsSeenOfASnapshotIsKeptAndMeasured(t *testing.T) {
	at, n := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), int64(7)
	r := takenUp(t)
	r.cfg.repository, r.now = "s3_backup", func() time.Time { return at }
	plan := &restore.Plan{Indices: []restore.PlannedIndex{{Name: "nuvla-job", Target: "nuvla-job", Documents: &n}, {Name: "nuvla-user", Target: "nuvla-user"}}, Shards: 6, Bytes: 50,
		Room: &restore.Room{Available: 40, Reserved: 10}, Cluster: restore.Cluster{DataNodes: 2}}
	if err := r.sighting(&sighting{snapshot: &restore.Snapshot{Name: "s", UUID: "u", Start: at.Add(-time.Hour)}, plan: plan}, nil, ""); err != nil {
		t.Fatal(err)
	}
	want := []any{&report.Snapshot{Repository: "s3_backup", Name: "s", UUID: "u", Started: at.Add(-time.Hour)}, at, &measured{Indices: 2, Primaries: 6, Bytes: 50, Documents: 7}, &disks{restored: 50, free: 30, nodes: 2}}
	got := []any{r.remembered().Snapshot, r.remembered().Seen, r.page.Restore, r.found.disks}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(disks{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhereNoSnapshotIsGoodItIsSaidWhatToDo(t *testing.T) {
	for want, cfg := range map[string]config{"a later -before": {before: time.Now()}, "bucket and base_path": {}, "name another one": {snapshot: "s"}} {
		for _, kind := range []error{nuvlaops.ErrNotFound, nuvlaops.ErrPartial} {
			r := takenUp(t)
			r.cfg = &cfg
			err := r.sighting(nil, &nuvlaops.Error{Reason: "none", Err: kind}, "Nothing was touched")
			if !errors.Is(err, nuvlaops.ErrRefused) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Nothing was touched") || r.sighted() {
				t.Errorf("%v: %v, want it refused with %q", kind, err, want)
			}
		}
	}
}
