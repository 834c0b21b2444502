package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/runbook"
	"github.com/nuvla/nuvlaops/stack"
)

// A drill recovers a copy of the database stack under another name, on another network, and removes it again. Production
// is read and no more: its repository is registered read-only in the copy, its volumes, networks and ports are not used.
// Nothing of the core is copied: executors would run the recovered jobs on real machines.

// removeWithin bounds the removal of the copy, also after the end of the run's own context.
const removeWithin = 3 * time.Minute

// removeStep is the name of the removal in the report.
const removeStep = "remove-copy"

// notInDrills are the steps that a drill leaves out.
var notInDrills = map[string]string{
	"stop-core":  "not in a drill: the core is production's",
	"look":       "not in a drill: the copy's own Elasticsearch shows the snapshot",
	"promote":    "not in a drill: the repository is production's, and stays read-only in the copy",
	"start-core": "not in a drill: executors would run the jobs of the copy on real machines",
}

// copyStack begins the drill: what an earlier one has left is removed first.
func (r *recovery) copyStack(ctx context.Context) (string, error) {
	if err := r.stacks.RemoveStackCopy(ctx, r.cfg.production, r.cfg.db); err != nil {
		return "", err
	}
	err := r.stacks.CopyStack(ctx, r.cfg.production, r.cfg.db, stack.CopyStackOptions{Services: dbServices, Network: r.cfg.network})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("stack %s has the services of %s, empty volumes and network %s", r.cfg.db, r.cfg.production, r.cfg.network), nil
}

// removeCopy ends the drill, whatever its end is.
func (r *recovery) removeCopy(ctx context.Context) (runbook.Record, error) {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeWithin)
	defer cancel()
	rec := runbook.Record{Step: removeStep, Title: "remove stack " + r.cfg.db, State: runbook.Running, Started: r.now()}
	r.seen(rec)
	err := r.stacks.RemoveStackCopy(clean, r.cfg.production, r.cfg.db)
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
	r.zk = []string{zk.Addr()}
	return r.talkTo("http://" + es.Addr())
}

// lookAtProduction is a drill's preflight: both databases must be there to be copied, and what they hold is what the drill
// is compared with.
func (r *recovery) lookAtProduction(ctx context.Context) error {
	r.page.begin(r)
	var err error
	if r.found.db, err = r.stacks.Look(ctx, r.cfg.production); err != nil {
		return r.page.bad("engine", err)
	}
	r.page.good("engine", "it manages a swarm")
	name := "stack " + r.cfg.production
	if missing := missing(r.found.db, dbServices); len(missing) > 0 {
		return r.page.bad(name, refused(r.cfg.production, "a drill copies a stack that is there; nothing was touched", "stack %s has no service %v", r.cfg.production, missing))
	}
	r.page.good(name, describeStack(r.found.db, nil))
	r.lookAtZooKeeper(ctx)
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
