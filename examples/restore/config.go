package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/conf"
	"github.com/nuvla/nuvlaops/examples/internal/schedule"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
)

//go:embed main.go
var about string // its comment is the help

// config is what the operator said, checked.
type config struct {
	command    string
	conf       string // as -conf names it
	es         string
	repository string
	timestamp  string
	marks      string
	json       bool
	timeout    time.Duration

	sel      restore.Selector
	verified bool // -snapshot verified
	request  restore.Request
	plan     *restore.Plan // of -plan
	opts     restore.ApplyOptions
	yes      string
	abandon  bool
	queries  []restore.Query
	manifest *snapshot.Manifest

	budget, jitter  time.Duration
	metrics, listen string
	schedule        *schedule.Schedule

	text texts
}

// texts are flags as they were given.
type texts struct {
	snapshot, before, plan, queries, manifest, schedule string
	replicas                                            int
	limit                                               int64
}

const commands = "list, plan, apply, attach, verify or drill"

// parse reads COMMAND [flags], above what the backup's file and the environment say.
func parse(args []string, lookup func(string) (string, bool), stderr io.Writer) (*config, error) {
	c := &config{}
	fs, command, args := cli.Command("restore", about, args, stderr)
	c.command = command
	conf.Flags(fs, &c.es, &c.repository, &c.timestamp, &c.marks)
	if err := conf.Preset(fs, args, lookup, false); err != nil { // before flags that mean another thing there, such as -metrics
		return nil, err
	}
	fs.BoolVar(&c.json, "json", false, "print JSON")
	if c.command == "drill" {
		fs.DurationVar(&c.timeout, "timeout", 0, "give a drill up after this `time`, and remove what it made (default no limit)")
	} else {
		fs.DurationVar(&c.timeout, "timeout", 0, "give up after this `time`; what the server does goes on (default no limit)")
	}
	if c.command == "" {
		return nil, cli.NoCommand(fs, args, commands)
	}
	if err := c.flags(fs); err != nil {
		return nil, err
	}
	if err := cli.Parse(fs, args); err != nil {
		return nil, err
	}
	if err := cli.NotEmpty(fs, "before", "plan", "rename", "queries", "manifest", "schedule", "metrics", "listen"); err != nil {
		return nil, err
	}
	if err := c.planAlone(fs); err != nil {
		return nil, err
	}
	c.conf = fs.Lookup("conf").Value.String()
	return c, c.finish()
}

// planAlone: a plan holds what was asked for when it was made, and a flag that asks for something else would say nothing.
func (c *config) planAlone(fs *flag.FlagSet) (err error) {
	if c.text.plan == "" {
		return nil
	}
	asks := flag.NewFlagSet("", flag.ContinueOnError)
	(&config{command: c.command}).requestFlags(asks)
	fs.Visit(func(f *flag.Flag) {
		if asks.Lookup(f.Name) != nil {
			err = cli.Usagef("-%s does not go with -plan, which says that already: plan again with it", f.Name)
		}
	})
	return err
}

// flags are those of the command.
func (c *config) flags(fs *flag.FlagSet) error {
	switch c.command {
	case "list":
	case "plan":
		c.requestFlags(fs)
	case "apply":
		c.requestFlags(fs)
		c.followFlags(fs)
		fs.StringVar(&c.text.plan, "plan", "", "`file` of plan -json to apply, instead of planning")
		fs.BoolVar(&c.opts.Detach, "detach", false, "return as soon as the server has taken the restore; attach follows it to its end")
		fs.StringVar(&c.yes, "yes", "", "`name` of the cluster, instead of typing it")
	case "attach":
		fs.StringVar(&c.text.snapshot, "snapshot", "", "`name` of the snapshot that is being restored (required)")
		c.followFlags(fs)
		fs.BoolVar(&c.abandon, "abandon", false, "end the restore instead: what is half restored is deleted")
	case "verify":
		c.requestFlags(fs)
		c.verifyFlags(fs)
		fs.StringVar(&c.text.plan, "plan", "", "`file` of plan -json that was applied")
	case "drill":
		c.selectFlags(fs)
		c.verifyFlags(fs)
		fs.DurationVar(&c.budget, "budget", 0, "longest `time` that restore and verification may take (default no limit)")
		fs.StringVar(&c.metrics, "metrics", "", "`file` for Prometheus, of node_exporter's textfile collector: it ends in .prom")
		fs.StringVar(&c.text.schedule, "schedule", "", "stay, and drill by this cron `expression` of five fields, in UTC, such as \"0 3 * * 0\"")
		fs.DurationVar(&c.jitter, "jitter", 0, "with -schedule: begin up to this `time` later, by chance")
		fs.StringVar(&c.listen, "listen", "", "with -schedule: `address` for /metrics and /healthz, such as :9116")
	default:
		return cli.Usagef("unknown command %q: want %s", c.command, commands)
	}
	return nil
}

// selectFlags choose a snapshot and indices of it.
func (c *config) selectFlags(fs *flag.FlagSet) {
	if c.command == "verify" {
		fs.StringVar(&c.text.snapshot, "snapshot", "", "`name` of the snapshot that was restored (required without -plan)")
	} else {
		fs.StringVar(&c.text.snapshot, "snapshot", "latest", "a `name`; latest, the latest complete one (unless one of the week before holds more than twice as much); or verified, the latest that a drill has restored, which is more than snapshots verify looks at")
		fs.StringVar(&c.text.before, "before", "", "with latest or verified: only snapshots that began at or before this `time` (2006-01-02T15:04:05Z)")
	}
	fs.Func("indices", "`patterns` of indices and data streams, with commas; one with a '-' before it takes away (default nuvla-*)", func(text string) error {
		for p := range strings.SplitSeq(text, ",") {
			c.request.Indices = append(c.request.Indices, strings.TrimSpace(p))
		}
		return nil
	})
	fs.Func("setting", "`NAME=VALUE` of an index setting to replace; no value takes it back to its default; may be repeated", func(text string) error {
		name, value, found := strings.Cut(text, "=")
		if !found {
			return cli.Usagef("%q is not NAME=VALUE", text)
		}
		if c.request.Settings == nil {
			c.request.Settings = map[string]string{}
		}
		c.request.Settings[name] = value
		return nil
	})
	fs.BoolVar(&c.request.Checksums, "checksums", false, "let each shard compare its files with their Lucene checksums when it is opened")
	fs.Float64Var(&c.request.DocumentTolerance, "tolerance", 0.02, "`share` of documents by which an index may differ from the manifest; 0 is none")
	fs.BoolVar(&c.request.AllowPartial, "allow-partial", false, "take a snapshot in which shards are missing, when it is named; indices that miss one are left out")
}

// requestFlags say how to restore.
func (c *config) requestFlags(fs *flag.FlagSet) {
	c.selectFlags(fs)
	fs.IntVar(&c.text.replicas, "replicas", -1, "`number_of_replicas` of the restored indices; -1 is as in the snapshot")
	fs.StringVar(&c.request.RenamePrefix, "rename", "", "restore beside what is there, under each name with this `prefix`")
	fs.BoolVar(&c.request.Replace, "replace", false, "restore in the place of indices that are there, which are deleted when all is proven; data streams are not replaced")
	fs.BoolVar(&c.request.OtherShards, "other-shards", false, "with -replace: an index may be replaced by one of another number of primary shards")
	fs.BoolVar(&c.request.WithoutAliases, "without-aliases", false, "leave aliases out")
	fs.BoolVar(&c.request.GlobalState, "global-state", false, "restore templates, pipelines, policies and persistent settings too, over what is there")
}

func (c *config) followFlags(fs *flag.FlagSet) {
	fs.Int64Var(&c.text.limit, "limit", 0, "`bytes` a second that the limit of recovery of each node is raised to meanwhile, a higher one stays; 0 is 1 GiB, negative leaves the cluster's own")
	fs.BoolVar(&c.opts.KeepGoing, "keep-going", false, "restore the other shards to their end after one has failed")
}

func (c *config) verifyFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.text.queries, "queries", "", "JSON `file` with queries that must find something: [{\"name\":..., \"index\":..., \"query\":{...}, \"min\":1}]")
	fs.StringVar(&c.text.manifest, "manifest", "", "`file` with the snapshot's whole manifest, which backup writes")
}

// finish checks what the flags said. Each error names its flag.
func (c *config) finish() error {
	if c.marks == "" {
		c.marks = conf.Marks(c.timestamp)
	}
	if c.repository == "" || strings.ContainsAny(c.repository, "*, /\\") {
		return cli.Usagef("-repository %q: want the name of one repository", c.repository)
	}
	if c.timeout < 0 || c.budget < 0 || c.jitter < 0 {
		return cli.Usagef("-timeout, -budget and -jitter: want 0 or more")
	}
	if !(c.request.DocumentTolerance < 1) { // NaN too
		return cli.Usagef("-tolerance %v: want a share such as 0.02; from 1 on an empty index would pass", c.request.DocumentTolerance)
	}
	if c.request.DocumentTolerance == 0 {
		c.request.DocumentTolerance = -1 // 0 is the default of a request
	}
	if c.text.replicas < -1 {
		return cli.Usagef("-replicas %d: want 0 or more", c.text.replicas)
	}
	if c.text.replicas >= 0 && slices.Contains([]string{"plan", "apply", "verify"}, c.command) {
		c.request.Replicas = &c.text.replicas
	}
	c.opts.BytesPerSecond = c.text.limit
	if err := c.finishSelection(); err != nil {
		return err
	}
	if err := c.contradictions(); err != nil {
		return err
	}
	if err := c.finishSchedule(); err != nil {
		return err
	}
	return c.files()
}

func (c *config) finishSelection() error {
	if c.text.before != "" {
		at, err := time.Parse(time.RFC3339, c.text.before)
		if err != nil {
			return cli.Usagef("-before %q is not a time: want 2006-01-02T15:04:05Z", c.text.before)
		}
		c.sel.Before = at
	}
	c.sel.AllowPartial = c.request.AllowPartial
	switch name := c.text.snapshot; {
	case c.command == "list":
	case name == "" && c.command == "verify" && c.text.plan != "":
	case name == "" || ((name == "latest" || name == "verified") && (c.command == "attach" || c.command == "verify")):
		return cli.Usagef("-snapshot: name the snapshot, as list shows it")
	case name == "verified":
		c.verified = true
	case name != "latest":
		if (restore.Selector{Name: name}).Validate() != nil {
			return cli.Usagef("-snapshot %q: want one name, without wildcards", name)
		}
		if c.text.before != "" {
			return cli.Usagef("-before goes with -snapshot latest or verified, not with a name")
		}
		c.sel.Name = name
	}
	if c.sel.AllowPartial && c.sel.Name == "" && c.command != "list" {
		return cli.Usagef("-allow-partial goes with the name of a snapshot")
	}
	return nil
}

// contradictions are flags that do not go with each other: one of them would say nothing.
func (c *config) contradictions() error {
	q := c.request
	_, replicas := q.Settings["index.number_of_replicas"]
	_, checks := q.Settings["index.shard.check_on_startup"]
	switch {
	case q.OtherShards && !q.Replace:
		return cli.Usagef("-other-shards goes with -replace")
	case q.RenamePrefix != "" && q.Replace:
		return cli.Usagef("-rename and -replace: want one or the other")
	case q.RenamePrefix != "" && q.GlobalState:
		return cli.Usagef("-rename and -global-state: want one or the other, since that would change what the originals use")
	case replicas && q.Replicas != nil:
		return cli.Usagef("-replicas and -setting index.number_of_replicas: want one or the other")
	case checks && q.Checksums:
		return cli.Usagef("-checksums and -setting index.shard.check_on_startup: want one or the other")
	case c.abandon && (c.text.limit != 0 || c.opts.KeepGoing):
		return cli.Usagef("-limit and -keep-going do not go with -abandon, which ends the restore")
	}
	return nil
}

func (c *config) finishSchedule() (err error) {
	if c.metrics != "" && !strings.HasSuffix(c.metrics, ".prom") {
		return cli.Usagef("-metrics %q: the name must end in .prom, or node_exporter does not read it", c.metrics)
	}
	if c.text.schedule == "" {
		if c.listen != "" || c.jitter != 0 {
			return cli.Usagef("-listen and -jitter go with -schedule")
		}
		return nil
	}
	if c.sel.Name != "" || c.text.manifest != "" {
		return cli.Usagef("-schedule goes with -snapshot latest or verified: a named snapshot, or a manifest, does not change")
	}
	if _, _, err := net.SplitHostPort(c.listen); c.listen != "" && err != nil {
		return cli.Usagef("-listen %q: want HOST:PORT or :PORT", c.listen)
	}
	if c.schedule, err = schedule.Parse(c.text.schedule); err != nil {
		return cli.Usagef("-schedule %q: %v", c.text.schedule, err)
	}
	return nil
}

// files reads what the flags name, so that a mistake shows before anything is touched.
func (c *config) files() error {
	if c.command == "drill" {
		for _, f := range [][2]string{{"marks", c.marks}, {"metrics", c.metrics}} {
			if err := cli.InFolder(f[0], f[1]); err != nil {
				return err
			}
		}
	}
	if c.text.plan != "" {
		c.plan = &restore.Plan{}
		if err := readJSON("-plan", c.text.plan, c.plan); err != nil {
			return err
		}
		if c.plan.Repository != c.repository {
			return cli.Usagef("-plan %s is for repository %q, and -repository is %q", c.text.plan, c.plan.Repository, c.repository)
		}
	}
	if c.text.queries != "" {
		if err := readJSON("-queries", c.text.queries, &c.queries); err != nil {
			return err
		}
		if len(c.queries) == 0 {
			return cli.Usagef("-queries %s holds no query", c.text.queries)
		}
	}
	if c.text.manifest != "" {
		var err error
		if c.manifest, err = snapshot.ReadManifest(c.text.manifest); err != nil {
			return cli.Usagef("-manifest: %v", err)
		}
	}
	request := c.request
	if request.Snapshot = "chosen-later"; c.plan == nil && c.command != "list" && c.command != "attach" {
		if err := request.Validate(); err != nil {
			return cli.Usagef("-indices, -setting, -rename or -replace: %v", err)
		}
	}
	return nil
}

func readJSON(name, path string, into any) error {
	raw, err := cli.ReadFile(path)
	if err != nil {
		return cli.Usagef("%s: %v", name, err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return cli.Usagef("%s %s: %v", name, path, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return cli.Usagef("%s %s: something follows what was read: want one JSON value", name, path)
	}
	return nil
}
