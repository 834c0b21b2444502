package main

import (
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/stack"
)

//go:embed main.go
var about string // its comment is the help

// config is what the operator said, checked.
type config struct {
	es, zk, api    string
	zookeeper      zookeeper // that -zk and the flags of its connection mean
	repository     string
	repositoryFile string
	allowUnknown   bool // settings in repositoryFile
	settings       snapshot.Settings
	snapshot       string
	before         time.Time
	indices        []string
	replicas       *int

	db, core, network      string // production is what a drill copies: then db and network are the drill's own
	production             string
	dbCompose, coreCompose string
	engines                map[string]string
	job                    stack.NodeJob

	only, from string
	skip       []string
	keepOld    string
	drill      bool
	copied     []string // services of the core that a drill copies too
	copiedAPI  string   // what the copy of api answers with 200, as :PORT/PATH

	yes            string
	planOnly, json bool
	journal        string
	reportFile     string
	htmlFile       string
	metricsFile    string
	budget         report.Budget
	timeout        time.Duration
}

// raw is what flags hold before it is checked.
type raw struct {
	before, indices, budget string
	replicas                int
	zk                      cli.ZooKeeper
}

func parse(args []string, stderr io.Writer) (*config, error) {
	c, r := &config{engines: map[string]string{}}, raw{}
	fs := cli.FlagSet("disaster-recovery", about, stderr)
	c.dataFlags(fs, &r)
	c.stackFlags(fs)
	c.runFlags(fs, &r)
	if err := cli.Parse(fs, args); err != nil {
		return nil, err
	}
	if err := cli.NotEmpty(fs, "snapshot", "before", "only", "from", "keep-old"); err != nil {
		return nil, err
	}
	for _, name := range []string{"snapshot", "before", "indices", "replicas"} {
		if c.only == onlyZK && cli.Given(fs, name) {
			return nil, cli.Usagef("-%s does not go with -only zookeeper: no snapshot is restored, the queue is rebuilt from the Elasticsearch that lives", name)
		}
	}
	return c, c.finish(r)
}

func (c *config) dataFlags(fs *flag.FlagSet, r *raw) {
	fs.StringVar(&c.es, "es", "http://localhost:9200", "`address` of Elasticsearch, before and after; a drill reaches its copy at port 9200 without TLS; credentials by ES_API_KEY, or ES_USERNAME and ES_PASSWORD")
	fs.StringVar(&c.zk, "zk", "localhost:2181", "ZooKeeper as `host:port`, several with commas, the last perhaps with a /chroot; a drill reaches its copy at port 2181 without TLS")
	r.zk.Flags(fs)
	fs.StringVar(&c.api, "api", "", "`URL` that answers 200 when the api works, such as http://HOST/api/cloud-entry-point (default: not asked)")
	fs.StringVar(&c.repository, "repository", "s3_backup", "`name` of the snapshot repository")
	fs.StringVar(&c.repositoryFile, "repository-file", "", "JSON `file` with the repository's type and settings, as sent to PUT _snapshot/NAME (required, but for -only zookeeper)")
	fs.BoolVar(&c.allowUnknown, "allow-unknown-settings", false, cli.RepositoryUsage)
	fs.StringVar(&c.snapshot, "snapshot", "latest", "snapshot to restore: a `name`, or latest (the latest complete one, unless one of the week before holds more than twice as much: then name it)")
	fs.StringVar(&r.before, "before", "", "with -snapshot latest: only snapshots that began at or before this `time` (2006-01-02T15:04:05Z)")
	fs.StringVar(&r.indices, "indices", "nuvla-*", "`patterns` of the indices to restore, with commas; one with a '-' before it takes away")
	fs.IntVar(&r.replicas, "replicas", -1, "`number_of_replicas` of the restored indices; -1 is as in the snapshot")
}

func (c *config) stackFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.db, "db", "db", "`stack` of the databases, the services es and zk; whatever else is in it is left alone")
	fs.StringVar(&c.core, "core", "nuvla", "`stack` of the core, with the services api, ui, job-executor and job-distributor; the same as -db where all are in one stack")
	fs.StringVar(&c.dbCompose, "db-compose", "", "compose `file` of the database stack (needed when its services are gone)")
	fs.StringVar(&c.coreCompose, "core-compose", "", "compose `file` of the core stack (needed when its services are gone)")
	fs.Func("engine", "`NODE=ADDRESS` of another node's engine, where volumes of the databases may be; may be repeated", func(text string) error {
		node, address, found := strings.Cut(text, "=")
		if !found || node == "" || address == "" {
			return fmt.Errorf("%q is not NODE=ADDRESS", text)
		}
		c.engines[node] = address
		return nil
	})
	fs.StringVar(&c.job.Image, "job-image", "", "`image` of these programs, to reach the volumes on nodes without -engine by a job on each")
	fs.StringVar(&c.job.Socket, "job-socket", "", "`path` of the engine's socket on those nodes (default /var/run/docker.sock)")
	fs.StringVar(&c.keepOld, "keep-old", "", "`folder` to archive the volumes to before they are removed, those of other nodes through -engine (default: not kept)")
}

func (c *config) runFlags(fs *flag.FlagSet, r *raw) {
	fs.StringVar(&c.only, "only", "", "recover one database alone: `elasticsearch or zookeeper`")
	fs.Func("skip", "leave out a `step`; may be repeated. Steps: "+strings.Join(stepNames, ", "), func(text string) error {
		for name := range strings.SplitSeq(text, ",") {
			c.skip = append(c.skip, strings.TrimSpace(name))
		}
		return nil
	})
	fs.StringVar(&c.from, "from", "", "leave out the steps before this `step`, and run it and those after it again")
	fs.BoolVar(&c.drill, "drill", false, "recover a copy of the database stack that is there, named STACK-drill, and remove it; production is only read, compose files are not")
	fs.StringVar(&c.network, "drill-network", "", "`network` of the drill's own (default: STACK-drill-net, made and removed); name one that is there when the S3 server is reached by it")
	fs.Func("drill-services", "`services` of the core that a drill copies and starts too, with commas, or all: all but job-executor and job-distributor, which would run the recovered jobs on real machines, and must be named (default: none, since what a copy does to the world outside is not known here)", func(text string) error {
		for name := range strings.SplitSeq(text, ",") {
			c.copied = append(c.copied, strings.TrimSpace(name))
		}
		return nil
	})
	fs.StringVar(&c.copiedAPI, "drill-api", "", "`:PORT/PATH` that the copy of api answers with 200 when it works, such as :8200/api/cloud-entry-point; its image must have bash and cat (default: not asked)")
	fs.StringVar(&c.yes, "yes", "", "`name` of the database stack, of a drill STACK-drill, instead of typing it")
	fs.BoolVar(&c.planOnly, "plan", false, "show what would be done, and stop; -report, -html and -metrics are not written")
	fs.BoolVar(&c.json, "json", false, "with -plan: print the plan as JSON")
	fs.StringVar(&c.journal, "journal", "", "`file` that a broken-off recovery is taken up from by a call with the same flags, for a day after its last step (default: nuvla-recovery-STACK.json in the temporary folder)")
	fs.StringVar(&c.reportFile, "report", "", "`file` for the report as JSON (default: none)")
	fs.StringVar(&c.htmlFile, "html", "", "`file` for the report as one HTML page (default: none)")
	fs.StringVar(&c.metricsFile, "metrics", "", "`file` for node_exporter's textfile collector, ending in .prom; a drill wants another one (default: none)")
	fs.StringVar(&r.budget, "budget", "", "how long the recovery, and steps of it, may take, as `30m,restore=20m,queue=1m`: shown in the report (default: none)")
	fs.DurationVar(&c.timeout, "timeout", 2*time.Hour, "end after this `duration`; there is always a limit")
}

// key says what a recovery is about: a journal is taken up only by the same one.
func (c *config) key() string {
	raw, _ := json.Marshal([]any{c.es, c.zk, c.repository, c.store(), c.snapshot, c.before, c.indices, c.replicas, c.db, c.core, c.only, c.keepOld, c.copied})
	return string(raw)
}

// store is where the snapshots are.
func (c *config) store() []string {
	switch s := c.settings; {
	case s.S3 != nil:
		return []string{s.S3.Endpoint, s.S3.Bucket, s.S3.BasePath, s.S3.Client}
	case s.FS != nil:
		return []string{s.FS.Location}
	}
	return nil
}

// stackOptions lead to the engines.
func (c *config) stackOptions() *stack.Options {
	options := &stack.Options{Engines: c.engines}
	if c.job.Image != "" {
		options.Job = &c.job
	}
	return options
}
