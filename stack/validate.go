package stack

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/nuvla/nuvlaops"
)

// Validate is what each StackController checks first: names of services, each in one group, and no number below 0.
func (o StopOptions) Validate() error {
	return errors.Join(validGroups(o.Groups), notBelowZero("StopOptions.Limit", o.Limit))
}

// Validate is what each StackController checks first: names of services, each in one group, and no number below 0.
func (o StartOptions) Validate() error {
	return errors.Join(validGroups(o.Groups), notBelowZero("StartOptions.ProbeTimeout", o.ProbeTimeout), notBelowZero("StartOptions.Stable", o.Stable),
		notBelowZero("StartOptions.Failures", o.Failures), notBelowZero("StartOptions.Limit", o.Limit))
}

// ValidateName returns an error that matches ErrInvalid for what is no name of a stack: each StackController checks it first.
func ValidateName(stack string) error { return validName("stack", stack) }

func validName(kind, name string) error {
	if ok, _ := regexp.MatchString(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`, name); ok {
		return nil
	}
	return &nuvlaops.Error{Resource: kind, Reason: fmt.Sprintf("%q is no name of a %s", name, kind), Err: nuvlaops.ErrInvalid,
		Hint: "letters, digits, dots, dashes and underscores"}
}

func validPort(port int) error {
	if port >= 1 && port <= 65535 {
		return nil
	}
	return &nuvlaops.Error{Resource: "port", Reason: fmt.Sprintf("%d is no port", port), Err: nuvlaops.ErrInvalid, Hint: "1 to 65535"}
}

// notBelowZero checks a number of options: 0 is its default, or no limit.
func notBelowZero[N ~int | ~int64](field string, n N) error {
	if n >= 0 {
		return nil
	}
	return &nuvlaops.Error{Resource: field, Reason: fmt.Sprintf("%v is below 0", n), Err: nuvlaops.ErrInvalid}
}

func validGroups(groups [][]string) error {
	seen := map[string]bool{}
	for _, group := range groups {
		for _, name := range group {
			if err := validName("service", name); err != nil {
				return err
			}
			if seen[name] {
				return &nuvlaops.Error{Resource: name, Reason: "the service is in two groups", Err: nuvlaops.ErrInvalid}
			}
			seen[name] = true
		}
	}
	return nil
}
