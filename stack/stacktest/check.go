package stacktest

import (
	"context"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

func check(ctx context.Context, name string) error {
	if err := stack.ValidateName(name); err != nil {
		return err
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
