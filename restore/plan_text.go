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
	folded := map[string]int{}
	for _, i := range p.Indices {
		folded[family(i.Name)]++
	}
	done := map[string]bool{}
	for n, i := range p.Indices {
		of := family(i.Name)
		if folded[of] <= unfolded {
			b.WriteString(i.line(i.Name, i.Target) + "\n")
		} else if !done[of] {
			done[of] = true
			b.WriteString(p.all(n).line(fmt.Sprintf("%s (%d indices)", of, folded[of]), "") + "\n")
		}
	}
	for _, line := range p.Remarks() {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// all is what the indices of the n-th one's data stream, which are not before it, are together.
func (p *Plan) all(n int) PlannedIndex {
	var sum PlannedIndex
	documents, known := int64(0), true
	for _, i := range p.Indices[n:] {
		if family(i.Name) != family(p.Indices[n].Name) {
			continue
		}
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

func (i PlannedIndex) line(name, target string) string {
	if target != "" && target != name {
		name += " -> " + target
	}
	text := fmt.Sprintf("  %-40s %3d shards  %10s", name, i.Shards, units.Bytes(i.Bytes))
	if i.Documents != nil {
		text += fmt.Sprintf("  %d documents", *i.Documents)
	}
	return text
}

// unfolded is how many indices of one data stream have a line each, for people; it has hundreds after a year.
const unfolded = 10

// family is the data stream that an index has been made for, by its name in the snapshot; the name itself of any other.
func family(index string) string {
	if m := backingForm.FindStringSubmatch(index); m != nil {
		return m[1]
	}
	return index
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
	return s
}
