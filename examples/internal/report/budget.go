package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Budget is how many seconds a recovery, and steps of it, may take. Zero means that nobody has said.
type Budget struct {
	Whole float64            `json:"whole_seconds,omitempty"`
	Steps map[string]float64 `json:"steps,omitempty"`
}

// IsZero reports whether nothing is bounded.
func (b Budget) IsZero() bool { return b.Whole == 0 && len(b.Steps) == 0 }

// ParseBudget reads a budget as a person writes it: 30m,restore=20m,queue=1m. steps are those that may be named.
func ParseBudget(text string, steps []string) (Budget, error) {
	b := Budget{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		step, value, named := strings.Cut(part, "=")
		if !named {
			step, value = "", part
		}
		d, err := time.ParseDuration(value)
		switch {
		case err != nil || d <= 0:
			return Budget{}, fmt.Errorf("%q is no duration: want 30m, or restore=20m", part)
		case !named:
			b.Whole = d.Seconds()
			continue
		case !slices.Contains(steps, step):
			return Budget{}, fmt.Errorf("%q is no step: want one of %s", step, strings.Join(steps, ", "))
		case b.Steps == nil:
			b.Steps = map[string]float64{}
		}
		b.Steps[step] = d.Seconds()
	}
	return b, nil
}

// over says by how much something took longer than it may, "" when it did not.
func over(took, budget float64) string {
	if budget <= 0 || took <= budget {
		return ""
	}
	return seconds(took-budget) + " over its budget of " + seconds(budget)
}
