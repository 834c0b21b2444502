package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/runbook"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/stack"
)

// steps are the recovery. Core and databases are stopped side by side: the databases' data is given up, so nothing that still
// talks to them for a moment can lose anything, and they boot again while the core still ends. Nothing is restored or
// queued before the core is gone, and the core is started last.
func (r *recovery) steps() []runbook.Step {
	proofs := !r.began("start-core") // what was proven before the core ran is not proven again beside it
	again := r.comes("wipe")         // somebody may have started them since, or a node with volumes may have come back
	steps := []runbook.Step{
		{Name: "stop-core", Title: "stop " + r.coreTitle(), Again: again, Run: r.stopCore},
		{Name: "stop-db", Title: "stop " + r.dbTitle(), Again: again, Run: r.stopDB},
	}
	if r.cfg.drill {
		steps = []runbook.Step{steps[0], {Name: "copy", Title: "copy the databases of stack " + r.cfg.production, Run: r.copyStack}, steps[1]}
		steps[2].After = []string{"copy"}
	}
	ground := []string{"stop-db"}
	if r.mustLook() {
		steps = append(steps, runbook.Step{Name: "look", Title: "look for the snapshot through a throw-away Elasticsearch", Again: true, Run: r.look})
		ground = append(ground, "look")
	}
	then := func(s runbook.Step) {
		s.After = ground
		steps, ground = append(steps, s), []string{s.Name}
	}
	if r.cfg.keepOld != "" {
		then(runbook.Step{Name: "keep-old", Title: "archive the volumes to " + r.cfg.keepOld, Again: again, Run: r.keepVolumes})
	}
	then(runbook.Step{Name: "wipe", Title: "remove the volumes of " + r.dbTitle(), Run: r.wipe})
	// The databases are seen to run each time: somebody may have stopped or removed what an earlier call has started.
	then(runbook.Step{Name: "deploy-db", Title: "deploy what is missing of stack " + r.cfg.db, Again: true, Run: r.deployDB})
	steps = append(steps,
		runbook.Step{Name: "start-es", Title: "start Elasticsearch", After: []string{"deploy-db"}, Again: true, Run: r.startES},
		runbook.Step{Name: "start-zk", Title: "start ZooKeeper", After: []string{"deploy-db"}, Again: true, Run: r.startZK},
		runbook.Step{Name: "repository", Title: "register the repository, read-only, and find the snapshot", After: []string{"start-es"}, Run: r.repository},
		runbook.Step{Name: "restore", Title: "restore the snapshot and verify it", After: []string{"repository", "stop-core"}, Again: proofs, Run: r.restore},
		runbook.Step{Name: "newest", Title: "find the newest document that came back", After: []string{"restore"}, Again: proofs, Run: r.newest},
		runbook.Step{Name: "queue", Title: "rebuild the job queue and verify it", After: []string{"restore", "start-zk"}, Again: proofs, Run: r.queue},
		runbook.Step{Name: "promote", Title: "make the repository writable again", After: []string{"restore", "queue"}, Run: r.promote},
		runbook.Step{Name: "start-core", Title: r.startTitle(), After: []string{"queue", "newest"}, Run: r.startCore},
	)
	for i := range steps {
		steps[i].LeftOut = r.cfg.leftOut(steps[i].Name)
	}
	return steps
}

// mustLook says whether the snapshot has to be looked for through a throw-away Elasticsearch.
func (r *recovery) mustLook() bool {
	return !r.sighted() && !r.done("wipe") && !r.cfg.drill && r.cfg.recovers(onlyES)
}

func (r *recovery) startTitle() string {
	if r.cfg.drill {
		return "start stack " + r.coreCopy()
	}
	return "start " + r.coreTitle()
}

// coreTitle names what of its stack is the core.
func (r *recovery) coreTitle() string {
	if r.cfg.oneStack() {
		return "all of stack " + r.cfg.core + " but " + strings.Join(dbServices, ", ")
	}
	return "stack " + r.cfg.core
}

// dbTitle names what of the database stack is meant.
func (r *recovery) dbTitle() string {
	return strings.Join(r.cfg.dbMeant(), ", ") + " of stack " + r.cfg.db
}

func (r *recovery) stopCore(ctx context.Context) (string, error) {
	order := groups(r.found.core, []string{"job-distributor", "job-executor", "ui"}, []string{"api"})
	if len(order) == 0 && r.cfg.oneStack() { // no groups are all of the stack, the databases too
		order = [][]string{coreServices}
	}
	return r.stop(ctx, r.found.core, order)
}

func (r *recovery) stopDB(ctx context.Context) (string, error) {
	meant := [][]string{r.cfg.dbMeant()}
	if r.cfg.drill {
		_, err := r.stop(ctx, &stack.Stack{Name: r.cfg.db}, meant)
		return "nothing to do: the copy has not been started", err
	}
	said, err := r.stop(ctx, r.found.db, meant)
	if err == nil {
		err = r.silent(ctx)
	}
	if err == nil {
		err = r.rememberStopped(ctx)
	}
	return said, err
}

// silent refuses when a database answers although none of the stack is left: it is another one, and all that is meant for the
// stack's would go there. A throw-away one that a killed call has left answers under the stack's name, and goes on for a moment
// when its service is removed.
func (r *recovery) silent(ctx context.Context) error {
	other := func(service, address, flag string) error {
		return refused(address, "give the address of the stack's own with "+flag+"; no volume was touched",
			"it still answers, although no container of service %s of stack %s is left, so that it is none of the stack's", service, r.cfg.db)
	}
	es := func(ctx context.Context) bool { return cli.ElasticsearchServes(r.client)(ctx) == nil }
	if r.found.alive && r.cfg.recovers(onlyES) && stillAnswers(ctx, 0, es) {
		left, err := r.stacks.CopyIsLeft(ctx, r.cfg.db, "es")
		if err != nil || !left && stillAnswers(ctx, r.linger, es) {
			return cmp.Or(err, context.Cause(ctx), other("es", r.cfg.es, "-es"))
		}
	}
	if r.found.queue && r.cfg.recovers(onlyZK) && stillAnswers(ctx, 0, r.zk.answers) {
		return other("zk", r.zk.String(), "-zk")
	}
	return nil
}

// stillAnswers reports whether a database answers now, and goes on for so long.
func stillAnswers(ctx context.Context, long time.Duration, answers func(context.Context) bool) bool {
	for end := time.Now().Add(long); ; {
		asked, cancel := context.WithTimeout(ctx, aliveWithin)
		is := answers(asked)
		cancel()
		if !is || !time.Now().Before(end) {
			return is
		}
		select {
		case <-ctx.Done():
			return true
		case <-time.After(often):
		}
	}
}

// dbRuns says whether a database that is meant was running when this call began.
func (r *recovery) dbRuns() bool {
	return slices.ContainsFunc(r.meantOf(r.found.db), func(s stack.Service) bool { return s.Running+s.Replicas > 0 })
}

// meantOf are the services of the database stack that are meant.
func (r *recovery) meantOf(db *stack.Stack) []stack.Service {
	return slices.DeleteFunc(slices.Clone(db.Services), func(s stack.Service) bool { return !slices.Contains(r.cfg.dbMeant(), s.Name) })
}

// dbRan says whether a database that is meant may have run since an earlier call has stopped it: its service is not what it was.
func (r *recovery) dbRan() bool {
	for id, version := range r.remembered().Stopped {
		same := func(s stack.Service) bool { return s.ID == id && s.Version == version }
		if !slices.ContainsFunc(r.found.db.Services, same) {
			return true
		}
	}
	return false
}

// rememberStopped keeps for dbRan what the services are that were stopped.
func (r *recovery) rememberStopped(ctx context.Context) error {
	if r.cfg.keepOld == "" {
		return nil
	}
	now, err := r.stacks.Look(ctx, r.cfg.db)
	if err != nil {
		return err
	}
	return r.remember(func(st *state) { st.Stopped = r.versionsOf(now) })
}

// versionsOf are those of the services that are meant.
func (r *recovery) versionsOf(db *stack.Stack) map[string]uint64 {
	versions := map[string]uint64{}
	for _, s := range r.meantOf(db) {
		versions[s.ID] = s.Version
	}
	return versions
}

func (r *recovery) stop(ctx context.Context, s *stack.Stack, groups [][]string) (string, error) {
	if err := r.stacks.Stop(ctx, s.Name, stack.StopOptions{Groups: groups, Progress: r.screen.Progress}); err != nil {
		return "", err
	}
	if len(s.Services) == 0 {
		return "nothing to do: it is not there", nil
	}
	return "no container is left", nil
}

func (r *recovery) deployDB(ctx context.Context) (string, error) {
	return r.deploy(ctx, r.cfg.db, missing(r.found.db, dbServices), r.cfg.dbCompose, r.cfg.oneStack()) // a core that is made, too, waits for its data
}

func (r *recovery) deploy(ctx context.Context, name string, gone []string, compose string, stopped bool) (string, error) {
	if len(gone) == 0 {
		return "nothing to do: its services are there", nil
	}
	now, err := r.stacks.Look(ctx, name)
	if err != nil {
		return "", err
	}
	if len(missing(now, gone)) == 0 {
		return "nothing to do: its services have been deployed meanwhile", nil
	}
	err = r.stacks.Deploy(ctx, name, stack.DeployOptions{Files: []string{compose}, CreateNetworks: true, Stopped: stopped, Progress: r.screen.Progress})
	return "deployed " + strings.Join(gone, ", "), err
}

func (r *recovery) startES(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The throw-away one, of this run or of one that was killed, answers under the same name.
	removed := make(chan struct{})
	go func() {
		defer close(removed)
		if err := r.stacks.RemoveCopy(ctx, r.cfg.db, "es"); err != nil {
			cancel(err)
		}
	}()
	serves := cli.ElasticsearchServes(r.client)
	alone := func(ctx context.Context) error {
		select {
		case <-removed:
			return serves(ctx)
		default:
			return errors.New("the throw-away one is still there")
		}
	}
	err := r.stacks.Start(ctx, r.cfg.db, stack.StartOptions{
		Groups: [][]string{{"es"}}, Probes: map[string]func(context.Context) error{"es": alone}, Progress: r.screen.Progress,
	})
	<-removed
	return "it serves", unheard(err, "-es", r.cfg.es)
}

func (r *recovery) startZK(ctx context.Context) (string, error) {
	err := r.stacks.Start(ctx, r.cfg.db, stack.StartOptions{
		Groups: [][]string{{"zk"}}, Probes: map[string]func(context.Context) error{"zk": r.zk.serves}, Progress: r.screen.Progress,
	})
	return "it serves", unheard(err, "-zk", r.zk.String())
}

// unheard names the flag of a database that has not answered in time: with a wrong address, the same call would end likewise.
func unheard(err error, flag, address string) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w; if it serves elsewhere than at %s, correct %s", err, address, flag)
}

// repository registers the repository, and finds and plans what will be restored while it is being verified.
func (r *recovery) repository(ctx context.Context) (string, error) {
	var found *restore.Snapshot
	plan := r.remembered().Plan // of a restore that has begun
	kept := plan != nil
	err := r.patiently(ctx, "repository", func(ctx context.Context) error {
		_, err := r.repo.EnsureBeside(ctx, r.readOnly(true), func(ctx context.Context) (err error) {
			if found, err = r.find(ctx, r.restorer); err == nil && !kept {
				plan, err = r.planned(ctx, found.Name)
			}
			return err
		})
		return err
	})
	if err == nil {
		err = r.choose(found)
	}
	if err == nil && !kept {
		err = r.keepPlan(plan)
	}
	if err != nil && r.cfg.drill && errors.Is(err, nuvlaops.ErrRepository) {
		err = fmt.Errorf("%w; the copy is on network %s: where the store is reached by another one, name it with -drill-network", err, r.cfg.network)
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s shows %s", r.cfg.repository, found.Name), nil
}

// promote lets the cluster write to its repository: it is the one that owns it from now on, unless its file says that it is
// another one's. Without a restore that was verified it stays as it is.
func (r *recovery) promote(ctx context.Context) (string, error) {
	if r.cfg.settings.ReadOnly {
		return "left read-only, as -repository-file says", r.remember(func(st *state) {
			st.warn("repository %s stays read-only, as -repository-file says: no backup can be taken into it", r.cfg.repository)
		})
	}
	if rep := r.remembered().Restored; rep == nil || !rep.OK() {
		return "left as it is: no restore was verified", r.remember(func(st *state) {
			st.warn("repository %s was not made writable, since no restore was verified: no backup can be taken", r.cfg.repository)
		})
	}
	var change snapshot.Change
	err := r.patiently(ctx, "promote", func(ctx context.Context) (err error) {
		change, err = r.repo.Ensure(ctx, r.readOnly(false))
		return err
	})
	if err == nil && !change.Changed() {
		return "nothing to do: " + r.cfg.repository + " is writable, and verified", nil
	}
	return r.cfg.repository + " is verified and writable", err
}

func (r *recovery) readOnly(is bool) snapshot.Settings {
	s := r.cfg.settings
	s.ReadOnly = is
	return s
}
