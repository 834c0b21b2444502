package stack

import (
	"time"

	"github.com/moby/moby/api/types/swarm"
)

// Health of a service as far as its orchestrator knows. What it serves is asked by the probes of Start.
type Health string

const (
	// Healthy: as many tasks run as are wanted, have done so for a second, and their healthchecks succeed, if they have any.
	Healthy Health = "healthy"
	// Starting: tasks are still to come up, or have just done so.
	Starting Health = "starting"
	// Failing: tasks are missing, and the last that ended has failed.
	Failing Health = "failing"
	// Stopped: no task is wanted.
	Stopped Health = "stopped"
)

// defaultStable is how long tasks must have been running before they count as healthy.
const defaultStable = time.Second

// assess sets the health of a service, and its last error unless it is healthy. Its tasks are sorted by time.
func (s *Service) assess(now time.Time) {
	settled, failed, text := true, false, ""
	for _, t := range s.Tasks {
		if t.Error != "" {
			text = t.Error
		}
		switch {
		case t.live():
			settled = settled && now.Sub(t.Since) >= defaultStable
		case t.State == string(swarm.TaskStateFailed), t.State == string(swarm.TaskStateRejected):
			failed = true
		default:
			failed = false
		}
	}
	switch {
	case s.Replicas == 0 && (s.Stopped || !s.Global):
		s.Health = Stopped
		return
	case s.Running >= s.Replicas && s.Running > 0 && settled:
		s.Health = Healthy
		return
	case s.Running < s.Replicas && failed:
		s.Health = Failing
	default:
		s.Health = Starting
	}
	s.Error = text
}

// live says whether a task runs or is to run.
func (t Task) live() bool {
	return !endState(swarm.TaskState(t.State)) &&
		(t.Wanted == string(swarm.TaskStateRunning) || t.Wanted == string(swarm.TaskStateReady))
}
