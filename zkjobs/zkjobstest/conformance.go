package zkjobstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// Rig is a rebuilder under test, with hands on what it works on.
type Rig struct {
	Rebuilder zkjobs.JobQueueRebuilder
	// SetJobs says which jobs its source yields.
	SetJobs func(jobs ...zkjobs.Job)
	// Put puts an entry on the queue, as an api-server does, and returns its name; Lock takes it as an executor does;
	// Consume removes it.
	Put     func(priority int, id string) string
	Lock    func(name string)
	Consume func(name string)
	// Entries returns what is on the queue, in its order.
	Entries func() []zkjobs.Entry
}

// Conformance checks what every zkjobs.JobQueueRebuilder must do. open makes a rig with an empty queue of its own.
func Conformance(t *testing.T, open func(t *testing.T) *Rig) {
	for name, check := range map[string]func(*suite){
		"an empty queue gets each job once, in order":          (*suite).fills,
		"only what is missing is written":                      (*suite).completes,
		"what does not belong is left out, and said why":       (*suite).leavesOut,
		"a locked entry is busy, and never queued again":       (*suite).guardsConsumers,
		"a queue that grew since the plan is busy":             (*suite).guardsProducers,
		"an entry consumed since the plan is not queued again": (*suite).leavesConsumed,
		"a dry run writes nothing":                             (*suite).dryRuns,
		"only what no job stands behind is pruned, if asked":   (*suite).prunes,
		"an entry whose job came after the plan is not pruned": (*suite).prunesNoneThatIsLate,
		"an entry at a wrong priority is moved, if asked":      (*suite).moves,
		"verify finds every difference":                        (*suite).verifies,
		"a plan survives a file":                               (*suite).takesPlansFromFiles,
		"what is out of range is invalid":                      (*suite).refusesNonsense,
		"a dead context changes nothing":                       (*suite).stops,
	} {
		t.Run(name, func(t *testing.T) { check(&suite{T: t, Rig: open(t)}) })
	}
}

type suite struct {
	*testing.T
	*Rig
}

// job makes a job of a priority, created n seconds after a moment long ago.
func job(id string, priority, n int) zkjobs.Job {
	return zkjobs.Job{ID: "job/" + id, Priority: priority, State: "QUEUED", Mode: "push", Action: "start_deployment",
		Created: time.Date(2026, 1, 2, 3, 4, n, 0, time.UTC)}
}

func (s *suite) plan(opts zkjobs.PlanOptions) *zkjobs.Plan {
	s.Helper()
	p, err := s.Rebuilder.Plan(s.Context(), opts)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

func (s *suite) apply(plan *zkjobs.Plan, opts zkjobs.ApplyOptions) *zkjobs.Result {
	s.Helper()
	res, err := s.Rebuilder.Apply(s.Context(), plan, opts)
	if err != nil {
		s.Fatal(err)
	}
	return res
}

func (s *suite) want(what string, want, got any) {
	s.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// queue lists "050 job/x".
func (s *suite) queue() []string {
	var list []string
	for _, e := range s.Entries() {
		list = append(list, e.Name[6:9]+" "+e.ID)
	}
	return list
}

func (s *suite) fills() {
	s.SetJobs(job("e", 999, 1), job("d", 50, 3), job("c", 50, 2), job("b", 50, 2), job("a", 7, 9))
	want := []string{"007 job/a", "050 job/b", "050 job/c", "050 job/d", "999 job/e"}
	var last nuvlaops.Progress
	tell := func(p nuvlaops.Progress) { last = p }
	told := func(op string) {
		s.Helper()
		s.want("progress of "+op, nuvlaops.Progress{Op: op, Done: 5, Total: 5, Unit: "jobs"}, nuvlaops.Progress{Op: last.Op, Done: last.Done, Total: last.Total, Unit: last.Unit})
	}
	plan := s.plan(zkjobs.PlanOptions{Progress: tell})
	told("zkjobs.Plan")
	s.want("to add", 5, plan.ToAdd())
	s.want("before apply", []string(nil), s.queue())
	res := s.apply(plan, zkjobs.ApplyOptions{Batch: 3, Progress: tell})
	told("zkjobs.Apply")
	s.want("queue", want, s.queue())
	s.want("written", 5, res.Written)
	s.want("report", true, res.Report != nil && res.Report.OK() && res.Report.Found == 5)
	before := s.Entries()
	s.want("written with the same plan", 0, s.apply(plan, zkjobs.ApplyOptions{}).Written)
	s.want("written with a new plan", 0, s.apply(s.plan(zkjobs.PlanOptions{}), zkjobs.ApplyOptions{}).Written)
	s.want("queue of the second call", before, s.Entries())
}

func (s *suite) completes() {
	s.Put(50, "job/there")
	s.Put(100, "job/elsewhere")
	s.Put(100, "job/unknown")
	s.SetJobs(job("there", 50, 1), job("elsewhere", 50, 2), job("missing", 50, 3), job("first", 1, 4), job("there", 50, 1))
	plan := s.plan(zkjobs.PlanOptions{})
	decisions := map[string]zkjobs.Decision{}
	for _, j := range plan.Jobs {
		decisions[j.ID] = j.Do
	}
	s.want("decisions", map[string]zkjobs.Decision{"job/there": zkjobs.DecisionThere, "job/elsewhere": zkjobs.DecisionElsewhere,
		"job/missing": zkjobs.DecisionAdd, "job/first": zkjobs.DecisionAdd}, decisions)
	s.want("repeated", 1, plan.Left[zkjobs.LeftRepeated])
	s.want("extra", 1, len(plan.Extra))
	res := s.apply(plan, zkjobs.ApplyOptions{})
	s.want("queue", []string{"001 job/first", "050 job/there", "050 job/missing", "100 job/elsewhere", "100 job/unknown"}, s.queue())
	s.want("written and present", [2]int{2, 2}, [2]int{res.Written, res.Present})
}

// prunesNoneThatIsLate: an api-server makes a job's entry first, and writes its document after that.
func (s *suite) prunesNoneThatIsLate() {
	s.Put(50, "job/gone")
	s.Put(50, "job/late")
	s.SetJobs(job("a", 50, 1))
	plan := s.plan(zkjobs.PlanOptions{Settle: 100 * time.Millisecond})
	s.SetJobs(job("a", 50, 1), job("late", 50, 2))
	s.want("pruned", 1, s.apply(plan, zkjobs.ApplyOptions{Prune: true}).Pruned)
	s.want("queue", []string{"050 job/late", "050 job/a"}, s.queue())
}

func (s *suite) moves() {
	s.Put(50, "job/there")
	s.Put(100, "job/wrong")
	s.Put(100, "job/busy")
	s.Lock(s.Put(100, "job/locked"))
	s.Put(7, "job/first")
	s.SetJobs(job("there", 50, 4), job("wrong", 50, 2), job("missing", 50, 3), job("first", 50, 1), job("locked", 50, 5), job("busy", 100, 6))
	plan := s.plan(zkjobs.PlanOptions{})
	dry := s.apply(plan, zkjobs.ApplyOptions{Move: true, DryRun: true, Force: true})
	s.want("dry run: to move, to write, present", [3]int{2, 1, 3}, [3]int{dry.ToMove, dry.ToWrite, dry.Present})
	res := s.apply(plan, zkjobs.ApplyOptions{Move: true, Force: true})
	s.want("moved, written, present", [3]int{2, 1, 3}, [3]int{res.Moved, res.Written, res.Present})
	got := s.queue()
	slices.Sort(got) // the order inside the priority is another promise
	s.want("queue", []string{"050 job/first", "050 job/missing", "050 job/there", "050 job/wrong", "100 job/busy", "100 job/locked"}, got)
	s.want("moved by the next call", 0, s.apply(s.plan(zkjobs.PlanOptions{}), zkjobs.ApplyOptions{Move: true, Force: true}).Moved)
}

func (s *suite) leavesOut() {
	with := func(id string, change func(*zkjobs.Job)) zkjobs.Job {
		j := job(id, 50, 1)
		change(&j)
		return j
	}
	s.SetJobs(
		with("pull", func(j *zkjobs.Job) { j.Mode = "pull" }), with("final", func(j *zkjobs.Job) { j.State = "SUCCESS" }),
		with("monitored", func(j *zkjobs.Job) { j.Monitored, j.State = true, "RUNNING" }),
		with("running", func(j *zkjobs.Job) { j.State = "RUNNING" }), with("broken", func(j *zkjobs.Job) { j.Invalid = "broken" }),
		with("high", func(j *zkjobs.Job) { j.Priority = 1000 }), with("", func(j *zkjobs.Job) { j.ID = "" }),
		with("old", func(j *zkjobs.Job) { j.Created = j.Created.AddDate(-1, 0, 0) }), job("good", 50, 1))
	plan := s.plan(zkjobs.PlanOptions{WithoutRunning: true, NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	s.want("left out", map[zkjobs.Reason]int{zkjobs.LeftPull: 1, zkjobs.LeftFinal: 1, zkjobs.LeftMonitored: 1, zkjobs.LeftRunning: 1,
		zkjobs.LeftInvalid: 3, zkjobs.LeftTooOld: 1}, plan.Left)
	s.apply(plan, zkjobs.ApplyOptions{})
	s.want("queue", []string{"050 job/good"}, s.queue())
	all := s.plan(zkjobs.PlanOptions{})
	s.want("running jobs that run again", 1, all.Summary.RunAgain)
	s.want("the oldest of them", "job/running", all.Summary.OldestRunning.ID)
}

func (s *suite) guardsConsumers() {
	s.Lock(s.Put(50, "job/held"))
	s.SetJobs(job("held", 50, 1), job("other", 50, 2))
	plan := s.plan(zkjobs.PlanOptions{})
	s.want("taken", 1, plan.Summary.ByDecision[zkjobs.DecisionTaken])
	s.want("busy", true, len(plan.Busy) > 0)
	_, err := s.Rebuilder.Apply(s.Context(), plan, zkjobs.ApplyOptions{})
	s.want("is busy", true, errors.Is(err, nuvlaops.ErrBusy))
	s.want("queue after the refusal", []string{"050 job/held"}, s.queue())
	s.apply(plan, zkjobs.ApplyOptions{Force: true})
	s.want("queue", []string{"050 job/held", "050 job/other"}, s.queue())
}

func (s *suite) guardsProducers() {
	s.SetJobs(job("a", 50, 1), job("b", 50, 2))
	plan := s.plan(zkjobs.PlanOptions{})
	s.Put(50, "job/a") // an earlier Apply may have done this
	s.Put(60, "job/new")
	_, err := s.Rebuilder.Apply(s.Context(), plan, zkjobs.ApplyOptions{})
	s.want("is busy", true, errors.Is(err, nuvlaops.ErrBusy))
	s.apply(plan, zkjobs.ApplyOptions{Force: true})
	s.want("queue", []string{"050 job/a", "050 job/b", "060 job/new"}, s.queue())
}

func (s *suite) leavesConsumed() {
	name := s.Put(50, "job/a")
	s.SetJobs(job("a", 50, 1), job("b", 50, 2))
	plan := s.plan(zkjobs.PlanOptions{})
	s.Consume(name)
	s.SetJobs(job("b", 50, 2))
	report, err := s.Rebuilder.Verify(s.Context(), plan)
	s.want("b is missing", true, errors.Is(err, nuvlaops.ErrVerification))
	s.want("verified: consumed and missing", [2]int{1, 1}, [2]int{report.Consumed.Count, report.Missing.Count})
	_, err = s.Rebuilder.Apply(s.Context(), plan, zkjobs.ApplyOptions{})
	s.want("is busy", true, errors.Is(err, nuvlaops.ErrBusy))
	res := s.apply(plan, zkjobs.ApplyOptions{Force: true})
	s.want("present and consumed", [2]int{0, 1}, [2]int{res.Present, res.Consumed})
	s.want("queue", []string{"050 job/b"}, s.queue())
}

func (s *suite) dryRuns() {
	s.SetJobs(job("a", 50, 1))
	res := s.apply(s.plan(zkjobs.PlanOptions{}), zkjobs.ApplyOptions{DryRun: true})
	s.want("to write and written", [2]int{1, 0}, [2]int{res.ToWrite, res.Written})
	s.want("queue", []string(nil), s.queue())
}

func (s *suite) prunes() {
	for _, id := range []string{"gone", "a", "a", "held", "ended", "old", "broken"} {
		name := s.Put(50, "job/"+id)
		if id == "held" {
			s.Lock(name)
		}
	}
	ended, old, broken := job("ended", 50, 1), job("old", 50, 1), job("broken", 50, 1)
	ended.State, old.Created, broken.Invalid = "SUCCESS", old.Created.AddDate(-1, 0, 0), "broken"
	s.SetJobs(job("a", 50, 2), ended, old, broken)
	plan := s.plan(zkjobs.PlanOptions{NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	s.want("extra, doubled and spared", [3]int{3, 1, 2}, [3]int{len(plan.Extra), len(plan.Doubled), len(plan.Spared)})
	s.want("to prune", 3, s.apply(plan, zkjobs.ApplyOptions{Prune: true, Force: true, DryRun: true}).ToPrune)
	s.want("not asked", 0, func() int {
		res, err := s.Rebuilder.Apply(s.Context(), plan, zkjobs.ApplyOptions{Force: true})
		s.want("doubled fails the verification", true, errors.Is(err, nuvlaops.ErrVerification))
		return res.Pruned
	}())
	s.want("pruned", 3, s.apply(plan, zkjobs.ApplyOptions{Prune: true, Force: true}).Pruned)
	s.want("queue", []string{"050 job/a", "050 job/held", "050 job/old", "050 job/broken"}, s.queue())
}

func (s *suite) verifies() {
	for _, put := range []struct {
		priority int
		id       string
	}{{50, "job/b"}, {50, "job/a"}, {50, "job/b"}, {60, "job/c"}, {60, "job/x"}} {
		s.Put(put.priority, put.id)
	}
	s.SetJobs(job("a", 50, 1), job("b", 50, 2), job("c", 50, 3), job("d", 50, 4))
	report, err := s.Rebuilder.Verify(s.Context(), s.plan(zkjobs.PlanOptions{}))
	s.want("is a failed verification", true, errors.Is(err, nuvlaops.ErrVerification))
	if report == nil {
		s.Fatal("no report beside the error")
	}
	s.want("differences", map[string]int{"missing": 1, "doubled": 1, "priority": 1, "order": 1, "extra": 1},
		map[string]int{"missing": report.Missing.Count, "doubled": report.Doubled.Count, "priority": report.WrongPriority.Count,
			"order": report.WrongOrder.Count, "extra": report.Extra.Count})
}

func (s *suite) takesPlansFromFiles() {
	s.SetJobs(job("a", 50, 1), job("b", 7, 2))
	raw, err := json.Marshal(s.plan(zkjobs.PlanOptions{}))
	if err != nil {
		s.Fatal(err)
	}
	var plan zkjobs.Plan
	if err := json.Unmarshal(raw, &plan); err != nil {
		s.Fatal(err)
	}
	plan.At, plan.Opts.MaxAge = plan.Jobs[0].Created.Add(time.Minute), time.Hour // the plan is as old as its jobs
	s.want("dropped for their age", 0, s.apply(&plan, zkjobs.ApplyOptions{}).Dropped)
	s.want("queue", []string{"007 job/b", "050 job/a"}, s.queue())
	s.looksAgainForFiles()
}

// looksAgainForFiles: a plan from a file does not know whether what it saw was consumed, or lost with its queue.
func (s *suite) looksAgainForFiles() {
	raw, err := json.Marshal(s.plan(zkjobs.PlanOptions{}))
	if err != nil {
		s.Fatal(err)
	}
	var plan zkjobs.Plan
	if err := json.Unmarshal(raw, &plan); err != nil {
		s.Fatal(err)
	}
	for _, e := range s.Entries() {
		s.Consume(e.Name)
	}
	s.SetJobs(job("a", 50, 1)) // b has ended
	res := s.apply(&plan, zkjobs.ApplyOptions{})
	s.want("written, dropped, consumed", [3]int{1, 1, 0}, [3]int{res.Written, res.Dropped, res.Consumed})
	s.want("queue of the jobs that are open", []string{"050 job/a"}, s.queue())
}

func (s *suite) refusesNonsense() {
	s.SetJobs(job("a", 50, 1))
	plan := s.plan(zkjobs.PlanOptions{})
	for _, opts := range []zkjobs.ApplyOptions{{Batch: 501}, {Batch: 1}, {Batch: -1}, {BatchBytes: -1}, {BatchBytes: 256<<10 + 1}, {Rate: -1}} {
		_, err := s.Rebuilder.Apply(s.Context(), plan, opts)
		s.want(fmt.Sprintf("%+v is invalid", opts), true, errors.Is(err, nuvlaops.ErrInvalid))
	}
	s.refusesPlans()
	for _, opts := range []zkjobs.PlanOptions{{MaxAge: -1}, {States: []string{"queued"}}, {States: []string{"QUEUED", "SUCCESS"}}} {
		_, err := s.Rebuilder.Plan(s.Context(), opts)
		s.want(fmt.Sprintf("%+v is invalid", opts), true, errors.Is(err, nuvlaops.ErrInvalid))
	}
	s.want("queue", []string(nil), s.queue())
}

// refusesPlans hands in what is no plan of this queue, or was edited into something that must not be written.
func (s *suite) refusesPlans() {
	s.SetJobs(job("a", 50, 1), job("b", 60, 1))
	edited := func(change func(*zkjobs.Plan)) *zkjobs.Plan {
		p := s.plan(zkjobs.PlanOptions{})
		change(p)
		return p
	}
	for name, p := range map[string]*zkjobs.Plan{"no plan": nil,
		"a plan of another queue":    edited(func(p *zkjobs.Plan) { p.Path += "/other" }),
		"a job without an id":        edited(func(p *zkjobs.Plan) { p.Jobs[0].ID = "" }),
		"a job with half of an id":   edited(func(p *zkjobs.Plan) { p.Jobs[0].ID = "job/" }),
		"a priority that is none":    edited(func(p *zkjobs.Plan) { p.Jobs[1].Priority = 1000 }),
		"jobs that are not in order": edited(func(p *zkjobs.Plan) { slices.Reverse(p.Jobs) })} {
		_, err := s.Rebuilder.Apply(s.Context(), p, zkjobs.ApplyOptions{})
		s.want("apply: "+name+" is invalid", true, errors.Is(err, nuvlaops.ErrInvalid))
		_, err = s.Rebuilder.Verify(s.Context(), p)
		s.want("verify: "+name+" is invalid", true, errors.Is(err, nuvlaops.ErrInvalid))
	}
}

func (s *suite) stops() {
	s.SetJobs(job("a", 50, 1))
	plan := s.plan(zkjobs.PlanOptions{})
	cause := errors.New("the operator left")
	ctx, cancel := context.WithCancelCause(s.Context())
	cancel(cause)
	_, planErr := s.Rebuilder.Plan(ctx, zkjobs.PlanOptions{})
	_, applyErr := s.Rebuilder.Apply(ctx, plan, zkjobs.ApplyOptions{})
	_, verifyErr := s.Rebuilder.Verify(ctx, plan)
	for name, err := range map[string]error{"plan": planErr, "apply": applyErr, "verify": verifyErr} {
		s.want(name+" gives the cause", true, errors.Is(err, cause))
	}
	s.want("queue", []string(nil), s.queue())
}
