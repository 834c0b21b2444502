package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/snapshot"
)

// config is what the operator said, checked.
type config struct {
	es, zk, api    string
	repository     string
	settings       snapshot.Settings
	snapshot       string
	before         time.Time
	indices        []string
	replicas       *int
	db, core       string
	dbCompose      string
	coreCompose    string
	yes            string
	planOnly       bool
	journal        string
	reportFile     string
	timeout        time.Duration
	repositoryFile string
}

func parse(args []string, stderr io.Writer) (*config, error) {
	c := &config{}
	var before, indices string
	var replicas int
	fs := flag.NewFlagSet("disaster-recovery", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&c.es, "es", "http://localhost:9200", "address of Elasticsearch, before and after; credentials by ES_API_KEY, or ES_USERNAME and ES_PASSWORD")
	fs.StringVar(&c.zk, "zk", "localhost:2181", "ZooKeeper as host:port, several with commas")
	fs.StringVar(&c.api, "api", "", "URL that answers 200 when the api works, such as http://HOST/api/cloud-entry-point (default: not asked)")
	fs.StringVar(&c.repository, "repository", "s3_backup", "name of the snapshot repository")
	fs.StringVar(&c.repositoryFile, "repository-file", "", "JSON file with the repository's type and settings, as sent to PUT _snapshot/NAME (required)")
	fs.StringVar(&c.snapshot, "snapshot", "latest", "snapshot to restore: a name, or latest (the latest complete one)")
	fs.StringVar(&before, "before", "", "with -snapshot latest: only snapshots that began at or before this time (2006-01-02T15:04:05Z)")
	fs.StringVar(&indices, "indices", "nuvla-*", "patterns of the indices to restore, with commas")
	fs.IntVar(&replicas, "replicas", -1, "number_of_replicas of the restored indices (default: as in the snapshot)")
	fs.StringVar(&c.db, "db", "db", "stack of the databases, with the services es and zk")
	fs.StringVar(&c.core, "core", "nuvla", "stack of the core, with the services api, ui, job-executor and job-distributor")
	fs.StringVar(&c.dbCompose, "db-compose", "", "compose file of the database stack (needed when its services are gone)")
	fs.StringVar(&c.coreCompose, "core-compose", "", "compose file of the core stack (needed when its services are gone)")
	fs.StringVar(&c.yes, "yes", "", "name of the database stack, instead of typing it")
	fs.BoolVar(&c.planOnly, "plan", false, "show what would be done, and stop")
	fs.StringVar(&c.journal, "journal", "", "file that a broken-off recovery is taken up from (default: nuvla-recovery-STACK.json in the temporary folder)")
	fs.StringVar(&c.reportFile, "report", "", "file for the report as JSON (default: none)")
	fs.DurationVar(&c.timeout, "timeout", 2*time.Hour, "end after this time")
	if err := cli.Parse(fs, args); err != nil {
		return nil, err
	}
	return c, c.finish(before, indices, replicas)
}

// finish checks what the flags said. Each error names its flag.
func (c *config) finish(before, indices string, replicas int) error {
	if c.snapshot == "latest" {
		c.snapshot = ""
	}
	if before != "" {
		at, err := time.Parse(time.RFC3339, before)
		if err != nil {
			return cli.Usagef("-before %q is not a time: want 2006-01-02T15:04:05Z", before)
		}
		if c.snapshot != "" {
			return cli.Usagef("-before goes with -snapshot latest, not with a name")
		}
		c.before = at
	}
	if replicas < -1 {
		return cli.Usagef("-replicas %d: want 0 or more", replicas)
	}
	if replicas >= 0 {
		c.replicas = &replicas
	}
	for name := range strings.SplitSeq(indices, ",") {
		if name = strings.TrimSpace(name); name != "" {
			c.indices = append(c.indices, name)
		}
	}
	if len(c.indices) == 0 {
		return cli.Usagef("-indices is empty: want patterns such as nuvla-*")
	}
	if c.db == "" || c.core == "" || c.db == c.core {
		return cli.Usagef("-db %q and -core %q: want the names of two stacks", c.db, c.core)
	}
	if u, err := url.Parse(c.api); c.api != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
		return cli.Usagef("-api %q is not an http URL", c.api)
	}
	if c.timeout <= 0 {
		return cli.Usagef("-timeout %s: want more than 0", c.timeout)
	}
	if c.journal == "" {
		c.journal = filepath.Join(os.TempDir(), "nuvla-recovery-"+c.db+".json")
	}
	return c.files()
}

// files reads what the flags name, so that a mistake shows before anything is touched.
func (c *config) files() error {
	if c.repositoryFile == "" {
		return cli.Usagef("-repository-file is missing: want a JSON file such as {\"type\":\"s3\",\"settings\":{\"bucket\":\"nuvla-es-backup\",\"endpoint\":\"https://...\"}}")
	}
	raw, err := os.ReadFile(c.repositoryFile)
	if err != nil {
		return cli.Usagef("-repository-file: %v", err)
	}
	if err := json.Unmarshal(raw, &c.settings); err != nil {
		return cli.Usagef("-repository-file %s: %v", c.repositoryFile, err)
	}
	if err := c.settings.Validate(); err != nil {
		return fmt.Errorf("%w: -repository-file %s: %w", cli.ErrUsage, c.repositoryFile, err)
	}
	for _, f := range []struct{ flag, path string }{{"-db-compose", c.dbCompose}, {"-core-compose", c.coreCompose}} {
		if f.path == "" {
			continue
		}
		if _, err := os.Stat(f.path); err != nil {
			return cli.Usagef("%s: %v", f.flag, err)
		}
	}
	return nil
}

// zkHosts are the hosts of ZooKeeper.
func (c *config) zkHosts() []string { return strings.Split(c.zk, ",") }

// key says what a recovery is about: a journal is taken up only by the same one.
func (c *config) key() string {
	raw, _ := json.Marshal([]any{c.es, c.zk, c.repository, c.snapshot, c.before, c.indices, c.replicas, c.db, c.core})
	return string(raw)
}
