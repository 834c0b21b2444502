package snapshot

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/units"
)

// Policy says which snapshots are kept. A rule that counts keeps the newest good one of each of that many hours, days and
// so on that have one, so that an outage expires nothing. Good is complete: PARTIAL and FAILED ones hold no place.
//
// Never removed, whatever the rules say: the newest complete one, the last MinComplete complete ones, the newest one that a
// drill has restored, the newest one that holds more than twice as many documents as the newest complete one that says how many,
// and so on from that one (a server that has lost its data is backed up, too, and next to nothing is complete), pinned and running
// ones, those of others (unless Others), incomplete ones that are newer than the newest complete one, and more than MaxDelete in
// one run. What a drill has restored, and what was pinned after it was taken, is known by marks alone (WithMarks).
type Policy struct {
	// Last keeps the newest ones.
	Last int `json:"last,omitempty"`
	// Hourly to Yearly keep one of each period, by its start in UTC; weeks begin on Monday.
	Hourly  int `json:"hourly,omitempty"`
	Daily   int `json:"daily,omitempty"`
	Weekly  int `json:"weekly,omitempty"`
	Monthly int `json:"monthly,omitempty"`
	Yearly  int `json:"yearly,omitempty"`
	// Within keeps all complete ones that began within this time before the newest complete one, not before now.
	Within time.Duration `json:"-"` // within_seconds in JSON
	// Pins are names or patterns with * of what is kept for good, beside those that were pinned when they were taken.
	Pins []string `json:"pins,omitempty"`
	// Prefix, when not empty, makes those whose names begin in another way somebody else's, as are those that Name or today's
	// scripts made with a longer prefix: snapshot.jobs-2026-01-02t150405z is of another schedule than snapshot. One that lacks
	// the dot of all names is an error of Plan.
	Prefix string `json:"prefix,omitempty"`
	// Others lets the rules remove also what this SDK did not take.
	Others bool `json:"others,omitempty"`
	// MinComplete is the least number of complete ones to keep. Default 3.
	MinComplete int `json:"min_complete,omitempty"`
	// MaxDelete is the most to remove in one run, the oldest first. Default 100.
	MaxDelete int `json:"max_delete,omitempty"`
}

// inJSON is the policy with Within in seconds.
func (p *Policy) inJSON() any {
	type plain Policy
	return &struct {
		*plain
		Within *units.Seconds `json:"within_seconds,omitzero"`
	}{(*plain)(p), (*units.Seconds)(&p.Within)}
}

// MarshalJSON encodes Within in seconds.
func (p Policy) MarshalJSON() ([]byte, error) { return json.Marshal(p.inJSON()) }

// UnmarshalJSON decodes what MarshalJSON has encoded.
func (p *Policy) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, p.inJSON()) }

func (p Policy) withDefaults() Policy {
	if p.MinComplete == 0 {
		p.MinComplete = 3
	}
	if p.MaxDelete == 0 {
		p.MaxDelete = 100
	}
	return p
}

// Validate returns an error that matches ErrInvalid when the policy makes no sense: a number below 0, a pin that is no pattern, or
// no rule at all (Last to Within), which would remove all but the last few.
func (p Policy) Validate() error {
	counts := []int{p.Last, p.Hourly, p.Daily, p.Weekly, p.Monthly, p.Yearly}
	switch {
	case slices.Min(append(counts, p.MinComplete, p.MaxDelete)) < 0 || p.Within < 0:
		return invalid("a negative number in a retention policy", "")
	case slices.Max(counts) == 0 && p.Within == 0:
		return invalid("a retention policy without a rule", "it would remove all but the last few: say what to keep")
	}
	for _, pin := range p.Pins {
		if _, err := path.Match(pin, ""); err != nil || pin == "" {
			return invalid(fmt.Sprintf("pin %q is no pattern", pin), "")
		}
	}
	return nil
}

// Plan says what a policy keeps and removes, and why. It is plain data: print it, or keep it as JSON.
type Plan struct {
	Repository string `json:"repository"`
	Policy     Policy `json:"policy"`
	// Decisions on each snapshot, oldest first.
	Decisions []Decision `json:"decisions"`
}

// Decision is what happens to one snapshot.
type Decision struct {
	Name  string    `json:"name"`
	UUID  string    `json:"uuid"`
	State string    `json:"state"`
	Start time.Time `json:"start"`
	Keep  bool      `json:"keep"`
	// Reasons for which it is kept or removed; at least one.
	Reasons []string `json:"reasons"`
}

// Removed are the names that the plan removes, oldest first.
func (p *Plan) Removed() []string {
	var out []string
	for _, d := range p.Decisions {
		if !d.Keep {
			out = append(out, d.Name)
		}
	}
	return out
}

// Plan decides on each of the snapshots of one repository. It is pure: the same snapshots give the same plan, in whatever
// order and at whatever time. Error: ErrInvalid.
func (p Policy) Plan(snapshots []Snapshot) (*Plan, error) {
	if err := p.Validate(); err != nil {
		return nil, nuvlaops.Wrap("snapshot.Plan", "", err)
	}
	p = p.withDefaults()
	all := sortedByStart(snapshots)
	if err := p.lacksDot(all); err != nil {
		return nil, nuvlaops.Wrap("snapshot.Plan", "policy", err)
	}
	keep := p.protect(all)
	p.apply(all, keep)
	plan := &Plan{Policy: p, Decisions: make([]Decision, len(all))}
	left := p.MaxDelete
	for i, s := range all {
		plan.Repository = s.Repository
		d := Decision{Name: s.Name, UUID: s.UUID, State: s.State, Start: s.Start, Reasons: keep[i]}
		switch {
		case len(keep[i]) > 0:
			d.Keep = true
		case left == 0:
			d.Keep, d.Reasons = true, []string{fmt.Sprintf("%d are removed in one run at most", p.MaxDelete)}
		default:
			left--
			d.Reasons = []string{whyRemoved(s)}
		}
		plan.Decisions[i] = d
	}
	return plan, nil
}

// lacksDot refuses a prefix that no name was made with, and some were with a dot behind it: nothing would ever be removed.
func (p Policy) lacksDot(all []Snapshot) error {
	made := func(prefix string) bool {
		return slices.ContainsFunc(all, func(s Snapshot) bool { _, ok := ParseName(prefix, s.Name); return ok && (s.Ours() || p.Others) })
	}
	if p.Prefix == "" || made(p.Prefix) || !made(p.Prefix+".") {
		return nil
	}
	return invalid(fmt.Sprintf("no snapshot was made with the prefix %q", p.Prefix), fmt.Sprintf("did you mean %q?", p.Prefix+"."))
}

func whyRemoved(s Snapshot) string {
	if s.Complete() {
		return "no rule keeps it"
	}
	return "it is " + s.State + ", and a newer one is complete"
}

func sortedByStart(snapshots []Snapshot) []Snapshot {
	all := slices.Clone(snapshots)
	slices.SortFunc(all, func(a, b Snapshot) int {
		return cmp.Or(a.Start.Compare(b.Start), strings.Compare(a.Name, b.Name))
	})
	return all
}

// protect gives the reasons that stand above all rules.
func (p Policy) protect(all []Snapshot) [][]string {
	keep := make([][]string, len(all))
	complete, good, verified := 0, false, false
	least, most := int64(-1), int64(-1) // documents of the newest complete one that says how many, and of the last that was larger
	for i := len(all) - 1; i >= 0; i-- {
		s := all[i]
		add := func(reason string) { keep[i] = append(keep[i], reason) }
		if s.Running() {
			add("it is running")
		}
		if s.Pinned || slices.ContainsFunc(p.Pins, func(pin string) bool { ok, _ := path.Match(pin, s.Name); return ok || pin == s.Name }) {
			add("it is pinned")
		}
		if !p.mine(s) {
			add("somebody else's")
			continue
		}
		switch {
		case s.Complete():
			if !good {
				add("the newest complete one")
			} else if complete < p.MinComplete {
				add(fmt.Sprintf("one of the last %d complete ones", p.MinComplete))
			}
			if least < 0 {
				least, most = s.documents(), s.documents()
			}
			if least >= 0 && s.documents() > 2*most { // the next one may be the data, and this what a server without it has got since
				add(fmt.Sprintf("it holds %d documents, and a newer one %d: delete it by its name when that is right", s.documents(), least))
				most = s.documents()
			}
			complete, good = complete+1, true
			if s.Verified != nil && !verified {
				add("the newest one that a drill has restored")
				verified = true
			}
		case !good && !s.Running():
			add("newer than the newest complete one")
		}
	}
	return keep
}

// documents are those that it says it holds; -1 when it does not say. One of ours without a manifest found no index, and was
// taken for the global state.
func (s Snapshot) documents() int64 {
	switch {
	case s.Manifest != nil:
		return s.Manifest.Documents
	case s.Ours():
		return 0
	}
	return -1
}

func (p Policy) mine(s Snapshot) bool {
	return (s.Ours() || p.Others) && (p.Prefix == "" || strings.HasPrefix(s.Name, p.Prefix) && !longerPrefix(p.Prefix, s.Name))
}

// apply adds the reasons of the rules.
func (p Policy) apply(all []Snapshot, keep [][]string) {
	rules := []struct {
		name   string
		left   int
		period func(time.Time) string
	}{
		{"last", p.Last, nil},
		{"hourly", p.Hourly, func(t time.Time) string { return t.Format("2006-01-02 15h") }},
		{"daily", p.Daily, func(t time.Time) string { return t.Format("2006-01-02") }},
		{"weekly", p.Weekly, func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprintf("%d week %d", y, w) }},
		{"monthly", p.Monthly, func(t time.Time) string { return t.Format("2006-01") }},
		{"yearly", p.Yearly, func(t time.Time) string { return t.Format("2006") }},
	}
	last := make([]string, len(rules))
	var newest time.Time
	for i := len(all) - 1; i >= 0; i-- {
		s := all[i]
		if !s.Complete() || !p.mine(s) {
			continue
		}
		if newest.IsZero() {
			newest = s.Start
		}
		for r := range rules {
			if rules[r].left == 0 {
				continue
			}
			period := s.Name
			if rules[r].period != nil {
				period = rules[r].period(s.Start.UTC())
			}
			if period != last[r] {
				last[r], rules[r].left = period, rules[r].left-1
				keep[i] = append(keep[i], strings.TrimSuffix(rules[r].name+" "+period, " "+s.Name))
			}
		}
		if p.Within > 0 && newest.Sub(s.Start) <= p.Within {
			keep[i] = append(keep[i], "within "+p.Within.String())
		}
	}
}
