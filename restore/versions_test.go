package restore

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/es"
)

func TestVersionsOfSnapshotAndClusterAreCompared(t *testing.T) {
	for _, c := range []struct {
		name     string
		snapshot string
		needs    int
		cluster  es.Cluster
		want     []string
	}{
		{"the same", "8500003", 0, es.Cluster{Version: "8.11.3", IndexVersion: 8500003}, nil},
		{"an earlier node's version", "8.5.1", 0, es.Cluster{Version: "8.11.3", IndexVersion: 8500003}, nil},
		{"a later index version", "8537000", 0, es.Cluster{Version: "8.11.3", IndexVersion: 8500003}, []string{SeverityError}},
		{"a later node's version", "8.19.7", 0, es.Cluster{Version: "8.11.3", IndexVersion: 8500003}, []string{SeverityError}},
		{"one major version back", "8500003", 0, es.Cluster{Version: "9.1.0", IndexVersion: 9033000}, []string{SeverityWarning}},
		{"two major versions back", "7.17.0", 0, es.Cluster{Version: "9.1.0", IndexVersion: 9033000}, []string{SeverityError}},
		{"a later node's, as an older server names it", "8.19.8-[9107000]", 9107000, es.Cluster{Version: "8.19.7", IndexVersion: 8536000}, []string{SeverityError}},
		{"an earlier node's, as a range", "8.11.0-8.11.4", 8500003, es.Cluster{Version: "8.19.7", IndexVersion: 8536000}, nil},
		{"one major version back, as a range", "8.11.0-8.11.4", 8500003, es.Cluster{Version: "9.5.0", IndexVersion: 9107000}, []string{SeverityWarning}},
		{"a range, of a cluster that does not say what it reads", "8.11.0-8.11.4", 8500003, es.Cluster{Version: "8.9.0"}, []string{SeverityError}},
		{"not to be compared", "8500003", 0, es.Cluster{Version: "8.11.3"}, []string{SeverityInfo}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &Plan{Snapshot: Snapshot{State: es.StateSuccess, Version: c.snapshot, needs: c.needs}, Indices: []PlannedIndex{{}}, Cluster: Cluster{DataNodes: 3}}
			p.findInSnapshot(c.cluster)
			var got []string
			for _, f := range p.Findings {
				if f.Code == CodeVersion {
					got = append(got, f.Severity)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("severities (-want +got):\n%s", d)
			}
		})
	}
}
