package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/metrics"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

// TestADrillInAnotherClusterLeavesTheFirstAloneAndIsMarkedThere drills in a second cluster, of a later version, which has
// the repository registered read-only under the same name. What the first cluster's backup reads is the file of marks.
func TestADrillInAnotherClusterLeavesTheFirstAloneAndIsMarkedThere(t *testing.T) {
	r := newRig(t, "elsewhere", 60)
	second := &rig{T: t, es: testenv.SharedElasticsearch(t, testenv.Elasticsearch9), s3: r.s3, id: r.id}
	second.register(`,"readonly":true`)
	t.Cleanup(func() { second.T = nil; second.clean() })
	before, settings, there := r.originals(), r.settings(), second.all()
	objects := r.objects(t)

	args := []string{"drill", "-es", second.es.URL(), "-indices", r.index("*"), "-metrics", r.path("drill.prom"), "-json"}
	got := r.run(t.Context(), "", args...)
	report := decode[restore.DrillReport](t, got.stdout)
	if got.code != cli.ExitOK || !report.Proven || report.Restore.Documents != 67 || report.Removed != 2 {
		t.Fatalf("drill: code %d, %v", got.code, got.err)
	}
	if d := cmp.Diff([]string{before, settings}, []string{r.originals(), r.settings()}); d != "" {
		t.Errorf("the first cluster (-before +after):\n%s", d)
	}
	if d := cmp.Diff(objects, r.objects(t)); d != "" {
		t.Errorf("the bucket (-before +after):\n%s", d)
	}
	if d := cmp.Diff(there, second.all()); d != "" {
		t.Errorf("indices of the second cluster (-before +after):\n%s", d)
	}
	r.isMarked(t) // as the first cluster lists it
	if m := r.metrics(t); m[metrics.DrillDocuments] != 67 || m[metrics.DrillFailures] != 0 {
		t.Errorf("metrics: %v", m)
	}
	if got := r.run(t.Context(), "", "plan", "-snapshot", "verified", "-rename", "copy-", "-indices", r.index("*")); got.code != cli.ExitOK || !strings.Contains(got.stdout, r.taken.Name) {
		t.Errorf("plan of the latest verified, on the first: code %d, %v", got.code, got.err)
	}
}

func (r *rig) settings() string { return string(r.send("GET", "/_cluster/settings?flat_settings", "")) }

// all are the names of all indices of the server.
func (r *rig) all() []string {
	return strings.Fields(string(r.send("GET", "/_cat/indices?h=index&s=index&expand_wildcards=all", "")))
}

// objects are the keys and sizes in the bucket.
func (r *rig) objects(t *testing.T) []string {
	t.Helper()
	list, err := r.s3.ListObjects(t.Context(), r.bucket(), "")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range list {
		out = append(out, fmt.Sprint(o.Key, " ", o.Size))
	}
	return out
}
