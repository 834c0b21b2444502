package es_test

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/es"
)

// In the middle of an upgrade the oldest node counts, and a node that holds no data counts for neither disks nor replicas.
func TestAClusterIsAsOldAsItsOldestNodeAndAsLargeAsItsDataNodes(t *testing.T) {
	c := &es.Conn{Client: client(func(r *http.Request) (*http.Response, error) {
		body := `{"cluster_name":"c","cluster_uuid":"u"}`
		switch {
		case strings.HasSuffix(r.URL.Path, "/stats/fs"):
			body = `{"nodes":{"1":{"name":"n1","roles":["data","master"],"fs":{"total":{"total_in_bytes":10,"available_in_bytes":4}}},
"2":{"name":"n2","roles":["data_hot"],"fs":{"total":{"total_in_bytes":20,"available_in_bytes":5}}},
"3":{"name":"n3","roles":["data_frozen"],"fs":{"total":{"total_in_bytes":30,"available_in_bytes":6}}},
"4":{"name":"n4","roles":["master"],"fs":{"total":{"total_in_bytes":40,"available_in_bytes":7}}},
"5":{"name":"n5","roles":["data_content"],"fs":{"total":{}}}}}`
		case strings.Contains(r.URL.Path, "_nodes"):
			body = `{"nodes":{"1":{"version":"8.19.7","index_version":8537000,"roles":["data","master"]},"2":{"version":"8.9.2","index_version":8090299,"roles":["data_hot"]},
"3":{"version":"9.0.0","max_index_version":9009000,"roles":["data_frozen"]},"4":{"version":"8.11.3","roles":["master"]},"5":{"version":"8.11.3","roles":["data_content"]}}}`
		}
		return answers(200, body)(r)
	})}
	got, err := c.Cluster(t.Context())
	if diff := gocmp.Diff(es.Cluster{Name: "c", UUID: "u", Version: "8.9.2", IndexVersion: 8090299, DataNodes: 3}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	disks, err := c.Disks(t.Context())
	slices.SortFunc(disks, func(a, b es.Disk) int { return cmp.Compare(a.Node, b.Node) })
	if diff := gocmp.Diff([]es.Disk{{Node: "n1", Total: 10, Available: 4}, {Node: "n2", Total: 20, Available: 5}}, disks); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
