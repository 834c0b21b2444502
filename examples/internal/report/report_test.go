package report_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/runbook"
)

func example() *report.Report {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	expected, before := int64(7), int64(5)
	r := &report.Report{
		Outcome: "recovered", Mode: report.ModeRecovery, Stacks: []string{"db", "nuvla"}, Host: "manager-1",
		Started: start, Ended: start.Add(90 * time.Second), RTO: 90, RPO: 1500, Newest: start.Add(-25 * time.Minute),
		Budget:   report.Budget{Whole: 120, Steps: map[string]float64{"restore": 3}},
		Snapshot: report.Snapshot{Repository: "s3_backup", Name: "snapshot.2026-01-02t023405z", UUID: "u", Started: start.Add(-30 * time.Minute)},
		Indices:  []report.Index{{Index: "nuvla-job", Before: &before, Documents: 7, Expected: &expected, Primaries: 3}, {Index: "nuvla-user", Documents: 2, Primaries: 3}},
		Jobs:     &report.Jobs{Total: 5, Written: 5, Before: map[int]int{50: 3}, ByPriority: map[int]int{50: 1, 999: 4}, ByState: map[string]int{"QUEUED": 4, "RUNNING": 1}, LeftOut: map[string]int{"pull": 2}, RunAgain: 1},
		Verified: []string{"all primaries"}, NotVerified: []string{"replicas"}, Warnings: []string{"one node"}, Versions: map[string]string{"Elasticsearch": "8.11.3"},
	}
	r.AddSteps([]runbook.Record{
		{Step: "restore", State: runbook.Done, Started: start.Add(20 * time.Second), Ended: start.Add(24 * time.Second), Detail: "9 documents"},
		{Step: "wipe", State: runbook.Skipped, Started: start.Add(10 * time.Second), Ended: start.Add(11 * time.Second), Detail: "3 volumes removed"},
	})
	return r
}

func TestTheTextSaysEverythingAndEndsWithTheOutcome(t *testing.T) {
	text := example().Text()
	for _, want := range []string{"snapshot.2026-01-02t023405z", "25m0s", "2026-01-02T02:39:05Z", "1m30s", "SKIPPED 3 volumes removed", "+20.0s  4.0s  9 documents",
		"7 in the manifest", "5 before", "not known before", "not in the manifest", "050        1  3 before", "within its budget of 2m0s", "OVER: 1.0s over its budget of 3.0s", "Elasticsearch: 8.11.3", "left out, pull: 2", "all primaries", "replicas", "one node"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if strings.Index(text, "wipe") > strings.Index(text, "restore  +") {
		t.Errorf("steps are not in the order in which they began:\n%s", text)
	}
	if !strings.HasSuffix(text, "\nRECOVERED: 9 documents in 2 indices, 5 jobs on the queue, each once, in 1m30s\n") {
		t.Errorf("the last line is not the outcome:\n%s", text)
	}
}

// A drill loses nothing, and why the newest document is not known is among the steps and the warnings.
func TestTheTextOfADrillSaysWhatWouldBeLost(t *testing.T) {
	r := example()
	r.Mode, r.Newest = report.ModeDrill, time.Time{}
	if text, want := r.Text(), "the snapshot's age, since the time of the newest document is not known. What was written since would be lost"; !strings.Contains(text, want) {
		t.Errorf("the report lacks %q:\n%s", want, text)
	}
}

func TestAFailureIsTheLastLine(t *testing.T) {
	r := &report.Report{Outcome: "not recovered", Error: "step restore: no primary"}
	if text := r.Text(); !strings.HasSuffix(text, "\nNOT RECOVERED: step restore: no primary\n") {
		t.Errorf("got:\n%s", text)
	}
}

func TestWhatWasNotDoneIsSaidWhereTheOutcomeIs(t *testing.T) {
	neither := &report.Report{Mode: report.ModeRecovery, Outcome: "done in part", NotDone: []string{"no document was restored", "the job queue was not rebuilt"}, RTO: 90}
	documents := example()
	documents.Outcome, documents.NotDone, documents.Jobs = "done in part", neither.NotDone[1:], nil
	for want, r := range map[string]*report.Report{
		"no document was restored, as asked, the job queue was not rebuilt, as asked, in 1m30s": neither,
		"the job queue was not rebuilt, as asked, 9 documents in 2 indices, in 1m30s":           documents,
	} {
		if text := r.Text(); !strings.HasSuffix(text, "\nDONE IN PART: "+want+"\n") {
			t.Errorf("want %q at the end of\n%s", want, text)
		}
		if text := words(html(t, r)); !strings.HasPrefix(text, "DONE IN PART "+want) || strings.Contains(text, "Call the same command again") {
			t.Errorf("want %q at the head of\n%s", want, text)
		}
		if r.Recovered() {
			t.Errorf("%q is called recovered", want)
		}
	}
}

func TestAReportIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	want := example()
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := report.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-written +read):\n%s", diff)
	}
}
