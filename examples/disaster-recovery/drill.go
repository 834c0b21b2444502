package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/runbook"
	"github.com/nuvla/nuvlaops/stack"
)

// A drill recovers a copy of the database stack under another name, on another network, and removes it again. Production
// is read and no more: its repository is registered read-only in the copy, its volumes, networks and ports are not used.
// Of the core only what is named is copied: executors would run the recovered jobs on real machines, and what any other
// service does to the world outside is not known here. The copies find each other under the names that they know, and
// nothing of production, on the drill's network.

// removeWithin bounds the removal of the copy, also after the end of the run's own context.
const removeWithin = 3 * time.Minute

// removeStep is the name of the removal in the report.
const removeStep = "remove-copy"

// notInDrills are the steps that a drill leaves out.
var notInDrills = map[string]string{
	"stop-core":  "not in a drill: the core is production's",
	"look":       "not in a drill: the copy's own Elasticsearch shows the snapshot",
	"promote":    "not in a drill: the repository is production's, and stays read-only in the copy",
	"start-core": "not in this drill: no service was named with -drill-services",
}

// copyStack begins the drill: what an earlier one has left is removed first.
func (r *recovery) copyStack(ctx context.Context) (string, error) {
	if err := r.removeCopies(ctx); err != nil {
		return "", err
	}
	err := r.stacks.CopyStack(ctx, r.cfg.production, r.cfg.db, stack.CopyStackOptions{Services: dbServices, Network: r.cfg.network})
	if err != nil {
		return "", err
	}
	said := fmt.Sprintf("stack %s has the services of %s, empty volumes and network %s", r.cfg.db, r.cfg.production, r.cfg.network)
	if len(r.cfg.copied) == 0 {
		return said, nil
	}
	err = r.stacks.CopyStack(ctx, r.cfg.core, r.coreCopy(), stack.CopyStackOptions{Services: r.copiedServices(), Network: r.cfg.network})
	return said + fmt.Sprintf(", stack %s has %s of %s", r.coreCopy(), strings.Join(r.copiedServices(), ", "), r.cfg.core), err
}

// coreCopy is the name of the copy of the core.
func (r *recovery) coreCopy() string { return r.cfg.core + "-drill" }

// consumers take jobs from the queue and run them, on real machines.
var consumers = []string{"job-executor", "job-distributor"}

// copiedServices are those of the core that are copied.
func (r *recovery) copiedServices() (names []string) {
	if !slices.Contains(r.cfg.copied, "all") {
		return r.cfg.copied
	}
	for _, service := range r.found.core.Services {
		if !slices.Contains(consumers, service.Name) {
			names = append(names, service.Name)
		}
	}
	slices.Sort(names)
	return names
}

// removeCopies removes the core's first, which is on the network of the databases'.
func (r *recovery) removeCopies(ctx context.Context) error {
	err := r.stacks.RemoveStackCopy(ctx, r.cfg.core, r.coreCopy())
	return errors.Join(err, r.stacks.RemoveStackCopy(ctx, r.cfg.production, r.cfg.db))
}

// startCopies starts the copied services of the core, api first. They have one replica each.
func (r *recovery) startCopies(ctx context.Context) (string, error) {
	now, err := r.stacks.Look(ctx, r.coreCopy())
	if err != nil {
		return "", err
	}
	options := stack.StartOptions{Groups: groups(now, []string{"api"}), Progress: r.screen.Progress}
	if r.cfg.copiedAPI != "" {
		port, path, _ := strings.Cut(strings.TrimPrefix(r.cfg.copiedAPI, ":"), "/")
		number, _ := strconv.Atoi(port) // checked with the flags
		way, err := r.stacks.Forward(r.coreCopy(), "api", number)
		if err != nil {
			return "", err
		}
		defer way.Close()
		options.Probes = map[string]func(context.Context) error{"api": answers("http://" + way.Addr() + "/" + path)}
	}
	if err := r.stacks.Start(ctx, r.coreCopy(), options); err != nil {
		return "", err
	}
	return strings.Join(r.copiedServices(), ", ") + " of the copy run", nil
}

// lookAtTheCore sees the services that are copied too.
func (r *recovery) lookAtTheCore(ctx context.Context) (err error) {
	if len(r.cfg.copied) == 0 {
		return nil
	}
	if r.found.core, err = r.lookAtCore(ctx); err != nil {
		return r.page.bad("engine", err)
	}
	name, named := "stack "+r.cfg.core, r.copiedServices()
	if missing := missing(r.found.core, named); len(missing) > 0 || len(named) == 0 {
		return r.page.bad(name, refused(r.cfg.core, "a drill copies services that are there: see -drill-services; nothing was touched", "stack %s has no service %s", r.cfg.core, strings.Join(missing, ", ")))
	}
	r.page.good(name, "copied too: "+strings.Join(named, ", "))
	for _, service := range named {
		if slices.Contains(consumers, service) {
			warning := "the copy of " + service + " runs the recovered jobs of the snapshot, on real machines: what they do, they do twice"
			r.page.note("WARNING", warning)
			_ = r.remember(func(st *state) { st.warn("%s", warning) })
		}
	}
	return nil
}

// removeCopy ends the drill, whatever its end is.
func (r *recovery) removeCopy(ctx context.Context) (runbook.Record, error) {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeWithin)
	defer cancel()
	rec := runbook.Record{Step: removeStep, Title: "remove stack " + r.cfg.db, State: runbook.Running, Started: r.now()}
	r.seen(rec)
	err := r.removeCopies(clean)
	rec.Ended, rec.State, rec.Detail = r.now(), runbook.Done, "nothing of it is left"
	if err != nil {
		rec.State, rec.Detail, rec.Error = runbook.Failed, "", err.Error()
		err = fmt.Errorf("step %s: %w", rec.Step, err)
	}
	r.seen(rec)
	return rec, err
}

// openCopy makes the ways into the copy, which publishes no ports: all that this program says to a database from now on it
// says to the copy.
func (r *recovery) openCopy() error {
	es, err := r.stacks.Forward(r.cfg.db, "es", 9200)
	if err != nil {
		return err
	}
	r.forwards = append(r.forwards, es)
	zk, err := r.stacks.Forward(r.cfg.db, "zk", 2181)
	if err != nil {
		return err
	}
	r.forwards = append(r.forwards, zk)
	r.zk = r.zk.copied(zk.Addr())
	return r.talkTo("http://" + es.Addr())
}

// lookAtProduction is a drill's preflight: both databases must be there to be copied, and what they hold is what the drill
// is compared with.
func (r *recovery) lookAtProduction(ctx context.Context) error {
	r.page.begin(r)
	var err error
	if r.found.db, err = r.lookAtDB(ctx, r.cfg.production); err != nil {
		return r.page.bad("engine", err)
	}
	r.page.good("engine", "it manages a swarm")
	name := "stack " + r.cfg.production
	if missing := missing(r.found.db, dbServices); len(missing) > 0 {
		return r.page.bad(name, refused(r.cfg.production, "a drill copies a stack that is there; nothing was touched", "stack %s has no service %v", r.cfg.production, missing))
	}
	r.page.good(name, describeStack(r.found.db, nil))
	if err := r.lookAtTheCore(ctx); err != nil {
		return err
	}
	_ = r.lookAtZooKeeper(ctx)
	alive, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	if cli.ElasticsearchServes(r.client)(alive) == nil {
		r.found.alive = true
		err = r.describeElasticsearch(alive)
	}
	if !r.found.alive || err != nil {
		r.page.note("Elasticsearch", "no usable answer from "+r.cfg.es+": the drill is compared with the snapshot alone")
	}
	r.page.end(r)
	return r.openCopy()
}
