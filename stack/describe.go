package stack

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Stack is what Look sees.
type Stack struct {
	Name     string    `json:"name"`
	Services []Service `json:"services"`
	Volumes  []Volume  `json:"volumes"`
}

// Service runs replicas of one container.
type Service struct {
	// Name is without the stack's prefix.
	Name  string `json:"name"`
	ID    string `json:"id"`
	Image string `json:"image"`
	// Global services run one task on each node that meets their constraints.
	Global bool `json:"global,omitempty"`
	// Replicas are wanted now; Running of them run (and are healthy, where the image has a healthcheck).
	Replicas int `json:"replicas"`
	Running  int `json:"running"`
	// Stopped by Stop, which remembered that there shall be Remembered replicas (0 for a global service).
	Stopped     bool     `json:"stopped,omitempty"`
	Remembered  int      `json:"remembered,omitempty"`
	Tasks       []Task   `json:"tasks,omitempty"`
	Mounts      []Mount  `json:"mounts,omitempty"`
	Networks    []string `json:"networks,omitempty"`
	Secrets     []string `json:"secrets,omitempty"`
	Configs     []string `json:"configs,omitempty"`
	Constraints []string `json:"constraints,omitempty"`
}

// Task is one run of a service's container, also one that has ended.
type Task struct {
	ID    string `json:"id"`
	Slot  int    `json:"slot,omitempty"`
	Node  string `json:"node,omitempty"`
	State string `json:"state"`
	// Wanted is the state that the orchestrator wants the task in.
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

// Volume is one volume of the stack on one node.
type Volume struct {
	Name string `json:"name"`
	Node string `json:"node"`
	// NodeID is the orchestrator's identifier of the node: host names may be the same.
	NodeID string `json:"node_id"`
	// Created tells a volume from a later one of the same name. The orchestrator may know it to the second only.
	Created time.Time `json:"created"`
	// Bytes are known when Options.VolumeSizes is set; otherwise -1.
	Bytes int64 `json:"bytes"`
	// Services of the stack that mount it, and Containers, running or stopped, that hold it.
	Services   []string `json:"services,omitempty"`
	Containers []string `json:"containers,omitempty"`
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

// String is a table for people.
func (s *Stack) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SERVICE\tREPLICAS\tIMAGE\tSTATE")
	for _, v := range s.Services {
		fmt.Fprintf(w, "%s\t%d/%d\t%s\t%s\n", v.Name, v.Running, v.Replicas, v.Image, v.state())
	}
	if len(s.Volumes) > 0 {
		fmt.Fprintln(w, "\nVOLUME\tNODE\tSIZE\tUSED BY")
		for _, v := range s.Volumes {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", v.Name, v.Node, size(v.Bytes), strings.Join(v.Services, " "))
		}
	}
	_ = w.Flush() // into memory
	return b.String()
}

func (s *Service) state() string {
	switch {
	case s.Stopped:
		return "stopped, remembers " + s.remembered()
	case s.Running >= s.Replicas && s.Replicas > 0:
		return "running"
	}
	for i := len(s.Tasks) - 1; i >= 0; i-- {
		if s.Tasks[i].Error != "" {
			return s.Tasks[i].State + ": " + s.Tasks[i].Error
		}
	}
	if s.Replicas == 0 {
		return "none wanted"
	}
	return "starting"
}

func (s *Service) remembered() string {
	if s.Global {
		return "one on each node"
	}
	return fmt.Sprintf("%d replicas", s.Remembered)
}

func size(n int64) string {
	if n < 0 {
		return "-"
	}
	units := []string{"B", "kB", "MB", "GB", "TB"}
	f, i := float64(n), 0
	for f >= 1000 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
