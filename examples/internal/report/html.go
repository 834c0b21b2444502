package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/internal/atomicfile"
)

//go:embed report.html
var pageText string

// WriteHTML writes the report as one page that needs nothing but itself: no network, no script. The file is whole or what
// it was.
func (r *Report) WriteHTML(path string) error { return atomicfile.Write(path, r.HTML) }

// HTML writes the page. Whatever the report holds is text on it, never markup.
func (r *Report) HTML(w io.Writer) error {
	page, err := template.New("report").Funcs(template.FuncMap{"seconds": seconds, "stamp": stamp, "number": number[int64], "count": number[int]}).Parse(pageText)
	if err != nil {
		return err
	}
	return page.Execute(w, r.view())
}

// view is the report as the page shows it.
type view struct {
	*Report
	Closing   string
	OK        bool
	OverRTO   string
	Documents int64
	Bars      []bar
	Ticks     []tick
	Rows      []row      // of indices
	Queue     []priority // of jobs
	Versioned [][2]string
}

// bar is a step on the time line. Left and Width are percent of the whole.
type bar struct {
	Step
	Left, Width float64
	At          float64 // seconds since the recovery began
	Class       string
	Note, Over  string
	Ran         bool
}

type tick struct {
	Left  float64
	Label string
}

// row is an index. Missing says that documents are not there which the snapshot's manifest has.
type row struct {
	Index
	HasBefore, HasExpected, Differs bool
	BeforeN, ExpectedN              int64
}

type priority struct {
	Priority, Before, After int
	HasBefore               bool
}

func (r *Report) view() view {
	v := view{Report: r, Closing: r.sum(), OK: r.Recovered(), OverRTO: over(r.RTO, r.Budget.Whole), Bars: r.bars(), Ticks: ticks(r.span()), Queue: r.queue()}
	for _, i := range r.rows() {
		x := row{Index: i, HasBefore: i.Before != nil, HasExpected: i.Expected != nil}
		if i.Before != nil {
			x.BeforeN = *i.Before
		}
		if i.Expected != nil {
			x.ExpectedN, x.Differs = *i.Expected, *i.Expected != i.Documents
		}
		v.Rows, v.Documents = append(v.Rows, x), v.Documents+i.Documents
	}
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		v.Versioned = append(v.Versioned, [2]string{name, r.Versions[name]})
	}
	return v
}

// span is the length of the time line in seconds.
func (r *Report) span() float64 { return max(r.Ended.Sub(r.Started).Seconds(), 0.001) }

func (r *Report) bars() (out []bar) {
	const narrowest = 0.4 // percent: a step of no time is still seen
	for _, s := range r.ordered() {
		b := bar{Step: s, At: s.Started.Sub(r.Started).Seconds(), Class: strings.ReplaceAll(s.State, " ", "-"), Ran: s.ran(), Note: s.note(), Over: over(s.Seconds, s.Budget)}
		b.Left = min(max(100*b.At/r.span(), 0), 100-narrowest)
		b.Width = min(max(100*s.Seconds/r.span(), narrowest), 100-b.Left)
		if b.Over != "" {
			b.Class += " over"
		}
		out = append(out, b)
	}
	return out
}

// ordered are the steps as they began.
func (r *Report) ordered() []Step {
	return slices.SortedStableFunc(slices.Values(r.Steps), func(a, b Step) int { return a.Started.Compare(b.Started) })
}

// note is what a step says of itself.
func (s Step) note() string {
	if s.Error != "" {
		return s.Error
	}
	return s.Detail
}

// ticks divide the time line at round times.
func ticks(span float64) (out []tick) {
	step := 0.5
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400} {
		if span/step <= 8 {
			break
		}
		step = s
	}
	if step == 86400 { // for many days, days enough
		step = max(step, span/8)
	}
	for at := 0.0; at <= span; at += step {
		label := time.Duration(at * float64(time.Second)).Round(100 * time.Millisecond).String()
		for _, zero := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(label, zero) {
				label = strings.TrimSuffix(label, zero[1:])
			}
		}
		out = append(out, tick{Left: 100 * at / span, Label: label})
	}
	return out
}

func (r *Report) queue() (out []priority) {
	if r.Jobs == nil {
		return nil
	}
	all := map[int]bool{}
	for _, m := range []map[int]int{r.Jobs.Before, r.Jobs.ByPriority} {
		for p := range m {
			all[p] = true
		}
	}
	for _, p := range slices.Sorted(maps.Keys(all)) {
		out = append(out, priority{p, r.Jobs.Before[p], r.Jobs.ByPriority[p], r.Jobs.Before != nil})
	}
	return out
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "not known"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// number is a count with its thousands set apart: 50 000.
func number[N int | int64](n N) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}
