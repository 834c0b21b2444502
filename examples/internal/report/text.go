package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nuvla/nuvlaops"
)

// Text is the report for people. Its last line is the outcome.
func (r *Report) Text() string {
	var b strings.Builder
	title := "RECOVERY"
	if r.Mode == ModeDrill {
		title = "DRILL"
	}
	fmt.Fprintf(&b, "\nREPORT OF THE %s\n\n", title)
	if r.Snapshot.Name != "" {
		fmt.Fprintf(&b, "  snapshot   %s of %s, taken %s\n", nuvlaops.OneLine(r.Snapshot.Name), r.Snapshot.Repository, r.Snapshot.Started.UTC().Format(time.RFC3339))
		newest := "the snapshot's age, since the time of the newest document is not known"
		if !r.Newest.IsZero() {
			newest = "the newest document is of " + r.Newest.UTC().Format(time.RFC3339)
		}
		lost := "is lost"
		if r.Mode == ModeDrill || r.Untouched {
			lost = "would be lost"
		}
		fmt.Fprintf(&b, "  RPO        %s before the start of the recovery: %s. What was written since %s\n", seconds(r.RPO), newest, lost)
	}
	fmt.Fprintf(&b, "  RTO        %s, from the start of the recovery to its end%s\n", seconds(r.RTO), against(r.RTO, r.Budget.Whole))
	r.steps(&b)
	r.indices(&b)
	r.jobs(&b)
	lines(&b, "verified", r.Verified)
	lines(&b, "not verified", r.NotVerified)
	lines(&b, "warnings", r.Warnings)
	r.versions(&b)
	fmt.Fprintf(&b, "\n%s\n", nuvlaops.OneLine(r.closing()))
	return b.String()
}

func (r *Report) closing() string { return strings.ToUpper(r.Outcome) + ": " + r.sum() }

// sum is what came back, or why it did not.
func (r *Report) sum() string {
	if r.Error != "" {
		return r.Error
	}
	var said []string
	for _, what := range r.NotDone {
		said = append(said, what+", as asked")
	}
	if len(r.Indices) > 0 || r.Jobs == nil && len(r.NotDone) == 0 {
		total := int64(0)
		for _, i := range r.Indices {
			total += i.Documents
		}
		said = append(said, fmt.Sprintf("%d documents in %d indices", total, len(r.Indices)))
	}
	if r.Jobs != nil {
		said = append(said, fmt.Sprintf("%d jobs on the queue, each once", r.Jobs.Total))
	}
	return strings.Join(said, ", ") + ", in " + seconds(r.RTO)
}

func (r *Report) steps(b *strings.Builder) {
	if len(r.Steps) == 0 {
		return
	}
	fmt.Fprintf(b, "\n  steps (side by side where they can; +start, duration)\n")
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, s := range r.ordered() {
		note := nuvlaops.OneLine(s.note()) + against(s.Seconds, s.Budget)
		if !s.ran() {
			fmt.Fprintf(w, "    %s\t\t\t%s\n", s.Name, note)
			continue
		}
		if s.State != "done" {
			note = strings.ToUpper(s.State) + " " + note
		}
		fmt.Fprintf(w, "    %s\t+%s\t%s\t%s\n", s.Name, seconds(s.Started.Sub(r.Started).Seconds()), seconds(s.Seconds), note)
	}
	_ = w.Flush()
}

func (r *Report) indices(b *strings.Builder) {
	if len(r.Indices) == 0 {
		return
	}
	fmt.Fprintf(b, "\n  documents by index\n")
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, i := range r.rows() {
		expected := "not in the manifest"
		if i.Expected != nil {
			expected = fmt.Sprintf("%d in the manifest", *i.Expected)
		}
		before := "not known " + r.beforeWord()
		if i.Before != nil {
			before = fmt.Sprintf("%d %s", *i.Before, r.beforeWord())
		}
		fmt.Fprintf(w, "    %-28s\t%d\t  %s\t  %s\t  %d primaries\t\n", nuvlaops.OneLine(i.Index), i.Documents, expected, before, i.Primaries)
	}
	_ = w.Flush()
}

func (r *Report) jobs(b *strings.Builder) {
	if r.Jobs == nil {
		return
	}
	j := r.Jobs
	fmt.Fprintf(b, "\n  jobs on the queue, by priority (the lower first)\n")
	for _, p := range r.queue() {
		before := ""
		if p.HasBefore {
			before = fmt.Sprintf("  %d %s", p.Before, r.beforeWord())
		}
		fmt.Fprintf(b, "    %03d  %7d%s\n", p.Priority, p.After, before)
	}
	fmt.Fprintf(b, "    all  %7d  written %d, missing %d, doubled %d; %d were running and run again from the start\n", j.Total, j.Written, j.Missing, j.Doubled, j.RunAgain)
	for _, reason := range slices.Sorted(maps.Keys(j.LeftOut)) {
		fmt.Fprintf(b, "    left out, %s: %d\n", reason, j.LeftOut[reason])
	}
}

func (r *Report) versions(b *strings.Builder) {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		all = append(all, name+": "+r.Versions[name])
	}
	lines(b, "versions", all)
}

// against compares a time with its budget, in words that follow it.
func against(took, budget float64) string {
	switch {
	case budget <= 0:
		return ""
	case over(took, budget) != "":
		return "; OVER: " + over(took, budget)
	}
	return "; within its budget of " + seconds(budget)
}

// beforeWord is where the numbers are from that those of the recovery stand beside.
func (r *Report) beforeWord() string {
	if r.Mode == ModeDrill {
		return "in production"
	}
	return "before"
}

func lines(b *strings.Builder, title string, all []string) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "\n  %s\n", title)
	for _, l := range all {
		fmt.Fprintf(b, "    - %s\n", nuvlaops.OneLine(l))
	}
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
