package main

import (
	"cmp"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/restore"
)

// finish checks what the flags said. Each error names its flag.
func (c *config) finish(r raw) error {
	for _, check := range []func(raw) error{c.checkZooKeeper, c.checkSnapshot, c.checkStacks, c.checkRun} {
		if err := check(r); err != nil {
			return err
		}
	}
	return c.files()
}

func (c *config) checkZooKeeper(r raw) (err error) {
	c.zookeeper, err = newZooKeeper(c.zk, r.zk)
	return err
}

func (c *config) checkSnapshot(r raw) error {
	if c.snapshot == "latest" {
		c.snapshot = ""
	}
	if (restore.Selector{Name: c.snapshot}).Validate() != nil {
		return cli.Usagef("-snapshot %q: want one name, without wildcards", c.snapshot)
	}
	if r.before != "" {
		at, err := time.Parse(time.RFC3339, r.before)
		if err != nil {
			return cli.Usagef("-before %q is not a time: want 2006-01-02T15:04:05Z", r.before)
		}
		if c.snapshot != "" {
			return cli.Usagef("-before goes with -snapshot latest, not with a name")
		}
		c.before = at
	}
	if r.replicas < -1 {
		return cli.Usagef("-replicas %d: want 0 or more", r.replicas)
	}
	if r.replicas >= 0 {
		c.replicas = &r.replicas
	}
	for name := range strings.SplitSeq(r.indices, ",") {
		if name = strings.TrimSpace(name); name != "" {
			c.indices = append(c.indices, name)
		}
	}
	if len(c.indices) == 0 {
		return cli.Usagef("-indices is empty: want patterns such as nuvla-*")
	}
	if err := c.request("chosen-later").Validate(); err != nil {
		return cli.Usagef("-indices: %v", err)
	}
	return nil
}

func (c *config) checkStacks(raw) error {
	if c.db == "" || c.core == "" {
		return cli.Usagef("-db %q and -core %q: want the names of the stacks, which may be one", c.db, c.core)
	}
	if c.oneStack() {
		c.dbCompose, c.coreCompose = cmp.Or(c.dbCompose, c.coreCompose), cmp.Or(c.coreCompose, c.dbCompose)
	}
	if u, err := url.Parse(c.api); c.api != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
		return cli.Usagef("-api is not an http URL") // which may have a password in it
	}
	if c.job.Socket != "" && c.job.Image == "" {
		return cli.Usagef("-job-socket goes with -job-image")
	}
	if err := c.checkDrill(); err != nil {
		return err
	}
	if c.keepOld != "" {
		if info, err := os.Stat(c.keepOld); err != nil || !info.IsDir() {
			return cli.Usagef("-keep-old %s: want a folder that is there", c.keepOld)
		}
	}
	return nil
}

// checkDrill gives a drill names of its own.
func (c *config) checkDrill() error {
	if !c.drill {
		for flag, given := range map[string]bool{"-drill-network": c.network != "", "-drill-services": c.copied != nil, "-drill-api": c.copiedAPI != ""} {
			if given {
				return cli.Usagef("%s goes with -drill", flag)
			}
		}
		return nil
	}
	if c.only != "" || c.from != "" || len(c.skip) > 0 || c.keepOld != "" || c.api != "" {
		return cli.Usagef("-drill recovers the whole of both databases: -only, -from, -skip, -keep-old and -api do not go with it")
	}
	if c.job.Image != "" {
		return cli.Usagef("-drill reaches its copy on another node through that node's engine: give -engine, not -job-image")
	}
	if slices.Contains(c.copied, "") || slices.Contains(c.copied, "all") && len(c.copied) > 1 {
		return cli.Usagef("-drill-services %q: want names, or all", strings.Join(c.copied, ","))
	}
	if len(c.copied) > 0 && c.oneStack() {
		return cli.Usagef("-drill-services goes with a core that is a stack of its own")
	}
	if err := c.checkCopiedAPI(); err != nil {
		return err
	}
	c.production, c.db = c.db, c.db+"-drill"
	if c.network == "" {
		c.network = c.db + "-net"
	}
	return nil
}

func (c *config) checkCopiedAPI() error {
	if c.copiedAPI == "" {
		return nil
	}
	if !slices.Contains(c.copied, "api") && !slices.Contains(c.copied, "all") {
		return cli.Usagef("-drill-api goes with -drill-services api")
	}
	port, _, _ := strings.Cut(strings.TrimPrefix(c.copiedAPI, ":"), "/")
	if n, err := strconv.Atoi(port); !strings.HasPrefix(c.copiedAPI, ":") || err != nil || n < 1 || n > 65535 {
		return cli.Usagef("-drill-api %q: want :PORT/PATH, such as :8200/api/cloud-entry-point", c.copiedAPI)
	}
	return nil
}

func (c *config) checkRun(r raw) (err error) {
	if c.timeout <= 0 {
		return cli.Usagef("-timeout %s: want more than 0", c.timeout)
	}
	if c.json && !c.planOnly {
		return cli.Usagef("-json goes with -plan; the report as JSON is written with -report")
	}
	if c.only != "" && c.only != onlyES && c.only != onlyZK {
		return cli.Usagef("-only %q: want %s or %s", c.only, onlyES, onlyZK)
	}
	for _, name := range c.skip {
		if err := knownStep("-skip", name); err != nil {
			return err
		}
	}
	if c.from != "" {
		if err := knownStep("-from", c.from); err != nil {
			return err
		}
	}
	if c.metricsFile != "" && !strings.HasSuffix(c.metricsFile, ".prom") {
		return cli.Usagef("-metrics %s: want a name that ends in .prom, or node_exporter does not read it", c.metricsFile)
	}
	if c.budget, err = report.ParseBudget(r.budget, stepNames); err != nil {
		return cli.Usagef("-budget: %v", err)
	}
	if c.journal == "" {
		c.journal = filepath.Join(os.TempDir(), "nuvla-recovery-"+c.db+".json")
	}
	return nil
}

// files reads what the flags name, so that a mistake shows before anything is touched.
func (c *config) files() error {
	if err := c.readRepository(); err != nil {
		return err
	}
	for _, f := range []struct{ flag, path string }{{"-db-compose", c.dbCompose}, {"-core-compose", c.coreCompose}} {
		if f.path == "" {
			continue
		}
		if _, err := os.Stat(f.path); err != nil {
			return cli.Usagef("%s: %v", f.flag, err)
		}
	}
	for _, f := range [][2]string{{"journal", c.journal}, {"report", c.reportFile}, {"html", c.htmlFile}, {"metrics", c.metricsFile}} {
		if err := cli.InFolder(f[0], f[1]); err != nil {
			return err
		}
	}
	return nil
}

func (c *config) readRepository() error {
	if c.allowUnknown && c.repositoryFile == "" {
		return cli.Usagef("-allow-unknown-settings goes with -repository-file")
	}
	if c.repositoryFile == "" && c.only == onlyZK {
		return nil
	}
	if c.repositoryFile == "" {
		return cli.Usagef("-repository-file is missing: want a JSON file such as {\"type\":\"s3\",\"settings\":{\"bucket\":\"nuvla-es-backup\",\"endpoint\":\"https://...\"}}")
	}
	var err error
	c.settings, err = cli.ReadRepository(c.repositoryFile, c.allowUnknown)
	return err
}
