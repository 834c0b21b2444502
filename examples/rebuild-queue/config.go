package main

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/zkjobs"
)

//go:embed main.go
var about string // its comment is the help

type config struct {
	esHosts, zkHosts hosts
	index, path      string
	allowNone, json  bool
	verifyOnly       bool
	includeRunning   bool
	timeout          time.Duration
	plan             zkjobs.PlanOptions
	apply            zkjobs.ApplyOptions
	zk               *zkjobs.ConnectOptions
}

// hosts is a flag that takes several addresses: divided by spaces or commas, or given again.
type hosts []string

func (h *hosts) String() string { return strings.Join(*h, ",") }

func (h *hosts) Set(s string) error {
	fields := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
	if len(fields) == 0 {
		return fmt.Errorf("no address in %q", s)
	}
	*h = append(*h, fields...)
	return nil
}

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	fs := cli.FlagSet("rebuild-queue", about, stderr)
	fs.Var(&c.esHosts, "es-hosts", "Elasticsearch `hosts` as HOST or URL, divided by spaces or commas, or repeated (default es)")
	fs.Var(&c.zkHosts, "zk-hosts", "ZooKeeper `hosts`, divided by spaces or commas, or repeated (default zk:2181)")
	var zk cli.ZooKeeper
	zk.Flags(fs)
	fs.StringVar(&c.index, "index", "nuvla-job", "index of the job documents")
	fs.StringVar(&c.path, "path", "/job", "path of the queue in ZooKeeper")
	fs.BoolVar(&c.apply.DryRun, "dry-run", false, "show what would be done, and write nothing; it is refused as the work itself would be")
	fs.BoolVar(&c.verifyOnly, "verify-only", false, "compare the queue with the jobs, reading every entry, and write nothing")
	fs.BoolVar(&c.json, "json", false, "print one JSON object with plan, result and report")
	fs.DurationVar(&c.plan.MaxAge, "max-age", 0, "leave out jobs created earlier than this `duration` ago, such as 720h (default no limit)")
	fs.BoolVar(&c.includeRunning, "include-running", true, "queue RUNNING jobs too; they run again from the start")
	fs.IntVar(&c.apply.Batch, "batch", 500, "operations in a transaction, 2 to 500")
	fs.Float64Var(&c.apply.Rate, "rate", 0, "most jobs written in a second (default no limit)")
	fs.BoolVar(&c.apply.Prune, "prune", false, "remove unlocked entries without an open job, and doubled ones")
	fs.BoolVar(&c.apply.Move, "move", false, "put unlocked entries at another priority than their job's where they belong")
	fs.BoolVar(&c.apply.Force, "force", false, "go on although consumers or producers are alive")
	fs.BoolVar(&c.allowNone, "allow-none", false, "take an index without an open job for a system without work")
	fs.DurationVar(&c.timeout, "timeout", 0, "give up after this `duration` (default no limit)")
	if err := cli.Parse(fs, repeatHosts(args)); err != nil {
		return c, err
	}
	if len(c.esHosts) == 0 {
		c.esHosts = hosts{"es"}
	}
	if len(c.zkHosts) == 0 {
		c.zkHosts = hosts{"zk:2181"}
	}
	c.plan.WithoutRunning = !c.includeRunning
	if err := c.check(); err != nil {
		return c, err
	}
	var err error
	c.zk, err = zk.Options()
	return c, err
}

// check refuses bad input before anything is connected.
func (c config) check() error {
	if err := cmp.Or(c.apply.Validate(), c.plan.Validate()); err != nil {
		return byFlag(err)
	}
	switch a := c.apply; {
	case a.Batch == 0: // which would be the default
		return cli.Usagef("-batch 0: want 2 to 500")
	case c.timeout < 0:
		return cli.Usagef("-timeout %v: want 0 (no limit) or more", c.timeout)
	case c.index == "":
		return cli.Usagef("-index is empty: want the name of an index, such as nuvla-job")
	case !strings.HasPrefix(c.path, "/") || strings.HasSuffix(c.path, "/"):
		return cli.Usagef("-path %q: want a path that begins with / and does not end with it", c.path)
	case c.verifyOnly && (a.Prune || a.Move || a.DryRun || a.Force || a.Rate != 0):
		return cli.Usagef("-verify-only writes nothing: leave -prune, -move, -dry-run, -force and -rate away")
	}
	if _, _, err := zkjobs.ParseHosts(c.zkHosts...); err != nil {
		return fmt.Errorf("%w: -zk-hosts: %w", cli.ErrUsage, err)
	}
	return nil
}

// flags set these fields.
var flags = map[string]string{"ApplyOptions.Batch": "-batch", "ApplyOptions.Rate": "-rate", "PlanOptions.MaxAge": "-max-age"}

// byFlag names the flag where the error names a field.
func byFlag(err error) error {
	var e *nuvlaops.Error
	if errors.As(err, &e) && flags[e.Resource] != "" {
		return cli.Usagef("%s: %s", flags[e.Resource], e.Reason)
	}
	return err
}

// repeatHosts puts the flag before each of several addresses that follow it: "--zk-hosts a b", which the script that this
// program replaces takes, becomes "--zk-hosts a --zk-hosts b".
func repeatHosts(args []string) []string {
	var out []string
	hosts, values := "", 0
	for _, arg := range args {
		switch name := strings.TrimLeft(arg, "-"); {
		case name == arg && hosts != "":
			if values++; values > 1 {
				out = append(out, hosts)
			}
		case name == "es-hosts" || name == "zk-hosts":
			hosts, values = arg, 0
		default:
			hosts = ""
		}
		out = append(out, arg)
	}
	return out
}
