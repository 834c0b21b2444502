package zkjobs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
)

// TestAVerificationCallsEachDifferenceByItsName: of five jobs, a and b at priority 10, c, d and e at 50.
func TestAVerificationCallsEachDifferenceByItsName(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var jobs []Job
	for i, id := range strings.Fields("a b c d e") {
		jobs = append(jobs, Job{ID: "job/" + id, Priority: []int{10, 10, 50, 50, 50}[i], State: "QUEUED", Action: id, Created: at.Add(time.Duration(i) * time.Second)})
	}
	jobs[4].State = "RUNNING"
	for _, tc := range []struct {
		queue string // id, * where Apply has made the entry, ! where it is taken, and the priority where it is not the job's
		gone  string
		want  string
	}{
		{"a* b* c* d* e*", "", "5 found"},
		{"a b c d e!", "", "5 found, 1 taken"},
		{"a* b* c* e*", "", "4 found, missing d"},
		{"a* b* c* e*", "d", "4 found, consumed d"},
		{"a* b* c* d* e* x", "", "5 found, extra x"},
		{"a* a* b* c* d* e*", "", "5 found, doubled a"},
		{"a* b* d* e* c*", "", "5 found, order c"},
		{"a* b* e* c* d*", "", "5 found, order c d"},
		{"a b e c d", "", "5 found, 2 earlier"},
		{"a* b* d* c e*", "", "5 found, 1 earlier"},
		{"a* b* d c* e*", "", "5 found, 1 earlier"}, // behind one that was there before
		{"a* c*10 b* d* e*", "", "5 found, priority c"},
		{"a* c10 b* d* e*", "", "5 found, 1 earlier"},
		{"a* c*10 b* e* d*", "", "5 found, priority c, order d"},
		{"", "a b c d e", "0 found, consumed a b c d e"},
	} {
		p := NewPlan("/job", at, jobs, nil, PlanOptions{})
		index, l := indexJobs(p.Jobs), &listing{}
		for n, word := range strings.Fields(tc.queue) {
			id, priority := word[:1], 50
			if id == "a" || id == "b" {
				priority = 10
			}
			_, _ = fmt.Sscan(strings.TrimLeft(word[1:], "*!"), &priority)
			e := entry{name: fmt.Sprintf("entry-%03d-%010d", priority, n), id: "job/" + id, mine: strings.Contains(word, "*"), taken: strings.Contains(word, "!")}
			if i, wanted := index.find(e.id); wanted {
				e.job = int32(i) + 1
			}
			l.entries = append(l.entries, e)
		}
		r := p.verify(l, func(i int) bool { return strings.Contains(tc.gone, p.Jobs[i].ID[4:]) }, func(e *entry) bool { return e.mine })
		got := fmt.Sprintf("%d found", r.Found)
		if r.Taken > 0 {
			got += fmt.Sprintf(", %d taken", r.Taken)
		}
		for _, f := range []struct {
			name string
			Finding
		}{{"missing", r.Missing}, {"consumed", r.Consumed}, {"extra", r.Extra}, {"doubled", r.Doubled}, {"priority", r.WrongPriority}, {"order", r.WrongOrder}} {
			if f.Count != len(f.Examples) {
				t.Errorf("%s: %s %+v", tc.queue, f.name, f.Finding)
			}
			for i, e := range f.Examples {
				if got += " " + e.ID[4:]; i == 0 {
					got = strings.TrimSuffix(got, " "+e.ID[4:]) + ", " + f.name + " " + e.ID[4:]
				}
			}
		}
		if r.Earlier > 0 {
			got += fmt.Sprintf(", %d earlier", r.Earlier)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.queue, diff)
		}
		wrong := strings.Contains(tc.want, "missing") || strings.Contains(tc.want, "doubled") || strings.Contains(tc.want, "priority") || strings.Contains(tc.want, "order")
		if r.OK() == wrong || errors.Is(r.err(), nuvlaops.ErrVerification) != wrong || r.Wanted != 5 || r.Entries != len(l.entries) {
			t.Errorf("%s: %+v, %v", tc.queue, r, r.err())
		}
		if r.Found == 5 {
			if diff := cmp.Diff([]any{map[int]int{10: 2, 50: 3}, map[string]int{"QUEUED": 4, "RUNNING": 1}}, []any{r.ByPriority, r.ByState}); diff != "" {
				t.Errorf("%s: counts (-want +got):\n%s", tc.queue, diff)
			}
		}
	}
}
