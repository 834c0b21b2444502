package zkjobs_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/zkjobs"
)

// mixed is one job of each kind, by what is special about it.
func mixed() []zkjobs.Job {
	with := func(id string, change func(*zkjobs.Job)) zkjobs.Job {
		j := job(id, 50, 0)
		change(&j)
		return j
	}
	return []zkjobs.Job{
		job("plain", 50, 1),
		with("nomode", func(j *zkjobs.Job) { j.Mode = "" }),
		with("mixed", func(j *zkjobs.Job) { j.Mode = "mixed" }),
		with("pull", func(j *zkjobs.Job) { j.Mode = "pull" }),
		with("running", func(j *zkjobs.Job) { j.State = "RUNNING" }),
		with("final", func(j *zkjobs.Job) { j.State = "SUCCESS" }),
		with("stop", func(j *zkjobs.Job) { j.Action = "stop_deployment" }),
		with("followed", func(j *zkjobs.Job) { j.State, j.Action, j.Monitored = "RUNNING", "bulk_stop_deployment", true }),
		with("old", func(j *zkjobs.Job) { j.Created = clock().AddDate(0, -2, 0) }),
		with("broken", func(j *zkjobs.Job) { j.Invalid = "priority is not a whole number" }),
		with("undated", func(j *zkjobs.Job) { j.Created = time.UnixMilli(1e15) }),
		job("plain", 50, 1),
	}
}

func TestEachFilterLeavesOutWhatItNames(t *testing.T) {
	for name, tc := range map[string]struct {
		opts zkjobs.PlanOptions
		in   string // jobs of mixed, by id
		left map[zkjobs.Reason]int
	}{
		"none": {zkjobs.PlanOptions{}, "mixed nomode old plain running stop",
			map[zkjobs.Reason]int{"pull": 1, "final": 1, "monitored": 1, "invalid": 2, "repeated": 1}},
		"states": {zkjobs.PlanOptions{States: []string{"RUNNING"}}, "running",
			map[zkjobs.Reason]int{"pull": 1, "final": 1, "monitored": 1, "invalid": 1, "state": 7}},
		"modes": {zkjobs.PlanOptions{Modes: []string{"push"}}, "nomode old plain running stop",
			map[zkjobs.Reason]int{"pull": 1, "final": 1, "monitored": 1, "invalid": 2, "repeated": 1, "mode": 1}},
		"mode pull": {zkjobs.PlanOptions{Modes: []string{"pull"}}, "pull",
			map[zkjobs.Reason]int{"final": 1, "invalid": 1, "mode": 9}},
		"actions": {zkjobs.PlanOptions{Actions: []string{"stop_deployment"}}, "stop",
			map[zkjobs.Reason]int{"pull": 1, "final": 1, "monitored": 1, "invalid": 1, "action": 7}},
		"not before": {zkjobs.PlanOptions{NotBefore: clock()}, "mixed nomode plain running stop",
			map[zkjobs.Reason]int{"pull": 1, "final": 1, "monitored": 1, "invalid": 2, "repeated": 1, "too old": 1}},
		"age": {zkjobs.PlanOptions{MaxAge: 24 * time.Hour}, "mixed nomode plain running stop",
			map[zkjobs.Reason]int{"pull": 1, "final": 1, "monitored": 1, "invalid": 2, "repeated": 1, "too old": 1}},
		"without running": {zkjobs.PlanOptions{WithoutRunning: true}, "mixed nomode old plain stop",
			map[zkjobs.Reason]int{"pull": 1, "final": 1, "monitored": 1, "invalid": 2, "repeated": 1, "running": 1}},
		"with monitored": {zkjobs.PlanOptions{WithMonitored: true}, "followed mixed nomode old plain running stop",
			map[zkjobs.Reason]int{"pull": 1, "final": 1, "invalid": 2, "repeated": 1}},
	} {
		plan := zkjobs.NewPlan("/job", clock().Add(time.Hour), mixed(), nil, tc.opts)
		var in []string
		for _, j := range plan.Jobs {
			in = append(in, strings.TrimPrefix(j.ID, "job/"))
		}
		if diff := cmp.Diff(strings.Fields(tc.in), sorted(in)); diff != "" {
			t.Errorf("%s: jobs (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(tc.left, plan.Left); diff != "" {
			t.Errorf("%s: left out (-want +got):\n%s", name, diff)
		}
	}
}

// TestEntriesOfOpenJobsThatAreLeftOutAreSpared: pruned, their jobs would be lost.
func TestEntriesOfOpenJobsThatAreLeftOutAreSpared(t *testing.T) {
	var queue []zkjobs.Entry
	for _, j := range append(mixed(), job("unknown", 50, 1)) {
		queue = append(queue, zkjobs.Entry{Name: "entry-050-" + j.ID[4:], ID: j.ID})
	}
	slices.SortFunc(queue, func(a, b zkjobs.Entry) int { return strings.Compare(a.Name, b.Name) })
	ids := func(entries []zkjobs.Entry) string {
		var list []string
		for _, e := range entries {
			list = append(list, strings.TrimPrefix(e.ID, "job/"))
		}
		return strings.Join(sorted(list), " ")
	}
	for name, tc := range map[string]struct {
		opts          zkjobs.PlanOptions
		extra, spared string
	}{
		"no filter":       {zkjobs.PlanOptions{}, "final followed pull unknown", "broken undated"},
		"age":             {zkjobs.PlanOptions{MaxAge: 24 * time.Hour}, "final followed pull unknown", "broken old undated"},
		"without running": {zkjobs.PlanOptions{WithoutRunning: true}, "final followed pull unknown", "broken running undated"},
		"actions": {zkjobs.PlanOptions{Actions: []string{"stop_deployment"}}, "final followed pull unknown",
			"broken mixed nomode old plain plain running undated"},
	} {
		plan := zkjobs.NewPlan("/job", clock().Add(time.Hour), mixed(), queue, tc.opts)
		if diff := cmp.Diff([]string{tc.extra, tc.spared}, []string{ids(plan.Extra), ids(plan.Spared)}); diff != "" {
			t.Errorf("%s: extra and spared (-want +got):\n%s", name, diff)
		}
	}
}

func TestAPlanPrintsWhatAnOperatorMustKnow(t *testing.T) {
	queue := []zkjobs.Entry{{Name: "entry-050-0000000001", ID: "job/plain"}, {Name: "entry-050-0000000002", ID: "job/plain"},
		{Name: "entry-050-0000000004", ID: "job/unknown"},
		{Name: "entry-050-0000000005", ID: "job/broken"}, {Name: "entry-050-0000000006", ID: "job/mixed", Taken: true},
		{Name: "entry-060-0000000003", ID: "job/stop"}}
	got := zkjobs.NewPlan("/job", clock().Add(time.Hour), mixed(), queue, zkjobs.PlanOptions{}).String()
	want := `queue /job: 6 jobs belong on it, 3 to add, 1 there, 1 in an executor's hands, 1 there at another priority
  by priority: 050: 6
  by state: QUEUED 5, RUNNING 1
  by action: start_deployment 5, stop_deployment 1
  by age: under an hour 1, under a day 4, under a year 1
  left out: invalid 2, final 1, monitored 1, pull 1, repeated 1
  warning: 1 RUNNING jobs will run again from the start, the oldest is job/running (start_deployment, created 2026-01-02T03:04:05Z, 1h0m0s ago)
  finding: 1 entries without an open job, such as entry-050-0000000004 (job/unknown)
  finding: 1 entries of jobs that have another one, such as entry-050-0000000002 (job/plain)
  finding: 1 entries of open jobs that are left out, such as entry-050-0000000005 (job/broken)
  finding: 2 documents cannot be used, such as job/broken (priority is not a whole number)
  in use: consumers are alive: 1 locks
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

// TestRunningJobsOnTheQueueRunAgainToo: after a crash, their entries are there, and nobody's hands.
func TestRunningJobsOnTheQueueRunAgainToo(t *testing.T) {
	var jobs []zkjobs.Job
	for i, id := range []string{"there", "held", "missing"} {
		j := job(id, 50, -i)
		j.State = "RUNNING"
		jobs = append(jobs, j)
	}
	queue := []zkjobs.Entry{{Name: "entry-050-0000000001", ID: "job/there"}, {Name: "entry-050-0000000002", ID: "job/held", Taken: true}}
	s := zkjobs.NewPlan("/job", clock(), jobs, queue, zkjobs.PlanOptions{}).Summary
	if s.RunAgain != 2 || s.OldestRunning.ID != "job/missing" {
		t.Errorf("%d run again, the oldest is %v", s.RunAgain, s.OldestRunning)
	}
}
