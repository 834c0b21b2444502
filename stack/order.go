package stack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nuvla/nuvlaops"
)

// Groups is the order in which services can be started, by what they need: a group needs only services of the groups
// before it, and what needs nothing of each other is in one group. Backwards it is the order in which they can be stopped.
// What is needed from outside the stack does not count. Services that need each other in a circle are ErrInvalid.
func (s *Stack) Groups() ([][]string, error) {
	groups, err := s.groups()
	return groups, nuvlaops.Wrap("stack.Groups", s.Name, err)
}

func (s *Stack) groups() ([][]string, error) {
	var groups [][]string
	placed := map[string]bool{}
	for len(placed) < len(s.Services) {
		var group []string
		for _, v := range s.Services {
			waits := slices.ContainsFunc(v.Needs, func(name string) bool { return s.Service(name) != nil && !placed[name] })
			if !placed[v.Name] && !waits {
				group = append(group, v.Name)
			}
		}
		if len(group) == 0 {
			return nil, s.circle(placed)
		}
		for _, name := range group {
			placed[name] = true
		}
		slices.Sort(group)
		groups = append(groups, group)
	}
	return groups, nil
}

func (s *Stack) circle(placed map[string]bool) error {
	var names []string
	for _, v := range s.Services {
		if !placed[v.Name] {
			names = append(names, v.Name)
		}
	}
	return &nuvlaops.Error{Resource: s.Name, Reason: "services need each other in a circle: " + some(names), Err: nuvlaops.ErrInvalid,
		Hint: fmt.Sprintf("give the groups, or correct what %s says of these services", labelNeeds)}
}

// derived is the order by the labels of the services that are there.
func (w *world) derived() ([][]string, error) {
	s := &Stack{Name: w.stack}
	for name, v := range w.services {
		s.Services = append(s.Services, Service{Name: name, Needs: needed(v.Spec.Labels[labelNeeds])})
	}
	return s.groups()
}

func needed(label string) []string {
	return strings.FieldsFunc(label, func(r rune) bool { return r == ',' || r == ' ' })
}

// stopGroups are the groups asked for, or all services, those first that need others. What is left of services that are
// gone says no more what it needs: it goes first.
func (w *world) stopGroups(asked [][]string) ([][]string, error) {
	if len(asked) > 0 {
		return asked, w.refuseJobs(asked)
	}
	groups, err := w.derived()
	if err == nil {
		err = w.refuseJobs(groups)
	}
	if err != nil {
		return nil, err
	}
	slices.Reverse(groups)
	left := slices.DeleteFunc(w.names(), func(name string) bool { _, there := w.services[name]; return there })
	switch {
	case len(left) == 0:
	case len(groups) == 0:
		groups = [][]string{left}
	default:
		groups[0] = slices.Concat(groups[0], left)
	}
	return groups, nil
}
