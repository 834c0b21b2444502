package stack

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/units"
)

// String is a table for people: services, their tasks, volumes, networks and secrets.
func (s *Stack) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SERVICE\tREPLICAS\tIMAGE\tSTATE")
	for _, v := range s.Services {
		fmt.Fprintf(w, "%s\t%d/%d\t%s\t%s\n", v.Name, v.Running, v.Replicas, v.Image, nuvlaops.OneLine(v.state()))
	}
	s.writeTasks(w)
	if len(s.Volumes) > 0 {
		fmt.Fprintln(w, "\nVOLUME\tNODE\tSIZE\tUSED BY")
		for _, v := range s.Volumes {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", v.Name, v.Node, size(v.Bytes), strings.Join(v.Services, " "))
		}
	}
	s.writeUsers(w, "NETWORK", func(v Service) []string { return v.Networks })
	s.writeUsers(w, "SECRET", func(v Service) []string { return v.Secrets })
	_ = w.Flush() // into memory
	return b.String()
}

// writeTasks leaves out those that ended as they should.
func (s *Stack) writeTasks(w *tabwriter.Writer) {
	title := "\nTASK\tNODE\tSTATE\tSINCE\tERROR\n"
	for _, v := range s.Services {
		for _, t := range v.Tasks {
			if !t.live() && t.Error == "" {
				continue
			}
			fmt.Fprint(w, title)
			title = ""
			fmt.Fprintf(w, "%s.%s\t%s\t%s\t%s\t%s\n", v.Name, t.place(), t.Node, t.State, t.Since.UTC().Format(time.RFC3339), nuvlaops.OneLine(t.Error))
		}
	}
}

// place tells the tasks of a service apart: those of a global service have no slot, nor have those of every orchestrator.
func (t Task) place() string {
	if t.Slot > 0 {
		return fmt.Sprint(t.Slot)
	}
	return t.ID
}

func (s *Stack) writeUsers(w *tabwriter.Writer, kind string, of func(Service) []string) {
	users := map[string][]string{}
	var names []string
	for _, v := range s.Services {
		for _, name := range of(v) {
			if users[name] == nil {
				names = append(names, name)
			}
			users[name] = append(users[name], v.Name)
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(w, "\n%s\tUSED BY\n", kind)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(w, "%s\t%s\n", name, strings.Join(slices.Compact(users[name]), " "))
	}
}

func (s *Service) state() string {
	switch {
	case s.Stopped:
		return "stopped, remembers " + s.remembered()
	case s.Error != "":
		return string(s.Health) + ": " + s.Error
	}
	return string(s.Health)
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
	return units.Bytes(n)
}
