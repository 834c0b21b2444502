package zkjobs

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
)

// LowestPriority is the priority of a job that has none: the last one of the queue.
const LowestPriority = 999

// Source yields the open jobs (QUEUED and RUNNING), in any order; jobs in other states and of other modes may be among
// them. A job whose document cannot be used is yielded with Invalid set; an error ends the sequence. A source is read
// again when the queue is in use while a plan is applied, and before Extra entries are removed.
type Source interface {
	Jobs(ctx context.Context) iter.Seq2[Job, error]
}

// Job is what the queue needs to know of a job document.
type Job struct {
	// ID is the job's id, "job/<uuid>": the data of its entry on the queue.
	ID string `json:"id"`
	// Priority is 0 to 999, the lower first: from the queue's path in tags, else the document's own, else 999.
	Priority int `json:"priority"`
	// Created orders the jobs of one priority; jobs of the same moment are ordered by ID.
	Created time.Time `json:"created"`
	// State is QUEUED, RUNNING, or a final one.
	State string `json:"state"`
	// Mode is the execution mode; a missing one is "push".
	Mode string `json:"mode,omitempty"`
	// Action is what the job does: "start_deployment", "bulk_update_deployment".
	Action string `json:"action,omitempty"`
	// Monitored marks a bulk job that is only followed: its entry was consumed on purpose.
	Monitored bool `json:"monitored,omitempty"`
	// Invalid says what is wrong with the document, "" when nothing is.
	Invalid string `json:"invalid,omitempty"`
}

// Reason says why a job does not belong on the queue.
type Reason string

// The reasons for leaving a job out.
const (
	LeftPull      Reason = "pull"      // executors do not run it: execution-mode is pull
	LeftFinal     Reason = "final"     // it is in a final state
	LeftMonitored Reason = "monitored" // a bulk job that is being followed: queued again, it would repeat the whole action
	LeftTooOld    Reason = "too old"   // created before PlanOptions.NotBefore or MaxAge
	LeftRunning   Reason = "running"   // PlanOptions.WithoutRunning
	LeftAction    Reason = "action"    // not among PlanOptions.Actions
	LeftMode      Reason = "mode"      // not among PlanOptions.Modes
	LeftState     Reason = "state"     // not among PlanOptions.States
	LeftInvalid   Reason = "invalid"   // the document cannot be used
	LeftRepeated  Reason = "repeated"  // the source yielded this id already
)

const (
	stateQueued  = "QUEUED"
	stateRunning = "RUNNING"
	modePull     = "pull"
	modePush     = "push"
)

// Validate returns an error that matches ErrInvalid and names the field when an option is out of range.
func (opts PlanOptions) Validate() error {
	if opts.MaxAge < 0 {
		return &nuvlaops.Error{Resource: "PlanOptions.MaxAge", Reason: fmt.Sprintf("%v is negative, want 0 (no limit) or more", opts.MaxAge), Err: nuvlaops.ErrInvalid}
	}
	for _, state := range opts.States {
		if state != stateQueued && state != stateRunning { // no job would be wanted, and a rebuild of none succeeds
			return &nuvlaops.Error{Resource: "PlanOptions.States", Reason: fmt.Sprintf("%q is not the state of an open job, want QUEUED or RUNNING", state), Err: nuvlaops.ErrInvalid}
		}
	}
	return nil
}

// reason says why job is left out under opts, "" when it belongs on the queue.
func (opts PlanOptions) reason(job Job, notBefore time.Time) Reason {
	switch {
	case job.Invalid != "":
		return LeftInvalid
	case job.State != stateQueued && job.State != stateRunning:
		return LeftFinal
	case job.Mode == modePull && !slices.Contains(opts.Modes, modePull):
		return LeftPull
	case len(opts.Modes) > 0 && !slices.Contains(opts.Modes, cmp.Or(job.Mode, modePush)):
		return LeftMode
	case job.Monitored && !opts.WithMonitored:
		return LeftMonitored
	case len(opts.States) > 0 && !slices.Contains(opts.States, job.State):
		return LeftState
	case opts.WithoutRunning && job.State == stateRunning:
		return LeftRunning
	case len(opts.Actions) > 0 && !slices.Contains(opts.Actions, job.Action):
		return LeftAction
	case !notBefore.IsZero() && job.Created.Before(notBefore):
		return LeftTooOld
	}
	return ""
}

// longestID is the longest id of a job, in bytes.
const longestID = 256

// checkID says what is wrong with an id, "" when nothing is. An entry with empty data sends executors into an endless
// loop, and one with another resource's id, or with half of an id, costs each four seconds.
func checkID(id string) string {
	rest, isJob := strings.CutPrefix(id, "job/")
	switch {
	case id == "":
		return "id is empty"
	case !isJob || rest == "":
		return "id is not job/<uuid>"
	case len(id) > longestID:
		return "id is too long"
	}
	for _, c := range []byte(rest) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return "id is not job/<uuid>"
		}
	}
	return ""
}

// compareJobs orders jobs as the queue does: by priority, then by creation, then by id.
func compareJobs(a, b *Job) int {
	if a.Priority != b.Priority {
		return a.Priority - b.Priority
	}
	if c := a.Created.Compare(b.Created); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}
