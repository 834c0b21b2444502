package stack

import (
	"time"

	"github.com/moby/moby/api/types/swarm"
)

// Health of a service as far as its orchestrator knows. What it serves is asked by the probes of Start.
type Health string

const (
	// HealthHealthy: as many tasks run as are wanted, have done so for a second, and their healthchecks succeed, if they have any.
	HealthHealthy Health = "healthy"
	// HealthStarting: tasks are still to come up, or have just done so; or the container of one is paused or gone, which the
	// orchestrator does not see, or not yet.
	HealthStarting Health = "starting"
	// HealthFailing: tasks are missing, and the last that ended has failed.
	HealthFailing Health = "failing"
	// HealthStopped: no task is wanted.
	HealthStopped Health = "stopped"
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
			settled = settled && t.Error == "" && now.Sub(t.Since) >= defaultStable
		case t.State == string(swarm.TaskStateFailed), t.State == string(swarm.TaskStateRejected):
			failed = true
		default:
			failed = false
		}
	}
	switch {
	case s.Replicas == 0 && (s.Stopped || !s.Global):
		s.Health = HealthStopped
		return
	case s.Running >= s.Replicas && s.Running > 0 && settled:
		s.Health = HealthHealthy
		return
	case s.Running < s.Replicas && failed:
		s.Health = HealthFailing
	default:
		s.Health = HealthStarting
	}
	s.Error = text
}

// live says whether a task runs or is to run.
func (t Task) live() bool {
	return !endState(swarm.TaskState(t.State)) &&
		(t.Wanted == string(swarm.TaskStateRunning) || t.Wanted == string(swarm.TaskStateReady))
}
