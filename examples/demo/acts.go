package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/poll"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/stack"
)

func (d *demo) fill(ctx context.Context) error {
	q, err := openQueue(ctx, d.platform.zk)
	if err != nil {
		return err
	}
	defer q.conn.Close()
	d.seeded, err = seed(ctx, d.platform.client, q, newPopulation(d.seed, d.now()), d.documents, d.jobs, d.screen.Progress)
	if err != nil {
		return err
	}
	for _, index := range slices.Sorted(maps.Keys(d.seeded.documents)) {
		d.screen.Printf("%-24s %6d documents", index, d.seeded.documents[index])
	}
	for _, priority := range slices.Sorted(maps.Keys(d.seeded.open)) {
		d.screen.Printf("queue, priority %03d      %6d jobs", priority, d.seeded.open[priority])
	}
	return nil
}

func (d *demo) startCore(ctx context.Context) error {
	p := &d.platform
	if err := p.controller.Deploy(ctx, p.core, stack.DeployOptions{Files: []string{p.file("nuvla.yml")}}); err != nil {
		return err
	}
	return p.controller.Start(ctx, p.core, stack.StartOptions{
		Probes:   map[string]func(context.Context) error{"api": d.apiServes},
		Progress: d.screen.Progress,
	})
}

func (d *demo) apiServes(ctx context.Context) error {
	var answer map[string]any
	return d.askAPI(ctx, "/api/cloud-entry-point", &answer)
}

func (d *demo) backUp(ctx context.Context) error {
	repo, err := snapshot.New(d.platform.client, repository, nil)
	if err != nil {
		return err
	}
	if _, err := repo.Ensure(ctx, d.settings()); err != nil {
		return err
	}
	d.screen.Printf("repository %s is registered and verified", repository)
	before, err := d.openJobs(ctx)
	if err != nil {
		return err
	}
	s, err := repo.Create(ctx, snapshot.CreateRequest{Progress: d.screen.Progress})
	if err != nil {
		return err
	}
	after, err := d.openJobs(ctx)
	if err != nil {
		return err
	}
	d.openAtSnapshot = span{after, before}
	d.screen.Printf("snapshot %s: %s, %d shards of %d indices; %d open jobs at its start", s.Name, s.State, s.Shards.Successful, len(s.Indices), before)
	return nil
}

// span is a range of counts, both ends included.
type span struct{ min, max int }

// openJobs counts the jobs that belong on the queue, from their documents.
func (d *demo) openJobs(ctx context.Context) (int, error) {
	if err := es.Send(ctx, d.platform.client, esapi.IndicesRefreshRequest{Index: []string{jobIndex}}, nil); err != nil {
		return 0, err
	}
	const query = `{"query":{"bool":{"filter":[{"terms":{"state":["QUEUED","RUNNING"]}}],"must_not":[{"term":{"execution-mode":"pull"}},{"term":{"tags":"monitor"}}]}}}`
	var answer struct {
		Count int `json:"count"`
	}
	err := es.Send(ctx, d.platform.client, esapi.CountRequest{Index: []string{jobIndex}, Body: strings.NewReader(query)}, &answer)
	return answer.Count, err
}

// empties are commands that empty the volumes of the databases under them.
var empties = map[string]string{
	"es": "find /usr/share/elasticsearch/data -mindepth 1 -delete; true",
	"zk": "find /data /datalog -mindepth 1 -delete; true",
}

// destroy empties the volumes of both databases under them and kills them, as a broken disk does.
func (d *demo) destroy(ctx context.Context) error {
	for service, command := range empties {
		if err := d.ruin(ctx, service, command); err != nil {
			return err
		}
		d.screen.Printf("%s_%s: data deleted, server killed", d.platform.db, service)
	}
	return d.waitForTheEmptyOne(ctx)
}

// ruin runs a command as root in the container of a database, and kills it.
func (d *demo) ruin(ctx context.Context, service, command string) error {
	id, err := d.containerOf(ctx, service)
	if err != nil {
		return err
	}
	if _, err := d.atDatabases(ctx, "exec", "--user", "0", id, "sh", "-c", command); err != nil {
		return err
	}
	_, err = d.atDatabases(ctx, "kill", id)
	return err
}

// containerOf is the id of the one container of a database that runs.
func (d *demo) containerOf(ctx context.Context, service string) (string, error) {
	id, err := d.atDatabases(ctx, "ps", "--quiet", "--no-trunc", "--filter", "label=com.docker.swarm.service.name="+d.platform.db+"_"+service)
	if err == nil && (id == "" || strings.Contains(id, "\n")) {
		err = fmt.Errorf("want one container of service %s, found %q", service, id)
	}
	return id, err
}

// waitFor waits until a probe succeeds.
func (d *demo) waitFor(ctx context.Context, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	return poll.Until(ctx, poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := probe(try); err != nil {
			return false, err.Error(), nil
		}
		return true, "", nil
	})
}

// waitForTheEmptyOne: the Swarm starts a killed database again by itself, and an empty Elasticsearch is green.
func (d *demo) waitForTheEmptyOne(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	return poll.Until(ctx, poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		var health struct {
			Status string `json:"status"`
			Shards int    `json:"active_primary_shards"`
		}
		if err := es.Send(ctx, d.platform.client, esapi.ClusterHealthRequest{}, &health); err != nil {
			return false, err.Error(), nil
		}
		if health.Shards > 0 {
			return false, "", fmt.Errorf("it still has %d primaries", health.Shards)
		}
		d.screen.Printf("the Swarm has started Elasticsearch again: it says %q, and it is empty", health.Status)
		return true, "", nil
	})
}

// recover runs the operator's program to its end.
func (d *demo) recover(ctx context.Context) error {
	runtime.LockOSThread() // see ownGroup
	defer runtime.UnlockOSThread()
	cmd := d.recovery(ctx)
	d.screen.Text("$ " + filepath.Base(cmd.Path) + " " + strings.Join(cmd.Args[1:], " ") + "\n")
	cmd.Stdout, cmd.Stderr = cli.Behind(d.stdout), cli.Behind(d.stderr)
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exit):
		return fmt.Errorf("disaster-recovery ended with exit code %d", exit.ExitCode())
	}
	return err
}

// recovery is the operator's program with what an operator has at hand; more arguments come last and win.
func (d *demo) recovery(ctx context.Context, more ...string) *exec.Cmd {
	p := &d.platform
	if d.reportFile == "" {
		d.reportFile = p.file("report.json")
	}
	args := []string{
		"-es", "http://" + p.es, "-zk", p.zk, "-api", "http://" + p.api + "/api/cloud-entry-point",
		"-repository", repository, "-repository-file", p.file("repo.json"),
		"-db", p.db, "-core", p.core, "-db-compose", p.file("db.yml"), "-core-compose", p.file("nuvla.yml"),
		"-journal", p.file("journal.json"), "-report", d.reportFile, "-html", p.file("report.html"), "-yes", p.db,
	}
	if d.node != "" {
		args = append(args, "-engine", d.node)
	}
	cmd := exec.CommandContext(ctx, d.program, append(args, more...)...)
	endGently(cmd)
	return cmd
}

// askAPI reads JSON from the api's stand-in.
func (d *demo) askAPI(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.platform.api+path, nil)
	if err != nil {
		return err
	}
	return decodeAnswer(req, into)
}
