package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/runbook"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/stack"
)

// finish makes the report of the state and of the steps.
func (r *recovery) finish(records []runbook.Record, err error) {
	s := r.remembered()
	host, _ := os.Hostname()
	r.report = report.Report{
		Outcome: "recovered", Mode: report.ModeRecovery, Only: r.cfg.only, Stacks: slices.Compact([]string{r.cfg.db, r.cfg.core}), Host: host,
		Started: s.Started, Ended: r.now().UTC(), Budget: r.cfg.budget, Newest: s.Newest, Jobs: s.Jobs, Warnings: s.Warnings, Versions: r.versions(s),
	}
	rep := &r.report
	if r.cfg.drill {
		rep.Mode, rep.Stacks, rep.Outcome = report.ModeDrill, []string{r.cfg.production}, "drill passed"
		rep.NotVerified = append(rep.NotVerified, r.coreNotDrilled(), "the throw-away Elasticsearch that shows the snapshot when none lives")
	}
	if s.Restored != nil {
		rep.Indices, rep.Verified = indices(s.Restored, s.Before.Documents), slices.Clone(s.Restored.Verified)
		rep.NotVerified = append(rep.NotVerified, s.Restored.NotVerified...)
	}
	if s.Jobs != nil {
		s.Jobs.Before = s.Before.Jobs
		if s.Jobs.Misplaced > 0 {
			rep.Verified = append(rep.Verified, fmt.Sprintf("each of %d open jobs is on the queue once; %d of them stand at another place than theirs", s.Jobs.Total, s.Jobs.Misplaced))
		} else {
			rep.Verified = append(rep.Verified, fmt.Sprintf("each of %d open jobs is on the queue once, at its priority and in its order", s.Jobs.Total))
		}
	}
	rep.RTO = max(0, recoveredAt(records, rep.Ended).Sub(s.Started).Seconds())
	r.measureLoss(s)
	rep.AddSteps(records)
	rep.AddMissing(r.steps())
	for _, step := range rep.Steps {
		if step.State == string(runbook.LeftOut) && r.cfg.asked(step.Name) {
			rep.NotVerified = append(rep.NotVerified, "step "+step.Name+" was left out as asked")
		}
	}
	switch {
	case err != nil && r.cfg.drill:
		rep.Outcome, rep.Error = "drill failed", err.Error()
	case err != nil:
		rep.Outcome, rep.Error = "not recovered", err.Error()
	default:
		if rep.NotDone = r.notDone(s); len(rep.NotDone) > 0 {
			rep.Outcome = "done in part"
		}
	}
}

// notDone is the data that neither this call nor one before has brought back, since its step was left out as asked.
func (r *recovery) notDone(s state) (what []string) {
	switch asked := r.cfg.asked("restore"); {
	case asked && s.Restored == nil:
		what = append(what, "no document was restored")
	case asked && !s.Restored.OK():
		what = append(what, "the restore that had failed was not done again")
	}
	if s.Jobs == nil && r.cfg.asked("queue") {
		what = append(what, "the job queue was not rebuilt")
	}
	return what
}

// coreNotDrilled says what of the core a drill has not started.
func (r *recovery) coreNotDrilled() string {
	if len(r.cfg.copied) == 0 {
		return "the core: this drill does not start it"
	}
	return "the core, but for " + strings.Join(r.copiedServices(), ", ")
}

// recoveredAt is when the recovery ended: the removal of a drill's copy is none of it.
func recoveredAt(records []runbook.Record, ended time.Time) time.Time {
	for _, rec := range records {
		if rec.Step == removeStep {
			return rec.Started
		}
	}
	return ended
}

// measureLoss says how old what came back is.
func (r *recovery) measureLoss(s state) {
	rep := &r.report
	rep.Snapshot.Repository = r.cfg.repository
	if r.cfg.only == onlyZK {
		rep.NotVerified = append(rep.NotVerified, "Elasticsearch was taken as it is")
		return
	}
	if s.Snapshot == nil || s.Restored == nil && r.cfg.asked("restore") { // nothing came back whose age would be the loss
		return
	}
	rep.Snapshot = *s.Snapshot
	as := s.Snapshot.Started
	if !s.Newest.IsZero() {
		as = s.Newest
	}
	rep.RPO = max(0, s.Started.Sub(as).Seconds())
	rep.Untouched = !r.touched()
	if !r.cfg.drill && !rep.Untouched {
		rep.NotVerified = append(rep.NotVerified, "what was written after the snapshot was taken is lost and not listed")
	}
}

// touched says whether this recovery has begun to remove or to restore something, by this call or one before.
func (r *recovery) touched() bool {
	return r.remembered().Touched || r.began("wipe") || r.began("restore")
}

// versions are those of what took part, as far as it is known.
func (r *recovery) versions(s state) map[string]string {
	out := map[string]string{}
	if s.Plan != nil {
		out["Elasticsearch"], out["Elasticsearch that took the snapshot"] = s.Plan.Cluster.Version, takenBy(s.Plan.Snapshot.Version)
	}
	for _, st := range []*stack.Stack{r.found.db, r.found.core} {
		if st == nil {
			continue
		}
		for _, service := range st.Services {
			out["image of "+st.Name+"_"+service.Name] = service.Image
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		out["disaster-recovery"] = info.Main.Version + ", " + info.GoVersion
	}
	for name, version := range out {
		if version == "" {
			delete(out, name)
		}
	}
	return out
}

// takenBy says which Elasticsearch took a snapshot of this version. From 8.11 until it named the versions again, a server gave
// that of the indices' format instead (IndexVersions.csv of Elasticsearch 9.5).
func takenBy(version string) string {
	if _, err := strconv.Atoi(version); err != nil {
		return version
	}
	switch version {
	case "8500003":
		return "8.11"
	case "8500008", "8500010":
		return "8.12"
	case "8503000":
		return "8.13"
	}
	return "one whose index version is " + version
}

// indices puts the report of the restore into the report of the recovery.
func indices(rep *restore.Report, before map[string]int64) []report.Index {
	var out []report.Index
	for _, i := range there(rep) {
		index := report.Index{Index: i.Target, Stream: i.Stream, Expected: i.Expected, Primaries: i.Proven}
		if i.Documents != nil {
			index.Documents = *i.Documents
		}
		if n, known := before[i.Target]; known {
			index.Before = &n
		}
		out = append(out, index)
	}
	return out
}
