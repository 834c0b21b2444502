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
	const want = `
REPORT OF THE RECOVERY

  snapshot   snapshot.2026-01-02t023405z of s3_backup, taken 2026-01-02T02:34:05Z
  RPO        25m0s before the start of the recovery: the newest document is of 2026-01-02T02:39:05Z. What was written since is lost
  RTO        1m30s, from the start of the recovery to its end; within its budget of 2m0s

  steps (side by side where they can; +start, duration)
    wipe     +10.0s  1.0s  SKIPPED 3 volumes removed
    restore  +20.0s  4.0s  9 documents; OVER: 1.0s over its budget of 3.0s

  documents by index
      nuvla-job                     7      7 in the manifest            5 before    3 primaries
      nuvla-user                    2    not in the manifest    not known before    3 primaries

  jobs on the queue, by priority (the lower first)
    050        1  3 before
    999        4  0 before
    all        5  written 5, missing 0, doubled 0; 1 were running and run again from the start
    left out, pull: 2

  verified
    - all primaries

  not verified
    - replicas

  warnings
    - one node

  versions
    - Elasticsearch: 8.11.3

RECOVERED: 9 documents in 2 indices, 5 jobs on the queue, each once, in 1m30s
`
	if diff := cmp.Diff(want, example().Text()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What was left out and what was not reached have no place on the time line.
func TestTheTextOfADrillThatFailedSaysHowFarItCame(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := &report.Report{Outcome: "not recovered", Mode: report.ModeDrill, Error: "step restore: no primary", Started: start, Ended: start.Add(time.Minute), RTO: 60}
	r.AddSteps([]runbook.Record{
		{Step: "wipe", Title: "Wipe", State: runbook.LeftOut, Detail: "as told", Started: start, Ended: start},
		{Step: "restore", Title: "Restore", State: runbook.Failed, Error: "no primary", Started: start, Ended: start.Add(time.Minute)},
	})
	r.AddMissing([]runbook.Step{{Name: "restore", Title: "Restore"}, {Name: "queue", Title: "Rebuild the queue"}})
	const want = `
REPORT OF THE DRILL

  RTO        1m0s, from the start of the recovery to its end

  steps (side by side where they can; +start, duration)
    wipe                  as told
    restore  +0.0s  1m0s  FAILED no primary
    queue                 not reached

NOT RECOVERED: step restore: no primary
`
	if diff := cmp.Diff(want, r.Text()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	missing := report.Step{Name: "queue", Title: "Rebuild the queue", State: "not reached", Started: r.Ended, Detail: "not reached"}
	if diff := cmp.Diff(missing, r.Steps[2]); diff != "" || len(r.Steps) != 3 {
		t.Errorf("%d steps, the last (-want +got):\n%s", len(r.Steps), diff)
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
