package restore_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/restore"
)

const keptSetting = "cluster.metadata.kept"

// names of the index templates of this bench.
func (b *bench) templates() []string {
	b.t.Helper()
	var names []string
	answer, _ := b.do("GET", "/_index_template", "")["index_templates"].([]any)
	for _, x := range answer {
		names = append(names, x.(map[string]any)["name"].(string))
	}
	slices.Sort(names)
	return names
}

func (b *bench) template(name string) {
	b.do("PUT", "/_index_template/"+name, `{"index_patterns":["`+name+`-*"],"data_stream":{},"template":{"settings":{"number_of_replicas":0}}}`)
}

func (b *bench) persistent(name, value string) {
	b.do("PUT", "/_cluster/settings", `{"persistent":{"`+name+`":"`+value+`"}}`)
}

// globalState replaces all of a server's.
func globalState(t *testing.T, b *bench) {
	b.fill(b.index("a"), 3, 30, 100)
	b.template("nuvla-then")
	b.persistent(keptSetting, "then")
	b.persistent("cluster.metadata.nuvlaops.restore", `{\"plan\":\"of the snapshot's time\",\"ilm\":true,\"limit\":\"3mb\"}`)
	b.snapshot("snap")
	b.wipe()
	b.persistent("cluster.metadata.nuvlaops.restore", "")
	b.do("DELETE", "/_index_template/nuvla-then", "")
	b.template("nuvla-now")
	b.persistent(keptSetting, "now")
	b.persistent("cluster.metadata.gone", "now")
	client := &ilm{Client: b.client, mode: "RUNNING", global: "RUNNING"}
	repo := b.open(client, nil)

	without, err := repo.Plan(t.Context(), b.request())
	if err != nil {
		t.Fatal(err)
	}
	if got := codes(without, restore.SeverityWarning); slices.Contains(got, restore.CodeGlobalState) {
		t.Errorf("not asked for, and found: %v", got)
	}
	req := b.request()
	req.GlobalState = true
	plan, err := repo.Plan(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"nuvla-now", keptSetting, "cluster.metadata.gone"} {
		if !strings.Contains(plan.String(), part) {
			t.Errorf("the plan does not list %s:\n%s", part, plan)
		}
	}
	report, err := repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	if err != nil || !report.OK() {
		t.Fatalf("%v\n%s", err, report)
	}
	settings := b.settings()
	if d := cmp.Diff([]string{"then", "", "", "RUNNING"}, []string{settings.Persistent[keptSetting], settings.Persistent["cluster.metadata.gone"],
		settings.Transient[limitSetting], client.mode}); d != "" {
		t.Errorf("setting that was there, that was not, limit, ILM (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"nuvla-then"}, b.templates()); d != "" {
		t.Errorf("index templates (-want +got):\n%s", d)
	}
	if !strings.Contains(settings.Persistent["cluster.metadata.nuvlaops.restore"], plan.ID) || settings.Transient["cluster.metadata.nuvlaops.restore"] != "" {
		t.Errorf("journal after the restore: %v", settings)
	}
	for _, mode := range client.during {
		if mode != "STOPPED" {
			t.Errorf("indices were restored while ILM was %s", mode)
		}
	}
	if again, err := repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || again.AlreadyThere != 1 || len(client.during) != 1 {
		t.Errorf("applied again: %v, %d restores of indices\n%s", err, len(client.during), again)
	}
}
