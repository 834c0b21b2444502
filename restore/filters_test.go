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
