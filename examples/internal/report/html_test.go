package report_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/metrics"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/runbook"
)

func html(t *testing.T, r *report.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// words are what a person reads on a page.
func words(page string) string {
	body := page[strings.Index(page, "<body>"):]
	return strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, " ")), " ")
}

func TestThePageSaysEverything(t *testing.T) {
	text := words(html(t, example()))
	for _, want := range []string{
		"RECOVERED 9 documents in 2 indices, 5 jobs on the queue, each once, in 1m30s", "Stacks db, nuvla", "run on manager-1",
		"from 2026-01-02 03:04:05 UTC to 2026-01-02 03:05:35 UTC",
		"Recovery time (RTO) 1m30s within its budget of 2m0s", "Data lost, at most (RPO) 25m0s newest document of 2026-01-02 02:39:05 UTC",
		"snapshot.2026-01-02t023405z", "s3_backup", "2026-01-02 02:34:05 UTC",
		"restore 4.0s 3.0s 9 documents 1.0s over its budget of 3.0s", "wipe 1.0s done by an earlier call: 3 volumes removed",
		"nuvla-job 5 7 7 3", "nuvla-user - not in it 2 3", "050 3 1", "999 0 4", "4 QUEUED. 1 RUNNING. 1 were running and run again from the start. 2 left out: pull.",
		"Verified all primaries", "Not verified replicas", "Warnings one node", "Elasticsearch 8.11.3",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
}

// A recovery that was refused before it removed anything has lost nothing.
func TestThePageCallsNothingLostThatWasNotTouched(t *testing.T) {
	r := example()
	r.Outcome, r.Error, r.Untouched = "not recovered", "step look: no snapshot", true
	if text := words(html(t, r)); strings.Contains(text, "Data lost") || !strings.Contains(text, "Data that would be lost, at most (RPO) 25m0s") {
		t.Errorf("the page says:\n%s", text)
	}
}

func TestThePageNeedsNothingButItself(t *testing.T) {
	page := html(t, example())
	for _, no := range []string{"http:", "https:", "//", "<script", "<link", "<img", "@import", "url(", "src=", "href="} {
		if strings.Contains(strings.ReplaceAll(page, "<!doctype", ""), no) {
			t.Errorf("the page has %q", no)
		}
	}
}

func TestAFailureHeadsThePageAndSaysHowToGoOn(t *testing.T) {
	r := example()
	r.Outcome, r.Error = "not recovered", "step queue: <b>ZooKeeper</b> is away"
	r.Steps[0].State, r.Steps[0].Error = "failed", r.Error
	page := html(t, r)
	text := words(page)
	for _, want := range []string{"NOT RECOVERED step queue: &lt;b&gt;ZooKeeper&lt;/b&gt; is away Call the same command again within a day: it", "FAILED: step queue"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(page, "<b>Zoo") {
		t.Error("text of an error is markup on the page")
	}
}

func TestEachStepIsOnTheTimeLineWhereItWas(t *testing.T) {
	page := html(t, example())
	got := regexp.MustCompile(`<b class="([a-z ]+)" style="left:([0-9.]+)%;width:([0-9.]+)%"`).FindAllStringSubmatch(page, -1)
	for i := range got {
		got[i] = got[i][1:]
	}
	want := [][]string{{"skipped", "11.11", "1.11"}, {"done over", "22.22", "4.44"}} // of 90 s, as they began
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bars (-want +got):\n%s", diff)
	}
}

func TestAReportOfNothingIsAPageToo(t *testing.T) {
	if text := words(html(t, &report.Report{Mode: report.ModeDrill, Outcome: "not recovered", Error: "no engine"})); !strings.Contains(text, "DRILL FAILED no engine") {
		t.Errorf("got: %s", text)
	}
}

// A queue that was empty is not one that nobody could ask, also in a report that was read.
func TestAQueueThatWasEmptyIsKnownToHaveBeen(t *testing.T) {
	r := example()
	r.Jobs.Before = map[int]int{}
	path := filepath.Join(t.TempDir(), "report.json")
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	read, err := report.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*report.Report{r, read} {
		if text := words(html(t, r)); !strings.Contains(text, "050 0 1 999 0 4") {
			t.Errorf("the page lacks the empty queue: %s", text)
		}
		if text := r.Text(); !strings.Contains(text, "050        1  0 before") {
			t.Errorf("the text lacks the empty queue: %s", text)
		}
		r.Jobs.Before = nil
		if text := words(html(t, r)); !strings.Contains(text, "050 - 1 999 - 4") {
			t.Errorf("nobody could ask the queue: %s", text)
		}
	}
}

func TestABudgetIsReadAsAPersonWritesIt(t *testing.T) {
	steps := []string{"restore", "queue"}
	got, err := report.ParseBudget("30m, restore=20m,queue=90s", steps)
	want := report.Budget{Whole: 1800, Steps: map[string]float64{"restore": 1200, "queue": 90}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if none, err := report.ParseBudget("", steps); err != nil || !none.IsZero() {
		t.Errorf("no budget is %v, %v", none, err)
	}
	for _, bad := range []string{"30", "-1m", "0s", "nap=1m", "restore", "restore=", "=1m"} {
		if _, err := report.ParseBudget(bad, steps); err == nil {
			t.Errorf("%q is taken for a budget", bad)
		}
	}
}

func TestMetricsTellTheLastAttemptAndKeepTheLastSuccess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recovery.prom")
	if err := example().WriteMetrics(path); err != nil {
		t.Fatal(err)
	}
	check := func(want ...string) {
		t.Helper()
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(string(raw), w+"\n") {
				t.Errorf("the file lacks %q:\n%s", w, raw)
			}
		}
	}
	const labels = `{mode="recovery",repository="s3_backup"} `
	check("nuvla_recovery_last_success_timestamp_seconds"+labels+"1.767323135e+09", "nuvla_recovery_last_attempt_timestamp_seconds"+labels+"1.767323045e+09",
		"nuvla_recovery_duration_seconds"+labels+"90", "nuvla_recovery_rpo_seconds"+labels+"1500", "nuvla_recovery_budget_seconds"+labels+"120",
		`nuvla_recovery_step_seconds{mode="recovery",repository="s3_backup",step="restore"} 4`)
	failed := example()
	failed.Error = errors.New("x").Error()
	failed.Started = failed.Started.Add(time.Hour)
	failed.Steps = nil
	failed.AddSteps([]runbook.Record{{Step: "wipe", State: runbook.Failed, Started: failed.Started, Ended: failed.Started.Add(2 * time.Second)}})
	if err := failed.WriteMetrics(path); err != nil {
		t.Fatal(err)
	}
	check("nuvla_recovery_last_success_timestamp_seconds"+labels+"1.767323135e+09", "nuvla_recovery_last_attempt_timestamp_seconds"+labels+"1.767326645e+09",
		`nuvla_recovery_step_seconds{mode="recovery",repository="s3_backup",step="wipe"} 2`)
}

// A file of one repository says nothing of another, and the success of a drill is none of a recovery.
func TestMetricsKeepNoSuccessOfAnother(t *testing.T) {
	for name, change := range map[string]func(*report.Report){
		"repository": func(r *report.Report) { r.Snapshot.Repository = "other" },
		"mode":       func(r *report.Report) { r.Mode = report.ModeDrill },
	} {
		path := filepath.Join(t.TempDir(), "recovery.prom")
		failed := example()
		failed.Error = "x"
		change(failed)
		if err := errors.Join(example().WriteMetrics(path), failed.WriteMetrics(path)); err != nil {
			t.Fatal(err)
		}
		if raw, err := os.ReadFile(path); err != nil || strings.Contains(string(raw), metrics.RecoveryLastSuccess) {
			t.Errorf("another %s: %v, a success that never was:\n%s", name, err, raw)
		}
	}
}

// Nothing went back where nothing was touched: an alert would say so for a week.
func TestMetricsOfWhatWasNotTouchedHaveNoLoss(t *testing.T) {
	r, path := example(), filepath.Join(t.TempDir(), "recovery.prom")
	r.Error, r.Untouched = "x", true
	if err := r.WriteMetrics(path); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(path); err != nil || strings.Contains(string(raw), metrics.RecoveryRPO) {
		t.Errorf("%v, a loss that never was:\n%s", err, raw)
	}
}
