package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/nuvla/nuvlaops"
)

// The exit codes of all example programs.
const (
	ExitOK           = 0   // done and verified
	ExitFailed       = 1   // any failure without a code of its own
	ExitUsage        = 2   // a flag or a file is wrong; nothing was touched
	ExitPartial      = 3   // ended, but not all of it
	ExitTimeout      = 4   // a deadline passed
	ExitBusy         = 5   // something of the same kind is running
	ExitRepository   = 10  // the snapshot repository cannot be used
	ExitRefused      = 11  // a precondition does not hold; what needs it was left alone
	ExitVerification = 12  // done, but what is there is not what was asked for
	ExitInterrupted  = 130 // Ctrl-C, SIGTERM, or the end of the terminal
)

// ErrUsage marks bad input.
var ErrUsage = errors.New("usage")

// Usagef returns an error that ends the program with ExitUsage.
func Usagef(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUsage}, args...)...)
}

// Begun marks a failure of work that had begun: bad input that is found so late is no longer one that touched nothing.
func Begun(err error) error {
	if err == nil {
		return nil
	}
	return begun{err}
}

type begun struct{ error }

func (b begun) Unwrap() error { return b.error }

// ExitCode maps an error to the program's exit code. The end of the run comes before what it caused.
func ExitCode(err error) int {
	var e *nuvlaops.Error
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrInterrupted), errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.Is(err, ErrUsage):
		return ExitUsage
	case errors.Is(err, nuvlaops.ErrInvalid) && errors.As(err, &e) && e.Status == 0 && !errors.As(err, new(begun)):
		return ExitUsage
	case errors.Is(err, context.DeadlineExceeded):
		return ExitTimeout
	case errors.Is(err, nuvlaops.ErrPartial):
		return ExitPartial
	case errors.Is(err, nuvlaops.ErrBusy):
		return ExitBusy
	case errors.Is(err, nuvlaops.ErrRepository):
		return ExitRepository
	case errors.Is(err, nuvlaops.ErrRefused):
		return ExitRefused
	case errors.Is(err, nuvlaops.ErrVerification):
		return ExitVerification
	}
	return ExitFailed
}
