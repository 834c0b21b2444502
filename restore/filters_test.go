package restore

import (
	"testing"

	"github.com/nuvla/nuvlaops/internal/es"
)

func TestANodeIsAdmittedAsTheFiltersSay(t *testing.T) {
	node := es.Node{ID: "id1", Name: "es-1", Host: "es-1.example", IP: "10.0.0.1", Roles: []string{"data_hot", "data_content"}, Attributes: map[string]string{"box": "hot"}}
	const cluster, index = clusterFilters, indexFilters
	for _, c := range []struct {
		name    string
		filters map[string]string
		want    bool
	}{
		{"none", nil, true},
		{"an empty one", map[string]string{cluster + "exclude._name": ""}, true},
		{"excluded by name", map[string]string{cluster + "exclude._name": "other,es-*"}, false},
		{"another is excluded", map[string]string{cluster + "exclude._ip": "10.0.0.2"}, true},
		{"required and there", map[string]string{index + "require.box": "hot"}, true},
		{"required and not there", map[string]string{index + "require.box": "warm"}, false},
		{"required of an attribute that it lacks", map[string]string{index + "require.rack": "*"}, false},
		{"one of two included", map[string]string{index + "include.box": "warm", index + "include._name": "es-1"}, true},
		{"included by the index and not by the cluster", map[string]string{index + "include.box": "hot", cluster + "include.box": "cold"}, false},
		{"a tier that it is in", map[string]string{tierPreference: "data_warm,data_hot"}, true},
		{"a tier that it is not in", map[string]string{tierPreference: "data_warm"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := admits(c.filters, node); got != c.want {
				t.Errorf("admitted: %t, want %t", got, c.want)
			}
		})
	}
}

// A plan that is refused for nothing is one that nobody can use at night.
func TestThePlanIsRefusedWhereTheFiltersLeaveNoNode(t *testing.T) {
	const nodes = `{"nodes":{"a":{"name":"es-1","ip":"10.0.0.1","roles":["data"],"attributes":{"box":"hot"}},"b":{"name":"es-2","ip":"10.0.0.2","roles":["data"]},"m":{"name":"es-3","roles":["master"]}}}`
	for _, c := range []struct {
		name, persistent, transient string
		request                     map[string]string
		want                        string
	}{
		{"no filter", "", "", nil, ""},
		{"what is none", `"cluster.routing.allocation.enable":"all","cluster.routing.allocation.awareness.attributes":"box"`, "", map[string]string{"index.routing.allocation.enable": "all", "index.hidden": "true"}, ""},
		{"one of two is excluded", `"cluster.routing.allocation.exclude._name":"es-1"`, "", nil, ""},
		{"both are", `"cluster.routing.allocation.exclude._name":"es-*"`, "", nil, "none of 2 data nodes may hold a shard: cluster.routing.allocation.exclude._name=es-*"},
		{"both were", `"cluster.routing.allocation.exclude._name":"es-*"`, `"cluster.routing.allocation.exclude._name":""`, nil, ""},
		{"one by the cluster, the other by the request", `"cluster.routing.allocation.exclude._ip":"10.0.0.1"`, "", map[string]string{"index.routing.allocation.require.box": "hot"},
			"none of 2 data nodes may hold a shard: cluster.routing.allocation.exclude._ip=10.0.0.1, index.routing.allocation.require.box=hot"},
	} {
		r := says{"/_cluster/settings": `{"persistent":{` + c.persistent + `},"transient":{` + c.transient + `}}`, "/_nodes/_all/_none": nodes}.repo(t)
		p := &Plan{Request: Request{Settings: c.request}}
		if err := r.findFilters(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		switch {
		case c.want == "" && len(p.Findings) == 0:
		case len(p.Findings) != 1 || p.Findings[0].Text != c.want || p.Findings[0].Severity != SeverityError:
			t.Errorf("%s: %+v, want %q", c.name, p.Findings, c.want)
		}
	}
}
