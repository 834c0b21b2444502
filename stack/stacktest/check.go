package stacktest

import (
	"context"
	"fmt"

	"github.com/nuvla/nuvlaops"
)

func check(ctx context.Context, name string) error {
	if name == "" || name[0] == '-' {
		return &nuvlaops.Error{Resource: "stack", Reason: fmt.Sprintf("%q is no name of a stack", name), Err: nuvlaops.ErrInvalid}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func notThere(name string) error {
	return &nuvlaops.Error{Resource: name, Reason: "no such service in the stack", Err: nuvlaops.ErrNotFound}
}

func noFile() error {
	return &nuvlaops.Error{Reason: "no such compose file", Err: nuvlaops.ErrInvalid}
}
