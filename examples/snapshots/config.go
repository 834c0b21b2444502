package main

import (
	_ "embed"
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/conf"
	"github.com/nuvla/nuvlaops/snapshot"
)

//go:embed main.go
var about string // its comment is the help

type config struct {
	command    string
	names      []string
	es         string
	repository string
	marks      string
	timestamp  string
	timeout    time.Duration
	json       bool
	filter     snapshot.Filter
	policy     snapshot.Policy
	dryRun     bool
	pinned     bool
	reason     string
	yes        string
}

const commands = "list, show, verify, prune, pin, unpin or delete"

// parse reads COMMAND [NAME...] [flags]; names may stand before or between the flags.
func parse(args []string, lookup func(string) (string, bool), stderr io.Writer) (*config, error) {
	c := &config{}
	fs, command, args := cli.Command("snapshots", about, args, stderr)
	c.command = command
	c.shared(fs)
	if err := conf.Preset(fs, args, lookup, false); err != nil {
		return nil, err
	}
	if err := c.own(fs); err != nil {
		return nil, err
	}
	if c.command == "" {
		return nil, cli.NoCommand(fs, args, commands)
	}
	for len(args) > 0 {
		if !strings.HasPrefix(args[0], "-") || args[0] == "-" { // a lone one is no flag
			c.names, args = append(c.names, args[0]), args[1:]
			continue
		}
		if err := cli.ParseFlags(fs, args); err != nil {
			return nil, err
		}
		args = fs.Args()
	}
	return c, c.finish()
}

// shared are the flags whose values the backup's file and the environment may give.
func (c *config) shared(fs *flag.FlagSet) {
	conf.Flags(fs, &c.es, &c.repository, &c.timestamp, &c.marks)
	if c.command == "prune" {
		cli.RetentionFlags(fs, &c.policy, func(name string) string { return " [" + conf.Key(name) + "]" })
		fs.StringVar(&c.policy.Prefix, "prefix", snapshot.DefaultPrefix, "what the names of the snapshots begin with that the rules are about [BACKUP_PREFIX]")
	}
}

// own are the flags that are given as such alone.
func (c *config) own(fs *flag.FlagSet) error {
	fs.DurationVar(&c.timeout, "timeout", 10*time.Minute, "give up after this `time`, 0 for no limit")
	fs.BoolVar(&c.json, "json", false, "print one JSON value")
	switch c.command {
	case "list":
		fs.BoolVar(&c.filter.Complete, "complete", false, "only those that can be restored whole")
		fs.BoolVar(&c.filter.Ours, "ours", false, "only those that this SDK took")
		fs.Func("state", "only these `states`, with commas: SUCCESS, PARTIAL, FAILED, IN_PROGRESS, INCOMPATIBLE", cli.List(&c.filter.States))
		fs.Func("name", "only names that match these `patterns`, with commas", cli.List(&c.filter.Names))
		fs.Func("since", "only those that began at or after this `time`: 2006-01-02T15:04:05Z, or 24h for so long ago", moment(&c.filter.Since))
		fs.Func("until", "only those that began at or before this `time`, in the same forms", moment(&c.filter.Until))
		fs.BoolVar(&c.filter.NewestFirst, "newest-first", false, "turn the order round")
	case "prune":
		fs.BoolVar(&c.dryRun, "dry-run", false, "print what would be kept and removed, and remove nothing")
		fs.StringVar(&c.yes, "yes", "", "`name` of the repository, instead of typing it")
	case "pin":
		fs.StringVar(&c.reason, "reason", "", "`text` that says why")
	case "delete":
		fs.BoolVar(&c.pinned, "pinned", false, "delete also what is pinned")
		fs.StringVar(&c.yes, "yes", "", "`name` of the repository, instead of typing it")
	case "show", "verify", "unpin", "":
	default:
		return cli.Usagef("unknown command %q: want %s", c.command, commands)
	}
	return nil
}

// moment is for flag.Func: a time, or how long ago it was.
func moment(into *time.Time) func(string) error {
	return func(s string) error {
		if ago, err := time.ParseDuration(s); err == nil {
			if ago < 0 {
				return errors.New("it is to come: want how long ago it was, such as 24h")
			}
			*into = time.Now().Add(-ago)
			return nil
		}
		at, err := time.Parse(time.RFC3339, s)
		*into = at
		return err
	}
}

// finish checks what was said. Each error names its flag.
func (c *config) finish() error {
	want := map[string]string{"list": "none", "prune": "none", "show": "one", "pin": "one", "unpin": "one", "delete": "some"}[c.command]
	switch {
	case want == "none" && len(c.names) > 0:
		return cli.Usagef("unexpected argument %q: flags only, see snapshots %s -h", c.names[0], c.command)
	case want == "one" && len(c.names) != 1:
		return cli.Usagef("want snapshots %s NAME", c.command)
	case want == "some" && len(c.names) == 0:
		return cli.Usagef("want snapshots %s NAME...", c.command)
	case c.timeout < 0:
		return cli.Usagef("-timeout %s: want 0 or more", c.timeout)
	}
	if c.marks == "" {
		c.marks = conf.Marks(c.timestamp)
	}
	for _, state := range c.filter.States {
		if !slices.Contains([]string{snapshot.Success, snapshot.Partial, snapshot.Failed, snapshot.InProgress, snapshot.Incompatible}, state) {
			return cli.Usagef("-state %q: want SUCCESS, PARTIAL, FAILED, IN_PROGRESS or INCOMPATIBLE", state)
		}
	}
	switch f := c.filter; {
	case !f.Since.IsZero() && !f.Until.IsZero() && f.Until.Before(f.Since):
		return cli.Usagef("-until %s is before -since %s: nothing is between", f.Until.UTC().Format(time.RFC3339), f.Since.UTC().Format(time.RFC3339))
	case f.Complete && len(f.States) > 0 && !slices.Contains(f.States, snapshot.Success):
		return cli.Usagef("-complete goes with -state SUCCESS only: those of other states are not complete")
	case c.command == "prune" && c.policy.Prefix == "":
		return cli.Usagef("-prefix is empty: want what the names of the snapshots begin with that the rules are about")
	}
	if c.command == "prune" {
		if err := cli.CheckRetention(c.policy); err != nil {
			return err
		}
	}
	if slices.Contains([]string{"pin", "unpin", "prune", "delete"}, c.command) { // pins that are not seen would be removed
		return cli.InFolder("marks", c.marks)
	}
	return nil
}
