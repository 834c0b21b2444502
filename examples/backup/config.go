package main

import (
	_ "embed"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/conf"
	"github.com/nuvla/nuvlaops/examples/internal/schedule"
	"github.com/nuvla/nuvlaops/snapshot"
)

//go:embed main.go
var about string // its comment is the help

// config is what flags, environment and file said, checked.
type config struct {
	es             string
	repository     string
	repositoryFile string
	allowUnknown   bool // settings in repositoryFile
	settings       *snapshot.Settings
	create         snapshot.CreateRequest
	policy         snapshot.Policy
	timestamp      string
	metrics        string
	marks          string
	manifests      string
	lock           string
	schedule       *schedule.Schedule
	jitter         time.Duration
	listen         string
	timeout        time.Duration
	json, progress bool

	file, scheduleText, whenBusy, log string // as they were given
}

// parse reads the configuration file, the environment and the arguments, each above the one before.
func parse(args []string, lookup func(string) (string, bool), stderr io.Writer) (*config, error) {
	c := &config{}
	fs := cli.FlagSet("backup", about, stderr)
	c.flags(fs)
	if err := conf.Preset(fs, args, lookup, true); err != nil {
		return nil, err
	}
	if err := cli.Parse(fs, args); err != nil {
		return nil, err
	}
	return c, c.finish()
}

func (c *config) flags(fs *flag.FlagSet) {
	text := func(to *string, name, value, usage string) {
		fs.StringVar(to, name, value, usage+" ["+conf.Key(name)+"]")
	}
	period := func(to *time.Duration, name string, value time.Duration, usage string) {
		fs.DurationVar(to, name, value, usage+" ["+conf.Key(name)+"]")
	}
	yes := func(to *bool, name, usage string) { fs.BoolVar(to, name, false, usage+" ["+conf.Key(name)+"]") }
	text(&c.file, "conf", "", "configuration `file` of KEY=value lines (default "+conf.DefaultFile+" if it is there)")
	text(&c.es, "es", "", "`address` of Elasticsearch (default http://ES_HOST:ES_PORT, localhost:9200)")
	text(&c.repository, "repository", "s3_backup", "`name` of the snapshot repository")
	text(&c.repositoryFile, "repository-file", "", "JSON `file` with the repository's type and settings, which is then kept registered so (default: it is registered already)")
	yes(&c.allowUnknown, "allow-unknown-settings", cli.RepositoryUsage)
	fs.Func("indices", "`patterns` of indices, with commas ["+conf.Key("indices")+"] (default nuvla-*)", cli.List(&c.create.Indices))
	text(&c.create.Prefix, "prefix", snapshot.DefaultPrefix, "what the names of snapshots begin with")
	yes(&c.create.GlobalState, "global-state", "take templates, policies and persistent settings too")
	yes(&c.create.Partial, "partial", "take a snapshot also when primary shards are missing, which is a failure all the same")
	yes(&c.create.Abort, "abort", "delete the snapshot when the time is over or on a signal, instead of leaving it running")
	text(&c.whenBusy, "when-busy", "wait", "when another backup runs on this host or in the repository: wait, refuse, or go beside the one in the repository")
	period(&c.create.BusyTimeout, "busy-timeout", 30*time.Minute, "longest `time` to wait for another backup")
	period(&c.timeout, "timeout", 6*time.Hour, "longest `time` for one backup, 0 for no limit")
	text(&c.timestamp, "timestamp", conf.DefaultTimestamp, "`file` that is touched when a snapshot was seen complete")
	text(&c.metrics, "metrics", "", "`file` for Prometheus, of node_exporter's textfile collector: it ends in .prom")
	text(&c.marks, "marks", "", "`file` with pins and verified drills (default: nuvla-es-backup-marks.json beside the timestamp file)")
	text(&c.manifests, "manifests", "", "`folder` for the whole manifest of each snapshot, as NAME.json")
	text(&c.lock, "lock", "", "`file` that keeps a second backup of this repository out of this host, and says which began last (default in /run/lock, else in the temporary folder)")
	text(&c.scheduleText, "schedule", "", "stay, and run by this cron `expression` of five fields, in UTC, such as \"30 * * * *\"")
	period(&c.jitter, "jitter", 0, "with -schedule: begin up to this `time` later, by chance")
	text(&c.listen, "listen", "", "with -schedule: `address` for /metrics and /healthz, such as :9115")
	text(&c.log, "log", "text", "lines as text, or as json")
	yes(&c.progress, "progress", "show progress on standard error")
	cli.RetentionFlags(fs, &c.policy, func(name string) string { return " [" + conf.Key(name) + "]" })
}

// finish checks what was said. Each error names its flag.
func (c *config) finish() error {
	switch c.whenBusy {
	case "wait":
		c.create.WhenBusy = snapshot.BusyWait
	case "refuse":
		c.create.WhenBusy = snapshot.BusyRefuse
	case "beside":
		c.create.WhenBusy = snapshot.BusyBeside
	default:
		return cli.Usagef("-when-busy %q: want wait, refuse or beside", c.whenBusy)
	}
	if c.log != "text" && c.log != "json" {
		return cli.Usagef("-log %q: want text or json", c.log)
	}
	c.json = c.log == "json"
	switch {
	case c.timeout < 0:
		return cli.Usagef("-timeout %s: want 0 or more", c.timeout)
	case c.create.BusyTimeout <= 0:
		return cli.Usagef("-busy-timeout %s: want more than 0", c.create.BusyTimeout)
	case c.create.Prefix == "": // the snapshots would have the default one, and the rules be about all names
		return cli.Usagef("-prefix is empty: want what the names of snapshots begin with")
	case c.timestamp == "":
		return cli.Usagef("-timestamp is empty: want a file")
	case c.metrics != "" && !strings.HasSuffix(c.metrics, ".prom"):
		return cli.Usagef("-metrics %q: the name must end in .prom, or node_exporter does not read it", c.metrics)
	}
	if err := c.create.Validate(); err != nil {
		return fmt.Errorf("%w: -prefix: %w", cli.ErrUsage, err)
	}
	if err := c.finishSchedule(); err != nil {
		return err
	}
	if c.marks == "" {
		c.marks = conf.Marks(c.timestamp)
	}
	c.policy.Prefix = c.create.Prefix
	if c.retains() {
		if err := cli.CheckRetention(c.policy); err != nil {
			return err
		}
	}
	if c.lock == "" {
		c.lock = filepath.Join(lockFolder(), "nuvla-es-backup-"+c.repository+".lock")
	}
	return c.files()
}

func (c *config) finishSchedule() error {
	if c.scheduleText == "" {
		if c.listen != "" || c.jitter != 0 {
			return cli.Usagef("-listen and -jitter go with -schedule")
		}
		return nil
	}
	var err error
	if c.schedule, err = schedule.Parse(c.scheduleText); err != nil {
		return cli.Usagef("-schedule %q: %v", c.scheduleText, err)
	}
	if c.jitter < 0 {
		return cli.Usagef("-jitter %s: want 0 or more", c.jitter)
	}
	if _, _, err := net.SplitHostPort(c.listen); c.listen != "" && err != nil {
		return cli.Usagef("-listen %q: want HOST:PORT or :PORT", c.listen)
	}
	return nil
}

// retains reports whether anything was said about what to keep: nothing is removed otherwise.
func (c *config) retains() bool {
	p := c.policy
	return p.Last != 0 || p.Hourly != 0 || p.Daily != 0 || p.Weekly != 0 || p.Monthly != 0 || p.Yearly != 0 || p.Within != 0 ||
		p.MinComplete != 0 || p.MaxDelete != 0 || p.Others || len(p.Pins) > 0
}

// lockFolder is one that every user may write to.
func lockFolder() string {
	const run = "/run/lock"
	if info, err := os.Stat(run); err == nil && info.IsDir() && info.Mode()&0o002 != 0 {
		return run
	}
	return os.TempDir()
}

// files reads what the flags name, so that a mistake shows before anything is touched.
func (c *config) files() error {
	for _, f := range [][2]string{{"timestamp", c.timestamp}, {"marks", c.marks}, {"metrics", c.metrics}} {
		if err := cli.InFolder(f[0], f[1]); err != nil {
			return err
		}
	}
	if c.manifests != "" {
		if info, err := os.Stat(c.manifests); err != nil || !info.IsDir() {
			return cli.Usagef("-manifests %s is no folder", c.manifests)
		}
	}
	if c.repositoryFile == "" && c.allowUnknown {
		return cli.Usagef("-allow-unknown-settings goes with -repository-file")
	}
	if c.repositoryFile == "" {
		return nil
	}
	settings, err := cli.ReadRepository(c.repositoryFile, c.allowUnknown)
	if err == nil && settings.ReadOnly {
		err = cli.Usagef("-repository-file %s: readonly is true, so nothing can be backed up to it", c.repositoryFile)
	}
	c.settings = &settings
	return err
}

func (c *config) client() (snapshot.Client, error) { return cli.Elasticsearch(c.es) }
