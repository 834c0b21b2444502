package restore

import (
	"fmt"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
)

// String is the report for people.
func (r *DrillReport) String() string {
	var b strings.Builder
	outcome := "NOT PROVEN"
	if r.Proven {
		outcome = "PROVEN"
	}
	name := "no snapshot"
	if r.Snapshot != nil {
		name = "snapshot " + nuvlaops.OneLine(r.Snapshot.Name)
	}
	fmt.Fprintf(&b, "drill %s: %s %s\n", r.ID, name, outcome)
	if r.Restore != nil {
		b.WriteString(r.Restore.String())
		fmt.Fprintf(&b, "measured: %s to restore and verify%s, under the cluster's own limits of recovery\n", r.RTO.Round(time.Millisecond), r.budgetText())
	}
	fmt.Fprintf(&b, "removed: %s", plural(r.Removed, "scratch index"))
	if len(r.Swept) > 0 {
		fmt.Fprintf(&b, ", and %d that a drill before had left", len(r.Swept))
	}
	b.WriteByte('\n')
	for _, name := range r.Left {
		fmt.Fprintf(&b, "left: %s (the next drill removes it)\n", nuvlaops.OneLine(name))
	}
	return b.String()
}

func (r *DrillReport) budgetText() string {
	switch {
	case r.Budget == 0:
		return ""
	case r.OverBudget:
		return fmt.Sprintf(", OVER the budget of %s", r.Budget)
	}
	return fmt.Sprintf(", within the budget of %s", r.Budget)
}
