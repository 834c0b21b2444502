package stacktest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nuvla/nuvlaops"
)

func check(ctx context.Context, name string, groups [][]string) error {
	if name == "" || name[0] == '-' {
		return &nuvlaops.Error{Resource: "stack", Reason: fmt.Sprintf("%q is no name of a stack", name), Err: nuvlaops.ErrInvalid}
	}
	seen := map[string]bool{}
	for _, key := range slices.Concat(groups...) {
		if seen[key] {
			return &nuvlaops.Error{Resource: key, Reason: "the service is in two groups", Err: nuvlaops.ErrInvalid}
		}
		seen[key] = true
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func notBelowZero(options ...time.Duration) error {
	if slices.ContainsFunc(options, func(n time.Duration) bool { return n < 0 }) {
		return &nuvlaops.Error{Reason: "an option is below 0", Err: nuvlaops.ErrInvalid}
	}
	return nil
}

func notThere(name string) error {
	return &nuvlaops.Error{Resource: name, Reason: "no such service in the stack", Err: nuvlaops.ErrNotFound}
}

func noFile() error {
	return &nuvlaops.Error{Reason: "no such compose file", Err: nuvlaops.ErrInvalid}
}
