package cli

import (
	"errors"
	"flag"
	"strings"

	"github.com/nuvla/nuvlaops/snapshot"
)

// RetentionFlags defines the flags that say which snapshots are kept. note adds to each flag's text.
func RetentionFlags(fs *flag.FlagSet, p *snapshot.Policy, note func(flagName string) string) {
	number := func(to *int, name, usage string) { fs.IntVar(to, name, 0, usage+note(name)) }
	number(&p.Last, "keep-last", "keep so `many` of the newest complete snapshots")
	number(&p.Hourly, "keep-hourly", "keep the newest of so `many` hours that have one")
	number(&p.Daily, "keep-daily", "keep the newest of so `many` days that have one")
	number(&p.Weekly, "keep-weekly", "keep the newest of so `many` weeks that have one")
	number(&p.Monthly, "keep-monthly", "keep the newest of so `many` months that have one")
	number(&p.Yearly, "keep-yearly", "keep the newest of so `many` years that have one")
	fs.DurationVar(&p.Within, "keep-within", 0, "keep all complete ones that began within this `time` before the newest"+note("keep-within"))
	fs.Func("keep-names", "`patterns` of names that are kept for good, with commas"+note("keep-names"), List(&p.Pins))
	number(&p.MinComplete, "keep-min", "least `number` of complete snapshots to keep, whatever the rules say; 0 is 3")
	number(&p.MaxDelete, "max-delete", "remove so `many` in one run at most; 0 is 100")
	fs.BoolVar(&p.Others, "prune-others", false, "remove by these rules also what other tools took"+note("prune-others"))
}

// CheckRetention is a usage error that names the flag, where one is at fault alone.
func CheckRetention(p snapshot.Policy) error {
	for _, f := range []struct {
		name string
		n    int
	}{{"last", p.Last}, {"hourly", p.Hourly}, {"daily", p.Daily}, {"weekly", p.Weekly}, {"monthly", p.Monthly}, {"yearly", p.Yearly}, {"min", p.MinComplete}} {
		if f.n < 0 {
			return Usagef("-keep-%s %d: want 0 or more", f.name, f.n)
		}
	}
	switch {
	case p.Within < 0:
		return Usagef("-keep-within %s: want 0 or more", p.Within)
	case p.MaxDelete < 0:
		return Usagef("-max-delete %d: want 0 or more", p.MaxDelete)
	}
	if err := p.Validate(); err != nil {
		return Usagef("the -keep flags: %w", err)
	}
	return nil
}

// List is for flag.Func: words divided by commas or spaces.
func List(into *[]string) func(string) error {
	return func(s string) error {
		*into = strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
		if len(*into) == 0 {
			return errors.New("it is empty")
		}
		return nil
	}
}
