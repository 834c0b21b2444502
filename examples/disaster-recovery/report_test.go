package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/stack"
)

func TestAPlanDoesNotPromiseToProveWhatIsLeftOut(t *testing.T) {
	r := takenUp(t, "restore")
	for _, skip := range [][]string{nil, {"restore"}} {
		r.cfg.skip = skip
		for _, s := range r.steps() {
			if got := r.madeOf(s); s.Name == "restore" && strings.Contains(got, "proven again") != (skip == nil) {
				t.Errorf("-skip %v: %q", skip, got)
			}
		}
	}
}

// What a call before has proven is not what this one has found wrong.
func TestAProofThatFailsThisTimeIsNotReportedAsProven(t *testing.T) {
	r := takenUp(t)
	r.stacks = emptyEngine(t)
	r.state = state{Restored: &restore.Report{Verified: []string{"all"}}, Jobs: &report.Jobs{Total: 5}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, restoreErr := r.restore(ended)
	_, queueErr := r.queue(ended)
	if r.finish(nil, restoreErr); restoreErr == nil || queueErr == nil || len(r.report.Verified) > 0 {
		t.Errorf("verified: %q, although %v and %v", r.report.Verified, restoreErr, queueErr)
	}
}

func TestWhatWasNotTouchedIsNotCalledLost(t *testing.T) {
	for want, done := range map[string][]string{"would be lost": {"stop-core", "stop-db"}, "is lost": {"stop-core", "stop-db", "wipe"}} {
		r := takenUp(t, done...)
		r.state = state{Started: time.Now(), Snapshot: &report.Snapshot{Name: "s", UUID: "u", Started: time.Now().Add(-time.Hour)}}
		r.measureLoss(r.state)
		text := r.report.Text()
		if !strings.Contains(text, "What was written since "+want) || strings.Contains(text, "is lost and not listed") != (want == "is lost") {
			t.Errorf("after %v, want it to say that it %s:\n%s", done, want, text)
		}
	}
}

// A core that was started on empty databases is none that was recovered, whoever asked for it.
func TestDataThatWasLeftOutIsNotCalledRecovered(t *testing.T) {
	documents, jobs := state{Restored: &restore.Report{Shards: 3, Proven: 3}}, state{Jobs: &report.Jobs{}}
	whole := state{Restored: documents.Restored, Jobs: jobs.Jobs}
	broken := state{Restored: &restore.Report{Shards: 3, Proven: 2}, Jobs: jobs.Jobs}
	for _, tt := range []struct {
		name string
		cfg  config
		was  state
		want []string
	}{
		{"all of it", config{}, whole, nil},
		{"both left out", config{skip: []string{"restore", "queue"}}, state{}, []string{"no document was restored", "the job queue was not rebuilt"}},
		{"no queue", config{skip: []string{"queue"}}, documents, []string{"the job queue was not rebuilt"}},
		{"what an earlier call has done", config{from: "start-core"}, whole, nil},
		{"what an earlier call has failed at", config{from: "queue"}, broken, []string{"the restore that had failed was not done again"}},
		{"nothing before", config{from: "queue"}, jobs, []string{"no document was restored"}},
		{"only the queue", config{only: onlyZK}, jobs, nil},
	} {
		r := takenUp(t)
		tt.cfg.db, tt.cfg.core = "db", "nuvla"
		tt.was.Snapshot = &report.Snapshot{Name: "s"}
		r.cfg, r.state = &tt.cfg, tt.was
		r.finish(nil, nil)
		outcome := map[bool]string{true: "recovered", false: "done in part"}[tt.want == nil]
		if diff := cmp.Diff(tt.want, r.report.NotDone); diff != "" || r.report.Outcome != outcome {
			t.Errorf("%s: %q (-want +got):\n%s", tt.name, r.report.Outcome, diff)
		}
		if restored := tt.was.Restored != nil; tt.cfg.only == "" && (r.report.Snapshot.Name != "") != restored {
			t.Errorf("%s: snapshot %q, although it was restored: %t", tt.name, r.report.Snapshot.Name, restored)
		}
	}
}

// Who types the name of the stack must not believe that the data comes back.
func TestAPlanSaysThatNothingIsRestoredWhereThatIsLeftOut(t *testing.T) {
	for _, skip := range [][]string{nil, {"restore", "queue"}} {
		r := takenUp(t)
		r.cfg.skip = skip
		r.state.Snapshot = &report.Snapshot{Name: "s", Repository: "r"}
		r.found.db, r.found.core = &stack.Stack{Name: "db"}, &stack.Stack{Name: "nuvla"}
		r.page.end(r)
		text := r.page.String()
		for _, promise := range []string{"restore   snapshot s", "queue     the open jobs of the snapshot"} {
			if strings.Contains(text, promise) != (skip == nil) {
				t.Errorf("-skip %v: %q is wrong on the page:\n%s", skip, promise, text)
			}
		}
	}
}

// Its documents are not missing: they are older than what ILM keeps.
func TestAnIndexThatWasDeletedSinceItWasProvenIsNotInTheReport(t *testing.T) {
	seven, five := int64(7), int64(5)
	rep := &restore.Report{Indices: []restore.IndexReport{
		{Target: ".ds-nuvla-ts-2025.01.01-000001", State: restore.IndexRemoved, Expected: &five},
		{Target: "nuvla-job", State: restore.IndexProven, Shards: 3, Proven: 3, Documents: &seven, Expected: &seven}}}
	want := []report.Index{{Index: "nuvla-job", Documents: 7, Expected: &seven, Primaries: 3}}
	if diff := cmp.Diff(want, indices(rep, nil)); diff != "" {
		t.Error(diff)
	}
}
