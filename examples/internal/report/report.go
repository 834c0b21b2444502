// Package report is the report of a recovery: what was restored, from which snapshot, how old it was, how long each step
// took against what it may take, what was verified and what was not. As JSON for programs, as text and as one page of HTML
// for people, as metrics for Prometheus. It holds no secrets.
package report

import (
	"encoding/json"
	"io"
	"os"
	"slices"
	"time"

	"github.com/nuvla/nuvlaops/internal/atomicfile"
	"github.com/nuvla/nuvlaops/internal/runbook"
)

// Report of a recovery. Times are UTC; durations are seconds.
type Report struct {
	// Outcome is "recovered" or "not recovered", of a drill "drill passed" or "drill failed"; Error says why not. It is "done in
	// part" when all went well and a step was left out, as asked, that would have brought data back: NotDone says what is not there.
	Outcome string   `json:"outcome"`
	Error   string   `json:"error,omitempty"`
	NotDone []string `json:"not_done,omitempty"`
	// Mode is ModeRecovery or ModeDrill; Only names the database that alone was recovered.
	Mode string `json:"mode"`
	Only string `json:"only,omitempty"`
	// Stacks of the databases and of the core, and Host, on which the program ran.
	Stacks  []string  `json:"stacks,omitempty"`
	Host    string    `json:"host,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	// RTO is the time from the start of the first run to the end of this one; RPO is the age of what came back at that
	// start: of its newest document, or of the snapshot where no document says when it was written. What was written in
	// between is lost, unless the recovery ended before it removed or restored anything: Untouched.
	RTO       float64 `json:"rto_seconds"`
	RPO       float64 `json:"rpo_seconds"`
	Untouched bool    `json:"untouched,omitempty"`
	Budget    Budget  `json:"budget,omitzero"`
	// Newest is when the newest document that came back was written; zero when it is not known.
	Newest   time.Time `json:"newest_document,omitzero"`
	Snapshot Snapshot  `json:"snapshot"`
	Steps    []Step    `json:"steps"`
	Indices  []Index   `json:"indices,omitempty"`
	Jobs     *Jobs     `json:"jobs,omitempty"`
	// Versions of servers and programs, by name.
	Versions map[string]string `json:"versions,omitempty"`
	// Verified and NotVerified say in a line each what was proven and what was not. Warnings are for the operator.
	Verified    []string `json:"verified,omitempty"`
	NotVerified []string `json:"not_verified,omitempty"`
	Warnings    []string `json:"warnings,omitempty"`
}

// Modes of a report: a drill recovers a copy and removes it again.
const (
	ModeRecovery = "recovery"
	ModeDrill    = "drill"
)

// Recovered reports whether all was brought back and verified.
func (r *Report) Recovered() bool { return r.Error == "" && len(r.NotDone) == 0 }

// Snapshot that was restored.
type Snapshot struct {
	Repository string    `json:"repository"`
	Name       string    `json:"name"`
	UUID       string    `json:"uuid"`
	Started    time.Time `json:"started"`
}

// Step of the recovery.
type Step struct {
	Name    string    `json:"name"`
	Title   string    `json:"title"`
	State   string    `json:"state"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	// Budget is how many seconds the step may take; 0 when nobody has said.
	Budget float64 `json:"budget_seconds,omitempty"`
	Detail string  `json:"detail,omitempty"`
	Error  string  `json:"error,omitempty"`
}

// Index that was restored. Before is the number of documents that were there when the recovery began, Expected that in the
// snapshot's manifest; each is absent where nobody could say.
type Index struct {
	Index     string `json:"index"`
	Stream    string `json:"data_stream,omitempty"` // that it backs
	Before    *int64 `json:"before,omitempty"`
	Documents int64  `json:"documents"`
	Expected  *int64 `json:"expected,omitempty"`
	Primaries int    `json:"primaries"`
}

// Jobs on the queue after the rebuild, before the core started.
type Jobs struct {
	Total int `json:"total"`
	// Before are the entries by priority when the recovery began, nil when nobody could say.
	Before     map[int]int    `json:"before,omitzero"`
	Written    int            `json:"written"`
	ByPriority map[int]int    `json:"by_priority"`
	ByState    map[string]int `json:"by_state"`
	LeftOut    map[string]int `json:"left_out,omitempty"`
	// RunAgain counts RUNNING jobs: they run again from the start.
	RunAgain int `json:"run_again"`
	Missing  int `json:"missing"`
	Doubled  int `json:"doubled"`
	// Misplaced entries stand among some that were on the queue before, at another priority or in another order than theirs.
	Misplaced int `json:"misplaced,omitempty"`
}

// AddSteps puts the records of a run into the report, against its Budget.
func (r *Report) AddSteps(records []runbook.Record) {
	for _, rec := range records {
		r.Steps = append(r.Steps, Step{Name: rec.Step, Title: rec.Title, State: string(rec.State), Started: rec.Started.UTC(),
			Seconds: rec.Took().Seconds(), Budget: r.Budget.Steps[rec.Step], Detail: rec.Detail, Error: rec.Error})
	}
}

// notReached is the state of a step that was to come after one that failed.
const notReached = "not reached"

// AddMissing puts the steps that never began into the report.
func (r *Report) AddMissing(steps []runbook.Step) {
	for _, s := range steps {
		if !slices.ContainsFunc(r.Steps, func(have Step) bool { return have.Name == s.Name }) {
			r.Steps = append(r.Steps, Step{Name: s.Name, Title: s.Title, State: notReached, Started: r.Ended, Detail: "not reached"})
		}
	}
}

// ran says whether a step has a place on the time line.
func (s Step) ran() bool { return s.State != string(runbook.LeftOut) && s.State != notReached }

// Write writes the report as JSON, whole or not at all.
func (r *Report) Write(path string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(append(raw, '\n'))
		return err
	})
}

// Read reads a report that Write wrote.
func Read(path string) (*Report, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	return r, json.Unmarshal(raw, r)
}
