package zkjobs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
)

// Summary counts the jobs that belong on the queue.
type Summary struct {
	Jobs       int              `json:"jobs"`
	ByDecision map[Decision]int `json:"by_decision"`
	ByPriority map[int]int      `json:"by_priority"`
	ByState    map[string]int   `json:"by_state"`
	ByAction   map[string]int   `json:"by_action"`
	// ByAge counts by the time from the jobs' creation to the plan: "under an hour", "under a day", "under a week", "under a month"
	// (30 days), "under a year", "older".
	ByAge map[string]int `json:"by_age"`
	// RunAgain counts RUNNING jobs that are put on the queue, or are on it and in nobody's hands: they run again from the
	// start. OldestRunning is the oldest.
	RunAgain      int  `json:"run_again"`
	OldestRunning *Job `json:"oldest_running,omitempty"`
}

// ages are the columns of ByAge, youngest first.
var ages = [...]struct { // never changed
	name  string
	limit time.Duration
}{{"under an hour", time.Hour}, {"under a day", 24 * time.Hour}, {"under a week", 7 * 24 * time.Hour},
	{"under a month", 30 * 24 * time.Hour}, {"under a year", 365 * 24 * time.Hour}, {"older", 1<<63 - 1}}

func (p *Plan) summarize() {
	s := Summary{Jobs: len(p.Jobs), ByDecision: map[Decision]int{}, ByPriority: map[int]int{}, ByState: map[string]int{},
		ByAction: map[string]int{}, ByAge: map[string]int{}}
	for i := range p.Jobs {
		job := &p.Jobs[i]
		s.ByDecision[job.Do]++
		s.ByPriority[job.Priority]++
		s.ByState[job.State]++
		s.ByAction[job.Action]++
		s.ByAge[ageOf(p.At.Sub(job.Created))]++
		if job.State == stateRunning && job.Do != DecisionTaken && job.Do != DecisionConsumed {
			s.RunAgain++
			if s.OldestRunning == nil || job.Created.Before(s.OldestRunning.Created) {
				s.OldestRunning = &job.Job
			}
		}
	}
	if s.OldestRunning != nil {
		oldest := *s.OldestRunning
		s.OldestRunning = &oldest
	}
	p.Summary = s
}

func ageOf(age time.Duration) string {
	for _, a := range ages {
		if age < a.limit {
			return a.name
		}
	}
	return ages[len(ages)-1].name
}

// ToAdd is the number of jobs that Apply would write.
func (p *Plan) ToAdd() int {
	return p.Summary.ByDecision[DecisionAdd] + p.Summary.ByDecision[DecisionSettle]
}

// String is the plan for people, without the list of jobs.
func (p *Plan) String() string {
	var b strings.Builder
	d := p.Summary.ByDecision
	fmt.Fprintf(&b, "queue %s: %d jobs belong on it, %d to add, %d there", p.Path, len(p.Jobs), p.ToAdd(), d[DecisionThere])
	for _, more := range []struct {
		n    int
		text string
	}{{d[DecisionTaken], "in an executor's hands"}, {d[DecisionElsewhere], "there at another priority"}, {d[DecisionConsumed], "consumed meanwhile"},
		{d[DecisionSettle], "of those to add so young that they are looked at again"}} {
		if more.n > 0 {
			fmt.Fprintf(&b, ", %d %s", more.n, more.text)
		}
	}
	b.WriteByte('\n')
	line(&b, "by priority", countsInt(p.Summary.ByPriority))
	line(&b, "by state", counts(p.Summary.ByState))
	line(&b, "by action", counts(p.Summary.ByAction))
	line(&b, "by age", p.Summary.ages())
	line(&b, "left out", counts(p.Left))
	p.remarks(&b)
	return b.String()
}

func (p *Plan) remarks(b *strings.Builder) {
	say := func(format string, args ...any) {
		b.WriteString("  " + nuvlaops.OneLine(fmt.Sprintf(format, args...)) + "\n")
	}
	if n, o := p.Summary.RunAgain, p.Summary.OldestRunning; n > 0 && o != nil {
		say("warning: %d RUNNING jobs will run again from the start, the oldest is %s (%s, created %s, %s ago)",
			n, o.ID, o.Action, o.Created.Format(time.RFC3339), days(p.At.Sub(o.Created)))
	}
	if n := len(p.Extra); n > 0 {
		say("finding: %d entries without an open job, such as %s (%s)", n, p.Extra[0].Name, p.Extra[0].ID)
	}
	if n := len(p.Doubled); n > 0 {
		say("finding: %d entries of jobs that have another one, such as %s (%s)", n, p.Doubled[0].Name, p.Doubled[0].ID)
	}
	if n := len(p.Spared); n > 0 {
		say("finding: %d entries of open jobs that are left out, such as %s (%s)", n, p.Spared[0].Name, p.Spared[0].ID)
	}
	for _, l := range p.LeftOut {
		if l.Reason == LeftInvalid {
			say("finding: %d documents cannot be used, such as %s (%s)", p.Left[LeftInvalid], l.ID, l.Detail)
			break
		}
	}
	for _, sign := range p.Busy {
		say("in use: %s", sign)
	}
}

func line(b *strings.Builder, name, text string) {
	if text != "" {
		fmt.Fprintf(b, "  %s: %s\n", name, nuvlaops.OneLine(text))
	}
}

// counts lists the ten largest, largest first.
func counts[K ~string](m map[K]int) string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b K) int {
		if m[a] != m[b] {
			return m[b] - m[a]
		}
		return strings.Compare(string(a), string(b))
	})
	return list(keys, func(k K) string { return fmt.Sprintf("%s %d", k, m[k]) })
}

func countsInt(m map[int]int) string {
	return list(slices.Sorted(maps.Keys(m)), func(k int) string { return fmt.Sprintf("%03d: %d", k, m[k]) })
}

func (s Summary) ages() string {
	var parts []string
	for _, a := range ages {
		if n := s.ByAge[a.name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", a.name, n))
		}
	}
	return strings.Join(parts, ", ")
}

func list[K any](keys []K, text func(K) string) string {
	const most = 10
	var parts []string
	for i, k := range keys {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(keys)-most))
			break
		}
		parts = append(parts, text(k))
	}
	return strings.Join(parts, ", ")
}

func days(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}

// reporter calls a Progress callback, not too often.
type reporter struct {
	report   func(nuvlaops.Progress)
	now      func() time.Time
	begun    time.Time
	last     time.Time
	op, path string
}

func newReporter(op, path string, report func(nuvlaops.Progress), now func() time.Time) *reporter {
	return &reporter{report: report, now: now, begun: now(), op: op, path: path}
}

// each reports when the last report is a while ago; it looks at the clock once in a hundred calls.
func (r *reporter) each(phase string, done, total int, unit string) {
	if r.report == nil || done%100 != 0 {
		return
	}
	if at := r.now(); at.Sub(r.last) >= 100*time.Millisecond {
		r.last = at
		r.end(phase, done, total, unit)
	}
}

// end reports at once.
func (r *reporter) end(phase string, done, total int, unit string) {
	if r.report == nil {
		return
	}
	r.report(nuvlaops.Progress{Op: r.op, Phase: phase, Resource: r.path, Done: int64(done), Total: int64(total), Unit: unit,
		Elapsed: r.now().Sub(r.begun)}.WithRemaining())
}
