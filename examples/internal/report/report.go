// Package report is the report of a recovery: what was restored, from which snapshot, how old it was, how long each step
// took, what was verified and what was not. As JSON for programs, as text for people. It holds no secrets.
package report

import (
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/nuvla/nuvlaops/internal/atomicfile"
	"github.com/nuvla/nuvlaops/internal/runbook"
)

// Report of a recovery. Times are UTC; durations are seconds.
type Report struct {
	// Outcome is "recovered" or "not recovered"; Error says why not.
	Outcome string    `json:"outcome"`
	Error   string    `json:"error,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	// RTO is the time from the start of the first run to the end of this one; RPO is the age of the snapshot at that start:
	// what was written in between is lost.
	RTO      float64  `json:"rto_seconds"`
	RPO      float64  `json:"rpo_seconds"`
	Snapshot Snapshot `json:"snapshot"`
	Steps    []Step   `json:"steps"`
	Indices  []Index  `json:"indices,omitempty"`
	Jobs     *Jobs    `json:"jobs,omitempty"`
	// Verified and NotVerified say in a line each what was proven and what was not. Warnings are for the operator.
	Verified    []string `json:"verified,omitempty"`
	NotVerified []string `json:"not_verified,omitempty"`
	Warnings    []string `json:"warnings,omitempty"`
}

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
	Detail  string    `json:"detail,omitempty"`
	Error   string    `json:"error,omitempty"`
}

// Index that was restored. Expected is the number of documents in the snapshot's manifest, absent when it says nothing.
type Index struct {
	Index     string `json:"index"`
	Documents int64  `json:"documents"`
	Expected  *int64 `json:"expected,omitempty"`
	Primaries int    `json:"primaries"`
}

// Jobs on the queue after the rebuild, before the core started.
type Jobs struct {
	Total      int            `json:"total"`
	Written    int            `json:"written"`
	ByPriority map[int]int    `json:"by_priority"`
	ByState    map[string]int `json:"by_state"`
	LeftOut    map[string]int `json:"left_out,omitempty"`
	// RunAgain counts RUNNING jobs: they run again from the start.
	RunAgain int `json:"run_again"`
	Missing  int `json:"missing"`
	Doubled  int `json:"doubled"`
}

// AddSteps puts the records of a run into the report.
func (r *Report) AddSteps(records []runbook.Record) {
	for _, rec := range records {
		r.Steps = append(r.Steps, Step{Name: rec.Step, Title: rec.Title, State: string(rec.State), Started: rec.Started.UTC(),
			Seconds: rec.Took().Seconds(), Detail: rec.Detail, Error: rec.Error})
	}
}

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
