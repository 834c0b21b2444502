package restore

import (
	"fmt"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/internal/units"
)

// String is the plan for people.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "restore %s/%s (%s, %s) into cluster %s (%s, %s)\n", p.Repository, p.Snapshot.Name, p.Snapshot.State,
		p.Snapshot.Start.UTC().Format(time.RFC3339), p.Cluster.Name, p.Cluster.Version, plural(p.Cluster.DataNodes, "data node"))
	fmt.Fprintf(&b, "%s, %s, %s, %s\n", plural(len(p.Indices), "index"), plural(len(p.DataStreams), "data stream"),
		plural(p.Shards, "primary shard"), units.Bytes(p.Bytes))
	for _, i := range p.Indices {
		name := i.Name
		if i.Target != i.Name {
			name += " -> " + i.Target
		}
		fmt.Fprintf(&b, "  %-40s %3d shards  %10s", name, i.Shards, units.Bytes(i.Bytes))
		if i.Documents != nil {
			fmt.Fprintf(&b, "  %d documents", *i.Documents)
		}
		b.WriteByte('\n')
	}
	for _, f := range p.Findings {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

// String is the finding on one line.
func (f Finding) String() string {
	s := f.Severity + " " + f.Code
	if f.Resource != "" {
		s += " " + f.Resource
	}
	s += ": " + f.Text
	if f.Hint != "" {
		s += " (" + f.Hint + ")"
	}
	return s
}
