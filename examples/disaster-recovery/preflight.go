package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/stack"
)

// The services of the two stacks, in the order in which they are started. What is in no group is started last.
var (
	dbServices   = []string{"es", "zk"}
	coreServices = []string{"api", "ui", "job-executor", "job-distributor"}
)

// found is what preflight has seen.
type found struct {
	db, core *stack.Stack
	wipe     *stack.WipePlan
}

// aliveWithin is how long preflight waits for an answer of Elasticsearch: after a disaster there may be none.
const aliveWithin = 5 * time.Second

// preflight proves the ground, and changes nothing that matters: what is there, what would be removed, and, where some
// Elasticsearch lives, that the chosen snapshot is there and complete.
func (r *recovery) preflight(ctx context.Context) (err error) {
	if r.found.db, err = r.stacks.Look(ctx, r.cfg.db); err != nil {
		return err
	}
	if r.found.core, err = r.stacks.Look(ctx, r.cfg.core); err != nil {
		return err
	}
	if err := errors.Join(
		deployable(r.found.db, dbServices, "-db-compose", r.cfg.dbCompose),
		deployable(r.found.core, coreServices, "-core-compose", r.cfg.coreCompose)); err != nil {
		return err
	}
	if r.found.wipe, err = r.stacks.PlanWipe(ctx, r.cfg.db, stack.WipeOptions{}); err != nil {
		return err
	}
	if r.chosen() != nil {
		return nil // a run before has seen it
	}
	return r.lookForTheSnapshot(ctx)
}

// deployable refuses when services are gone and nothing says how to make them.
func deployable(s *stack.Stack, services []string, flag, compose string) error {
	missing := missing(s, services)
	if len(missing) == 0 || compose != "" {
		return nil
	}
	return refused(s.Name, "give its compose file with "+flag, "stack %s has no service %s", s.Name, strings.Join(missing, ", "))
}

// missing are those of the services that the stack does not have.
func missing(s *stack.Stack, services []string) []string {
	return slices.DeleteFunc(slices.Clone(services), func(name string) bool { return s.Service(name) != nil })
}

// lookForTheSnapshot sees the snapshot through the Elasticsearch that lives, if one does.
func (r *recovery) lookForTheSnapshot(ctx context.Context) error {
	if !r.lives(ctx) {
		return nil
	}
	registered, err := r.repo.Registered(ctx)
	if errors.Is(err, nuvlaops.ErrNotFound) || (err == nil && !sameStore(registered, r.cfg.settings)) {
		_, err = r.repo.Ensure(ctx, r.readOnly(true)) // a reader more harms nobody
	}
	if err != nil {
		return err
	}
	err = r.choose(ctx)
	if errors.Is(err, nuvlaops.ErrNotFound) || errors.Is(err, nuvlaops.ErrPartial) {
		return refused(r.cfg.repository, "nothing was touched", "no complete snapshot to restore: %v", err)
	}
	return err
}

// lives reports whether some Elasticsearch answers.
func (r *recovery) lives(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	return cli.ElasticsearchServes(r.client)(ctx) == nil
}

// choose finds the snapshot and remembers it as seen. A snapshot that was chosen before must still be the same.
func (r *recovery) choose(ctx context.Context) error {
	sel := restore.Selector{Name: r.cfg.snapshot, Before: r.cfg.before}
	old := r.chosen()
	if old != nil {
		sel = restore.Selector{Name: old.Name}
	}
	s, err := r.restorer.Choose(ctx, sel)
	if err != nil {
		return err
	}
	if old != nil && old.UUID != s.UUID {
		return &nuvlaops.Error{Op: "disaster-recovery", Resource: r.cfg.repository + "/" + s.Name, Err: nuvlaops.ErrConflict,
			Reason: "the snapshot is not the one that was chosen at the start", Hint: "find out who writes to the repository"}
	}
	return r.remember(func(st *state) {
		st.Snapshot = &report.Snapshot{Repository: r.cfg.repository, Name: s.Name, UUID: s.UUID, Started: s.Start.UTC()}
	})
}

// sameStore reports whether both settings lead to the same snapshots.
func sameStore(a, b snapshot.Settings) bool {
	switch {
	case a.S3 != nil && b.S3 != nil:
		return a.S3.Bucket == b.S3.Bucket && a.S3.BasePath == b.S3.BasePath && a.S3.Endpoint == b.S3.Endpoint && a.S3.Client == b.S3.Client
	case a.FS != nil && b.FS != nil:
		return a.FS.Location == b.FS.Location
	}
	return false
}

// page is what is about to be done, on one page.
func (r *recovery) page() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nPLAN OF THE RECOVERY\n\n")
	if s := r.chosen(); s != nil {
		fmt.Fprintf(&b, "  restore   snapshot %s of %s, taken %s (%s ago)\n", s.Name, s.Repository, s.Started.Format(time.RFC3339), r.now().Sub(s.Started).Round(time.Second))
	} else {
		fmt.Fprintf(&b, "  restore   no Elasticsearch answers at %s: the snapshot is looked for through a throw-away one, before anything is removed\n", r.cfg.es)
	}
	fmt.Fprintf(&b, "  indices   %s\n", strings.Join(r.cfg.indices, ", "))
	fmt.Fprintf(&b, "  stop      stacks %s (%s) and %s (%s)\n", r.cfg.core, names(r.found.core), r.cfg.db, names(r.found.db))
	for _, v := range r.found.wipe.Volumes {
		fmt.Fprintf(&b, "  remove    volume %s on %s\n", v.Name, v.Node)
	}
	for _, k := range r.found.wipe.Kept {
		fmt.Fprintf(&b, "  keep      %s of service %s: %s\n", k.Target, k.Service, k.Why)
	}
	fmt.Fprintf(&b, "  rebuild   the job queue in ZooKeeper at %s\n", r.cfg.zk)
	return b.String()
}

func names(s *stack.Stack) string {
	if len(s.Services) == 0 {
		return "not there: deployed from its compose file"
	}
	var all []string
	for _, service := range s.Services {
		all = append(all, service.Name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
