package nuvlaops

import (
	"fmt"
	"time"
)

// RetryPolicy says how often and how long a call is repeated. Zero fields take the defaults. The waits between attempts grow
// exponentially; each is shorter or longer by up to half of that, so that many clients do not come back at once.
type RetryPolicy struct {
	// Initial is the first wait, before that. Default 200 ms.
	Initial time.Duration
	// Max is the longest wait, before that: with the defaults none is longer than 7.5 s. Default 5 s, or Initial where that is longer.
	Max time.Duration
	// Multiplier is the growth of the wait, 1 or more. Default 2.
	Multiplier float64
	// MaxElapsed ends the retries when the next attempt would start later than this after the first. Default 1 minute:
	// longer than the election of a master (seconds), shorter than an operator's patience. Negative means no limit.
	MaxElapsed time.Duration
	// MaxAttempts limits the number of attempts; 1 switches retries off. Default 0, no limit but MaxElapsed.
	MaxAttempts int
}

// WithDefaults returns p with every zero field replaced by its default.
func (p RetryPolicy) WithDefaults() RetryPolicy {
	if p.Initial == 0 {
		p.Initial = 200 * time.Millisecond
	}
	if p.Max == 0 {
		p.Max = max(5*time.Second, p.Initial)
	}
	if p.Multiplier == 0 {
		p.Multiplier = 2
	}
	if p.MaxElapsed == 0 {
		p.MaxElapsed = time.Minute
	}
	return p
}

// Validate returns an error that matches ErrInvalid and names the field when a field is out of range.
func (p RetryPolicy) Validate() error {
	q := p.WithDefaults()
	switch {
	case q.Initial < 0:
		return invalid("RetryPolicy.Initial", p.Initial, "a positive duration")
	case q.Max < q.Initial:
		return invalid("RetryPolicy.Max", p.Max, "at least Initial")
	case !(q.Multiplier >= 1): // NaN too
		return invalid("RetryPolicy.Multiplier", p.Multiplier, "1 or more")
	case q.MaxAttempts < 0:
		return invalid("RetryPolicy.MaxAttempts", p.MaxAttempts, "0 (no limit) or more")
	}
	return nil
}

func invalid(field string, got any, want string) error {
	return &Error{Resource: field, Reason: fmt.Sprintf("%v is out of range, want %s", got, want), Err: ErrInvalid}
}
