package restore_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// blocked says of indices of this bench whether they cannot be written to, and fails the test where the replacing has left a
// setting of its own.
func (b *bench) blocked(names ...string) map[string]bool {
	b.t.Helper()
	out := map[string]bool{}
	for _, name := range names {
		answer := b.do("GET", "/"+b.index(name)+"/_settings?flat_settings=true", "")
		settings := answer[b.index(name)].(map[string]any)["settings"].(map[string]any)
		out[name] = settings["index.blocks.write"] == "true"
		for setting := range settings {
			if strings.Contains(setting, "nuvlaops") {
				b.t.Errorf("%s has %s: %v", name, setting, settings[setting])
			}
		}
	}
	return out
}

func TestReplacementCanBeWrittenToWhereItsSnapshotCould(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.fill(b.index("b"), 1, 20, 100)
	block := func(name string, yes bool) {
		b.do("PUT", "/"+b.index(name)+"/_settings", fmt.Sprintf(`{"index.blocks.write":%t}`, yes))
	}
	block("b", true)
	b.snapshot("snap")
	block("a", true)
	block("b", false)
	want := map[string]bool{"a": false, "b": true}
	client := denied{b.client, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/_clone/") }}
	plan := b.plan(b.replacing())
	if report, err := b.open(client, nil).Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrDenied) {
		t.Errorf("Apply: %v, want ErrDenied\n%s", err, report)
	}
	for _, call := range []string{"after a call that ended in between", "in one call"} { // all is blocked beside at first
		if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || report.Documents != 30 {
			t.Errorf("%s: %v\n%s", call, err, report)
		}
		if d := cmp.Diff(want, b.blocked("a", "b")); d != "" {
			t.Errorf("%s: blocked (-want +got):\n%s", call, d)
		}
		plan = b.plan(b.replacing())
	}
	req := b.replacing()
	req.Settings = map[string]string{"index.blocks.write": "true"}
	if report, err := b.repo.Apply(t.Context(), b.plan(req), restore.ApplyOptions{}); err != nil || report.Documents != 30 {
		t.Errorf("asked for: %v\n%s", err, report)
	}
	if d := cmp.Diff(map[string]bool{"a": true, "b": true}, b.blocked("a", "b")); d != "" {
		t.Errorf("asked for: blocked (-want +got):\n%s", d)
	}
}

// What is restored beside would be there for good, and nothing be replaced.
func TestReplaceAsksForNoBlockOfChanges(t *testing.T) {
	for _, tc := range []struct {
		setting, value string
		replace, want  bool
	}{
		{"index.blocks.read_only", "true", true, true},
		{"index.blocks.metadata", "true", true, true},
		{"index.blocks.read_only", "false", true, false},
		{"index.blocks.read_only", "", true, false},
		{"index.blocks.write", "true", true, false},
		{"index.blocks.read_only", "true", false, false},
	} {
		err := restore.Request{Snapshot: "snap", Replace: tc.replace, Settings: map[string]string{tc.setting: tc.value}}.Validate()
		if got := errors.Is(err, nuvlaops.ErrInvalid); got != tc.want {
			t.Errorf("%+v: %v", tc, err)
		}
	}
}
