package main

import (
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/restore"
)

func TestADetachedRestoreIsAbandonedOrAttachedTo(t *testing.T) {
	r := newRig(t, "detached", 1500)
	detach := func() {
		t.Helper()
		r.wipe()
		r.register(`,"max_restore_bytes_per_sec":"1mb"`)
		got := r.run(t.Context(), "", "apply", "-detach", "-indices", r.index("*"), "-yes", r.cluster)
		want := "restore attach -es " + r.es.URL() + " -repository " + r.repository() + " -snapshot " + r.taken.Name
		if got.code != cli.ExitOK || !strings.Contains(got.stderr, want) || len(r.indices()) != 2 {
			t.Fatalf("apply -detach: code %d, %v, indices %v, want 0, both indices and how to go on", got.code, got.err, r.indices())
		}
	}
	detach()
	got := r.run(t.Context(), "", "attach", "-snapshot", r.taken.Name, "-abandon", "-json")
	report := decode[restore.Report](t, got.stdout)
	if got.code != cli.ExitOK || report.OK() || strings.Contains(strings.Join(r.indices(), " "), r.index("a")) {
		t.Errorf("attach -abandon: code %d, %v, indices %v, want 0 and nothing half restored", got.code, got.err, r.indices())
	}
	if limit := r.limit(); limit != "" {
		t.Errorf("the limit of recovery is %q afterwards, want none as before", limit)
	}
	if got := r.run(t.Context(), "", "attach", "-snapshot", r.taken.Name); got.code != cli.ExitFailed || !strings.Contains(got.err.Error(), "was abandoned") {
		t.Errorf("attach to what was abandoned: code %d, %v", got.code, got.err)
	}
	detach()
	got = r.run(t.Context(), "", "attach", "-snapshot", r.taken.Name)
	if got.code != cli.ExitOK || !strings.Contains(got.stdout, "4 of 4 primary shards proven, 1507 documents") || r.limit() != "" {
		t.Errorf("attach: code %d, %v, limit %q", got.code, got.err, r.limit())
	}
}

// limit is the transient limit of recovery.
func (r *rig) limit() string {
	var settings struct {
		Transient map[string]string `json:"transient"`
	}
	r.get("/_cluster/settings?flat_settings", &settings)
	return settings.Transient["indices.recovery.max_bytes_per_sec"]
}

func TestReplaceIsAskedForAndPutsTheSnapshotInThePlaceOfWhatIsThere(t *testing.T) {
	r := newRig(t, "replace", 60)
	r.send("POST", "/"+r.index("a")+"/_doc?refresh", `{"n":-1}`)
	before := r.originals()
	if got := r.run(t.Context(), "no\n", "apply", "-replace", "-indices", r.index("*")); got.code != cli.ExitRefused || r.originals() != before {
		t.Errorf("another name, typed: code %d, %v, want it refused and nothing touched", got.code, got.err)
	}
	got := r.run(t.Context(), r.cluster+"\n", "apply", "-replace", "-indices", r.index("*"))
	if got.code != cli.ExitOK || !strings.Contains(got.stderr, restore.CodeReplaced) || !strings.Contains(got.stdout, "4 of 4 primary shards proven, 67 documents") {
		t.Errorf("apply -replace: code %d, %v", got.code, got.err)
	}
	if names := r.indices(); len(names) != 2 || r.originals() == before {
		t.Errorf("indices afterwards: %v", names)
	}
}
