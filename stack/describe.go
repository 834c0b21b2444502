package stack

import "time"

// Stack is what Look sees.
type Stack struct {
	Name     string    `json:"name"`
	Services []Service `json:"services"`
	Volumes  []Volume  `json:"volumes"`
}

// Service runs replicas of one container.
type Service struct {
	// Name is without the stack's prefix.
	Name string `json:"name"`
	ID   string `json:"id"`
	// Version is another one after each change of the service: one that was started and stopped again has not the version that it had.
	Version uint64 `json:"version"`
	Image   string `json:"image"`
	// Global services run one task on each node that meets their constraints.
	Global bool `json:"global,omitempty"`
	// Replicas are wanted now; Running of them run (and are healthy, where they have a healthcheck).
	Replicas int `json:"replicas"`
	Running  int `json:"running"`
	// Health, and the last error of its tasks unless it is healthy.
	Health Health `json:"health"`
	Error  string `json:"error,omitempty"`
	// Stopped by Stop, which remembered that there shall be Remembered replicas (0 for a global service).
	Stopped    bool     `json:"stopped,omitempty"`
	Remembered int      `json:"remembered,omitempty"`
	Tasks      []Task   `json:"tasks,omitempty"`
	Mounts     []Mount  `json:"mounts,omitempty"`
	Networks   []string `json:"networks,omitempty"`
	Secrets    []string `json:"secrets,omitempty"`
	Configs    []string `json:"configs,omitempty"`
	// Needs are services that must not end before it, as its label (or annotation) org.nuvla.ops.needs says ("es, zk").
	Needs       []string `json:"needs,omitempty"`
	Constraints []string `json:"constraints,omitempty"`
}

// Task is one run of a service's container, also one that has ended.
type Task struct {
	ID string `json:"id"`
	// Slot numbers a service's replicas from 1; 0 where they have no numbers.
	Slot int    `json:"slot,omitempty"`
	Node string `json:"node,omitempty"`
	// State is "running" while the container runs; "starting", or another word, before that; "complete", "shutdown", "failed",
	// "rejected", "remove" or "orphaned" when it never runs again, of which "failed" and "rejected" say that something is wrong.
	State string `json:"state"`
	// Wanted is "running", or "ready" for what is to run next, as long as the orchestrator wants the task; then another word,
	// such as "shutdown".
	Wanted    string    `json:"wanted"`
	Since     time.Time `json:"since"`
	Error     string    `json:"error,omitempty"`
	Container string    `json:"container,omitempty"`
}

// Mount is where a service keeps data.
type Mount struct {
	// Type is "volume", "bind" or "tmpfs".
	Type string `json:"type"`
	// Source is the volume's full name or the host's path; empty for an anonymous volume.
	Source string `json:"source,omitempty"`
	Target string `json:"target"`
	// Own says that the volume belongs to the stack: it is named, and not external.
	Own bool `json:"own,omitempty"`
}

// Volume is one volume of the stack: on one node, where volumes are on nodes.
type Volume struct {
	Name string `json:"name"`
	Node string `json:"node"`
	// NodeID is the orchestrator's identifier of the node: host names may be the same.
	NodeID string `json:"node_id"`
	// Created tells a volume from a later one of the same name. The orchestrator may know it to the second only. A Docker
	// engine before 23.0 gives the time at which the volume's top folder last changed: Elasticsearch makes and removes a file
	// there every two minutes, so a plan of a running one is soon out of date.
	Created time.Time `json:"created"`
	// Bytes that it holds, -1 when they are not known: a Swarm is asked with Options.VolumeSizes.
	Bytes int64 `json:"bytes"`
	// Services of the stack that mount it, and Containers, running or stopped, that hold it.
	Services   []string `json:"services,omitempty"`
	Containers []string `json:"containers,omitempty"`
	// ByJob says that a job of ours reaches it (see NodeJob), and no engine: it can be wiped, and KeepVolumes refuses it.
	ByJob bool `json:"by_job,omitempty"`
}

// Service returns the service of this name, or nil.
func (s *Stack) Service(name string) *Service {
	for i := range s.Services {
		if s.Services[i].Name == name {
			return &s.Services[i]
		}
	}
	return nil
}
