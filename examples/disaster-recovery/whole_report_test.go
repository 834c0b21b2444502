package main

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/runbook"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/stack"
)

// reported is a recovery that has gone through its steps, and what its report says.
func reported(t *testing.T) (*recovery, report.Report) {
	t.Helper()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := takenUp(t, "wipe", "restore")
	r.now = func() time.Time { return began.Add(90 * time.Second) }
	r.cfg.repository, r.cfg.budget = "s3_backup", report.Budget{Whole: 120}
	r.found.db = &stack.Stack{Name: "db", Services: []stack.Service{{Name: "es", Image: "nuvla/es:8.11.3.0"}}}
	r.found.core = &stack.Stack{Name: "nuvla", Services: []stack.Service{{Name: "api", Image: "nuvla/api"}, {Name: "ui"}}}
	five, seven, nine := int64(5), int64(7), int64(9)
	taken := report.Snapshot{Repository: "s3_backup", Name: "s", UUID: "u", Started: began.Add(-time.Hour)}
	r.state = state{
		Started: began, Snapshot: &taken, Newest: began.Add(-50 * time.Minute), Warnings: []string{"one node"}, Before: before{Documents: map[string]int64{"nuvla-user": 9}, Jobs: map[int]int{50: 3}},
		Plan: &restore.Plan{Cluster: restore.Cluster{Version: "8.11.3"}, Snapshot: restore.Snapshot{Version: "8500003"}},
		Restored: &restore.Report{Shards: 6, Proven: 6, Verified: []string{"the primaries"}, NotVerified: []string{"replicas"}, Indices: []restore.IndexReport{
			{Target: "nuvla-job", State: restore.IndexProven, Proven: 3, Documents: &five}, {Target: "nuvla-user", State: restore.IndexProven, Proven: 3, Documents: &seven, Expected: &seven}}},
		Jobs: &report.Jobs{Total: 4, Written: 4},
	}
	return r, report.Report{
		Outcome: "recovered", Mode: report.ModeRecovery, Stacks: []string{"db", "nuvla"}, Started: began, Ended: began.Add(90 * time.Second), RTO: 90, RPO: 3000,
		Budget: r.cfg.budget, Newest: r.state.Newest, Snapshot: taken, Jobs: &report.Jobs{Total: 4, Written: 4, Before: map[int]int{50: 3}},
		Indices: []report.Index{{Index: "nuvla-job", Documents: 5, Primaries: 3}, {Index: "nuvla-user", Before: &nine, Documents: 7, Expected: &seven, Primaries: 3}},
		Versions: map[string]string{"Elasticsearch": "8.11.3", "Elasticsearch that took the snapshot": "8.11",
			"image of db_es": "nuvla/es:8.11.3.0", "image of nuvla_api": "nuvla/api"},
		Verified:    []string{"the primaries", "each of 4 open jobs is on the queue once, at its priority and in its order"},
		NotVerified: []string{"replicas", "what was written after the snapshot was taken is lost and not listed"},
		Warnings:    []string{"one node"},
	}
}

func TestTheReportSaysAllThatIsKnown(t *testing.T) {
	for name, change := range map[string]func(*recovery, *report.Report) error{
		"a recovery": func(*recovery, *report.Report) error { return nil },
		"one that failed": func(_ *recovery, want *report.Report) error {
			want.Outcome, want.Error = "not recovered", "step restore: no room"
			return errors.New(want.Error)
		},
		"no document has a time": func(r *recovery, want *report.Report) error {
			r.state.Newest, want.Newest, want.RPO = time.Time{}, time.Time{}, 3600
			return nil
		},
		"jobs that stand elsewhere": func(r *recovery, want *report.Report) error {
			r.state.Jobs.Misplaced, want.Jobs.Misplaced = 1, 1
			want.Verified[1] = "each of 4 open jobs is on the queue once; 1 of them stand at another place than theirs"
			return nil
		},
		"nothing is restored or queued yet": func(r *recovery, want *report.Report) error {
			r.state.Restored, r.state.Jobs, r.state.Newest = nil, nil, time.Time{}
			want.Indices, want.Jobs, want.Verified, want.Newest, want.RPO, want.NotVerified = nil, nil, nil, time.Time{}, 3600, want.NotVerified[1:]
			want.Outcome, want.Error = "not recovered", "step restore: no room"
			return errors.New(want.Error)
		},
		"the queue alone": func(r *recovery, want *report.Report) error {
			r.cfg.only, r.state.Snapshot, r.state.Restored, r.state.Newest = onlyZK, nil, nil, time.Time{}
			want.Only, want.Indices, want.Verified, want.Newest, want.RPO = onlyZK, nil, want.Verified[1:], time.Time{}, 0
			want.Snapshot, want.NotVerified = report.Snapshot{Repository: "s3_backup"}, []string{"Elasticsearch was taken as it is"}
			return nil
		},
		"all in one stack": func(r *recovery, want *report.Report) error {
			r.cfg.core, want.Stacks = "db", []string{"db"}
			return nil
		},
		"a drill": func(r *recovery, want *report.Report) error {
			r.cfg.drill, r.cfg.production, r.cfg.db = true, "db", "db-drill"
			want.Outcome, want.Mode, want.Stacks = "drill passed", report.ModeDrill, []string{"db"}
			want.NotVerified = []string{"the core: this drill does not start it", "the throw-away Elasticsearch that shows the snapshot when none lives", "replicas"}
			return nil
		},
		"a drill of the core that failed": func(r *recovery, want *report.Report) error {
			r.cfg.drill, r.cfg.production, r.cfg.db, r.cfg.copied = true, "db", "db-drill", []string{"api"}
			want.Outcome, want.Error, want.Mode, want.Stacks = "drill failed", "step queue: away", report.ModeDrill, []string{"db"}
			want.NotVerified = []string{"the core, but for api", "the throw-away Elasticsearch that shows the snapshot when none lives", "replicas"}
			return errors.New(want.Error)
		},
	} {
		r, want := reported(t)
		err := change(r, &want)
		record := runbook.Record{Step: "stop-core", State: runbook.Done, Started: want.Started, Ended: want.Started.Add(2 * time.Second)}
		r.finish([]runbook.Record{record}, err)
		delete(r.report.Versions, "disaster-recovery") // of this binary
		if diff := cmp.Diff(want, r.report, cmpopts.IgnoreFields(report.Report{}, "Steps", "Host")); diff != "" || r.report.Host == "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		steps := r.report.Steps
		if len(steps) != len(r.steps()) || steps[0].Name != "stop-core" || steps[0].Seconds != 2 || steps[1].State != "not reached" {
			t.Errorf("%s: steps %+v, want the one that was done, and those that were not reached", name, steps)
		}
	}
}
