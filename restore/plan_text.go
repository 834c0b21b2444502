package restore

import (
	"fmt"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/fold"
	"github.com/nuvla/nuvlaops/internal/units"
)

// String is the plan for people.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "restore %s/%s (%s, %s) into cluster %s (%s, %s)\n", p.Repository, nuvlaops.OneLine(p.Snapshot.Name), p.Snapshot.State,
		p.Snapshot.Start.UTC().Format(time.RFC3339), nuvlaops.OneLine(p.Cluster.Name), p.Cluster.Version, plural(p.Cluster.DataNodes, "data node"))
	fmt.Fprintf(&b, "%s, %s, %s, %s\n", plural(len(p.Indices), "index"), plural(len(p.DataStreams), "data stream"),
		plural(p.Shards, "primary shard"), units.Bytes(p.Bytes))
	for _, i := range fold.Groups(p.Indices, func(i PlannedIndex) string { return i.Stream }, togetherPlanned) {
		b.WriteString(i.line() + "\n")
	}
	for _, line := range p.Remarks() {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// togetherPlanned says of the indices of a data stream what is known of each of them.
func togetherPlanned(stream string, all []PlannedIndex) PlannedIndex {
	sum := PlannedIndex{Name: fmt.Sprintf("%s (%d indices)", stream, len(all))}
	documents, known := int64(0), true
	for _, i := range all {
		sum.Shards, sum.Bytes = sum.Shards+i.Shards, sum.Bytes+i.Bytes
		if known = known && i.Documents != nil; known {
			documents += *i.Documents
		}
	}
	if known {
		sum.Documents = &documents
	}
	return sum
}

func (i PlannedIndex) line() string {
	name := i.Name
	if i.Target != "" && i.Target != name {
		name += " -> " + i.Target
	}
	text := fmt.Sprintf("  %-40s %3d shards  %10s", nuvlaops.OneLine(name), i.Shards, units.Bytes(i.Bytes))
	if i.Documents != nil {
		text += fmt.Sprintf("  %d documents", *i.Documents)
	}
	return text
}

// some are names for people: the first few, and how many more.
func some(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// Remarks are the findings for people, on a line each: those that say the same of several resources together on one.
func (p *Plan) Remarks() []string {
	var told []Finding
	resources := map[Finding][]string{} // by the finding without one
	for _, f := range p.Findings {
		resource := f.Resource
		if f.Resource = ""; resources[f] == nil {
			told = append(told, f)
		}
		resources[f] = append(resources[f], resource)
	}
	lines := make([]string, len(told))
	for i, f := range told {
		f.Resource = some(resources[told[i]])
		lines[i] = f.String()
	}
	return lines
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
	return nuvlaops.OneLine(s)
}
