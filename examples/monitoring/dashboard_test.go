package monitoring_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/metrics"
)

// dashboard is what Grafana's import needs of a file ("Export for sharing externally").
type dashboard struct {
	Inputs []struct {
		Name, Type, PluginID string
	} `json:"__inputs"`
	Requires []struct {
		Type, ID string
	} `json:"__requires"`
	ID            *int
	UID, Title    string
	SchemaVersion int
	Templating    struct {
		List []struct {
			Name, Type string
			Datasource source
			Query      struct{ Query string }
		}
	}
	Panels []panel
}

type source struct{ Type, UID string }

type panel struct {
	ID          int
	Type, Title string
	Description string
	Datasource  source
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		RefID, Expr, LegendFormat string
		Datasource                source
	}
}

// theSource is the data source that the import asks for.
var theSource = source{Type: "prometheus", UID: "${DS_PROMETHEUS}"}

func load(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheDashboardHasTheFormOfGrafanasImport(t *testing.T) {
	d := load(t)
	if len(d.Inputs) != 1 || d.Inputs[0].Name != "DS_PROMETHEUS" || d.Inputs[0].Type != "datasource" || d.Inputs[0].PluginID != "prometheus" {
		t.Errorf("inputs %+v: want the data source alone, to be asked for", d.Inputs)
	}
	if d.ID != nil || d.UID == "" || d.Title == "" || d.SchemaVersion < 30 {
		t.Errorf("id %v, uid %q, title %q, schema %d: want no id, and the others", d.ID, d.UID, d.Title, d.SchemaVersion)
	}
	required, used := map[string]bool{}, map[string]bool{}
	for _, r := range d.Requires {
		if r.Type == "panel" {
			required[r.ID] = true
		}
	}
	ids := map[int]bool{}
	for i, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("panel %d %q: want an id of its own, and a title", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.GridPos.W < 1 || p.GridPos.H < 1 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q is at %+v: the grid is 24 wide", p.Title, p.GridPos)
		}
		for _, q := range d.Panels[:i] {
			if overlap(p, q) {
				t.Errorf("panel %q lies on %q", p.Title, q.Title)
			}
		}
		if p.Type == "row" {
			continue
		}
		used[p.Type] = true
		if p.Datasource != theSource || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q: data source %+v, %d targets, described as %q", p.Title, p.Datasource, len(p.Targets), p.Description)
		}
	}
	if diff := cmp.Diff(used, required); diff != "" {
		t.Errorf("kinds of panels that are used and required (-used +required):\n%s", diff)
	}
}

func overlap(p, q panel) bool {
	a, b := p.GridPos, q.GridPos
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

// Prometheus itself reads each query, as the expression of a rule.
func TestTheDashboardsQueriesAreValidAndAskForMetricsThatExist(t *testing.T) {
	d := load(t)
	used := map[string]bool{}
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			if target.Datasource != theSource || target.RefID == "" || target.LegendFormat == "" {
				t.Errorf("panel %q: target %+v", p.Title, target)
			}
			for _, name := range metricsIn(t, "panel "+p.Title, target.Expr) {
				used[name] = true
			}
			fmt.Fprintf(&rules, "  - record: dashboard:%d:%s\n    expr: %q\n", p.ID, target.RefID, target.Expr)
		}
	}
	for _, v := range d.Templating.List {
		if v.Type != "query" || v.Datasource != theSource || v.Query.Query == "" {
			t.Errorf("variable %+v", v)
		}
		if !strings.Contains(rules.String(), "$"+v.Name) {
			t.Errorf("variable %s is not used", v.Name)
		}
	}
	var all []string
	for _, m := range metrics.All() {
		all = append(all, m.Name)
	}
	slices.Sort(all)
	if diff := cmp.Diff(all, slices.Sorted(maps.Keys(used))); diff != "" {
		t.Errorf("metrics that exist and are shown (-exist +shown):\n%s", diff)
	}
	path := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "", "check", "rules", path); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
