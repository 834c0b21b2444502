package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/stack"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// The services of the two stacks, in the order in which they are started. What is in no group is started last.
var (
	dbServices   = []string{"es", "zk"}
	coreServices = []string{"api", "ui", "job-executor", "job-distributor"}
)

// found is what preflight has seen.
type found struct {
	db, core *stack.Stack
	coreGone []string // services of the core that are not there, and that its compose file makes
	wipe     *stack.WipePlan
	alive    bool // some Elasticsearch answers
	denied   bool // one answers, and is of no use as it is asked
	queue    bool // some ZooKeeper answers
	aside    bool // a throw-away one was started for a plan
	disks    *disks
	openJobs int // in the documents, with -only zookeeper
	jobsSeen bool
}

// aliveWithin is how long preflight waits for an answer of a database: after a disaster there may be none.
const aliveWithin = 5 * time.Second

// preflight proves the ground, and changes nothing that matters. What it finds goes on the page; the error is the first
// thing that stands in the way.
func (r *recovery) preflight(ctx context.Context) error {
	if r.cfg.drill {
		return r.lookAtProduction(ctx)
	}
	r.beginAnewElsewhere(ctx)
	r.page.begin(r)
	var databases error
	var wait sync.WaitGroup
	wait.Go(func() { databases = r.checkDatabases(ctx) })
	err := r.checkEngine(ctx)
	wait.Wait()
	err = cmp.Or(err, databases)
	if r.cfg.planOnly {
		err = r.lookFurther(ctx, err)
	}
	err = cmp.Or(err, r.checkDisks())
	if r.found.db == nil || r.found.core == nil {
		return err
	}
	r.warnOfSilence()
	r.page.end(r)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// lookFurther is what only a plan does: a recovery looks through a throw-away Elasticsearch while the stacks stop.
func (r *recovery) lookFurther(ctx context.Context, err error) error {
	if r.found.db == nil {
		return err
	}
	r.noteHolder(ctx)
	if !r.mustLookAside() {
		return errors.Join(err, r.sweepCopy(ctx))
	}
	if err != nil {
		r.page.note("snapshot", "not looked for, since the recovery is refused as it is")
		return errors.Join(err, r.sweepCopy(ctx))
	}
	return r.lookAside(ctx)
}

// checkEngine looks at all that the engine shows, and returns the first thing that stands in the way.
func (r *recovery) checkEngine(ctx context.Context) (err error) {
	var coreErr, volumesErr error
	var wait sync.WaitGroup
	wait.Go(func() { r.found.core, coreErr = r.lookAtCore(ctx) })
	if r.found.db, err = r.lookAtDB(ctx, r.cfg.db); err == nil {
		volumesErr = r.checkVolumes(ctx)
	}
	wait.Wait()
	if err = cmp.Or(err, coreErr); err != nil {
		return r.page.bad("engine", err)
	}
	r.page.good("engine", "it manages a swarm")
	r.noteImages()
	if err := r.checkArchive(); err != nil {
		return err
	}
	stacksErr := r.checkStacks(ctx)
	if volumesErr != nil && stacksErr == nil { // otherwise it follows from what the stacks lack
		volumesErr = r.page.bad("volumes", volumesErr)
	}
	return cmp.Or(stacksErr, r.checkCore(ctx), volumesErr, r.checkObstacles(), r.checkReach(), r.checkRoom(ctx))
}

// lookAtDB sees the stack of the databases, and lookAtCore that of the core: where it is one, each sees its own services.
func (r *recovery) lookAtDB(ctx context.Context, name string) (*stack.Stack, error) {
	db, err := r.stacks.Look(ctx, name)
	if err == nil && r.cfg.oneStack() {
		db.Services = slices.DeleteFunc(db.Services, func(s stack.Service) bool { return !isDatabase(s) })
	}
	return db, err
}

func (r *recovery) lookAtCore(ctx context.Context) (*stack.Stack, error) {
	core, err := r.stacks.Look(ctx, r.cfg.core)
	if err == nil && r.cfg.oneStack() {
		core.Services = slices.DeleteFunc(core.Services, isDatabase)
	}
	return core, err
}

func isDatabase(s stack.Service) bool { return slices.Contains(dbServices, s.Name) }

// noteImages names the images that an engine asks their registry for before each start, although it has them: with the
// registry or the name server away, each start waits for its time-outs.
func (r *recovery) noteImages() {
	tagged := map[string]bool{}
	for _, s := range []*stack.Stack{r.found.db, r.found.core} {
		for _, v := range s.Services {
			if !strings.Contains(v.Image, "@") {
				tagged[v.Image] = true
			}
		}
	}
	if len(tagged) > 0 {
		r.page.note("images", "without a digest: "+strings.Join(slices.Sorted(maps.Keys(tagged)), ", ")+". An engine asks their registry before it starts them, and a registry "+
			"that is away holds each start up, unless the engine's environment has DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1")
	}
}

// checkStacks refuses when services are gone and nothing makes them again, and reads the compose files all the same.
func (r *recovery) checkStacks(ctx context.Context) error {
	db, core, replicasErr := r.found.db, r.found.core, r.checkReplicas()
	gone, dbErr := r.checkDeployment(ctx, db, dbServices, "-db-compose", r.cfg.dbCompose)
	if dbErr == nil {
		text := describeStack(db, gone)
		if left := without(names(db.Services), r.cfg.dbMeant()); len(left) > 0 {
			text += "; left alone: " + strings.Join(left, ", ")
		}
		r.page.good("stack "+db.Name, text)
	}
	gone, coreErr := r.checkDeployment(ctx, core, coreServices, "-core-compose", r.cfg.coreCompose)
	if coreErr == nil {
		r.found.coreGone = gone
		r.page.good("stack "+core.Name, describeStack(core, gone))
	}
	return errors.Join(replicasErr, dbErr, coreErr)
}

// checkDeployment says which services of a stack are gone and will be deployed. Of the databases' these are among the services
// named; the core's compose file knows itself what belongs to it, whatever the names.
func (r *recovery) checkDeployment(ctx context.Context, there *stack.Stack, services []string, flag, compose string) ([]string, error) {
	name, core := "stack "+there.Name, there == r.found.core
	gone := missing(there, services)
	if compose == "" {
		if len(gone) > 0 {
			return nil, r.page.bad(name, refused(there.Name, "give its compose file with "+flag, "stack %s has no service %s", there.Name, strings.Join(gone, ", ")))
		}
		return nil, nil
	}
	plan, err := r.stacks.PlanDeploy(ctx, there.Name, stack.DeployOptions{Files: []string{compose}, CreateNetworks: true, Stopped: core || r.cfg.oneStack()})
	if err != nil {
		return nil, r.page.bad(name, refusal(err))
	}
	if core {
		gone = plan.Services
		if r.cfg.oneStack() {
			gone = without(gone, dbServices)
		}
		if len(gone)+len(there.Services) == 0 { // it is elsewhere, and would go on beside the recovery
			return nil, r.page.bad(name, refused(there.Name, "correct -core, or -core-compose", "neither stack %s nor %s has a service of the core", there.Name, compose))
		}
	} else if lacks := without(gone, plan.Services); len(lacks) > 0 {
		return nil, r.page.bad(name, refused(there.Name, "give one that has them", "stack %s has no service %s, and neither has %s", there.Name, strings.Join(lacks, ", "), compose))
	}
	if len(gone) > 0 {
		r.noteDeployment(plan, compose)
	}
	return gone, nil
}

// noteDeployment says what a deployment does beside making services.
func (r *recovery) noteDeployment(plan *stack.DeployPlan, compose string) {
	if len(plan.Blank) > 0 {
		r.page.note("WARNING", fmt.Sprintf("%s names variables that are not set here, and that become empty in the services that are deployed: %s", compose, strings.Join(plan.Blank, ", ")))
	}
	if len(plan.Networks) > 0 {
		r.page.note("network", "made, attachable: "+strings.Join(plan.Networks, ", "))
	}
}

// checkReplicas refuses while what has to answer is at no replicas that nobody remembers: it would not be started again.
func (r *recovery) checkReplicas() error {
	for _, s := range []struct {
		stack   *stack.Stack
		service string
		steps   []string // that need it
	}{{r.found.db, "es", []string{"start-es", "restore"}}, {r.found.db, "zk", []string{"start-zk", "queue"}}, {r.found.core, "api", r.askingAPI()}} {
		v := s.stack.Service(s.service)
		needed := slices.ContainsFunc(s.steps, func(step string) bool { return r.cfg.leftOut(step) == "" })
		if v == nil || !needed || !neverStarted(v) {
			continue
		}
		full := s.stack.Name + "_" + s.service
		return r.page.bad("stack "+s.stack.Name, refused(full, "say how many to start: docker service update --label-add org.nuvla.ops.replicas=1 "+full,
			"service %s has no replicas, and none are remembered, so that it would not be started", full))
	}
	return nil
}

// askingAPI are the steps that end with an answer of the api.
func (r *recovery) askingAPI() []string {
	if r.cfg.api == "" {
		return nil
	}
	return []string{"start-core"}
}

// neverStarted says whether a service is at no replicas, and none are remembered.
func neverStarted(v *stack.Service) bool { return v.Replicas == 0 && !v.Stopped && !v.Global }

// checkCore refuses to begin beside a core that runs and would not be stopped.
func (r *recovery) checkCore(context.Context) error {
	if r.cfg.leftOut("stop-core") == "" {
		return nil
	}
	for _, step := range []string{"stop-db", "wipe", "restore", "queue"} {
		if err := idle(r.found.core); err != nil && r.cfg.leftOut(step) == "" {
			return r.page.bad("core", err)
		}
	}
	return nil
}

// refusal: what is missing stands in the way, and nothing was touched.
func refusal(err error) error {
	if errors.Is(err, nuvlaops.ErrNotFound) || errors.Is(err, nuvlaops.ErrInvalid) || errors.Is(err, nuvlaops.ErrUnsupported) {
		return fmt.Errorf("%w: %w; nothing was touched", nuvlaops.ErrRefused, err)
	}
	return err
}

func describeStack(s *stack.Stack, missing []string) string {
	var parts []string
	networks, secrets := map[string]bool{}, map[string]bool{}
	for _, v := range s.Services {
		state := fmt.Sprintf("%s %d/%d", v.Name, v.Running, v.Replicas)
		if v.Stopped {
			state = fmt.Sprintf("%s stopped (%d)", v.Name, v.Remembered)
		}
		parts = append(parts, state)
		for _, n := range v.Networks {
			networks[n] = true
		}
		for _, n := range v.Secrets {
			secrets[n] = true
		}
	}
	slices.Sort(parts)
	if len(missing) > 0 {
		parts = append(parts, "deployed from the compose file: "+strings.Join(missing, ", "))
	}
	text := strings.Join(parts, ", ")
	if len(networks) > 0 {
		text += "; network " + strings.Join(slices.Sorted(maps.Keys(networks)), ", ")
	}
	if len(secrets) > 0 {
		text += "; secrets " + strings.Join(slices.Sorted(maps.Keys(secrets)), ", ")
	}
	return text
}

// missing are those of the services that the stack does not have.
func missing(s *stack.Stack, services []string) []string {
	return slices.DeleteFunc(slices.Clone(services), func(name string) bool { return s.Service(name) != nil })
}

func without(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(others, name) })
}

// checkDatabases looks at both databases side by side: the one that is dead takes its time to say so.
func (r *recovery) checkDatabases(ctx context.Context) error {
	var wait sync.WaitGroup
	var queueErr error
	wait.Go(func() { queueErr = r.lookAtZooKeeper(ctx) })
	err := r.lookAtElasticsearch(ctx)
	wait.Wait()
	return cmp.Or(err, queueErr)
}

func (r *recovery) lookAtZooKeeper(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	if !r.zk.answers(ctx) {
		return r.noZooKeeper()
	}
	r.found.queue = true
	jobs, err := r.jobsNow(ctx)
	if err != nil {
		r.page.note("ZooKeeper", "it answers, but not well: "+err.Error())
		return nil
	}
	total := 0
	for _, n := range jobs {
		total += n
	}
	r.page.note("ZooKeeper", fmt.Sprintf("it answers; %d entries on the queue", total))
	if !r.resumed {
		_ = r.remember(func(st *state) { st.Before.Jobs = jobs })
	}
	return nil
}

// noZooKeeper: one that is not recovered must be there for the queue when the volumes of the other are gone.
func (r *recovery) noZooKeeper() error {
	if r.cfg.only == onlyES && r.comes("queue") {
		return r.page.bad("ZooKeeper", refused("queue", "start it, or recover both, without -only", "no ZooKeeper answers at %s, and it is not recovered", r.zk))
	}
	r.page.note("ZooKeeper", "no answer from "+r.zk.String())
	return nil
}

func (r *recovery) lookAtElasticsearch(ctx context.Context) error {
	alive, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	switch err := cli.ElasticsearchServes(r.client)(alive); {
	case errors.Is(err, nuvlaops.ErrDenied), errors.Is(err, nuvlaops.ErrUnsupported): // what answers is not dead, and a throw-away one would say the same
		r.found.denied = true
		return r.page.bad("Elasticsearch", refused(r.cfg.es, "correct -es, or ES_USERNAME and ES_PASSWORD, or ES_API_KEY; nothing was touched", "%v", err))
	case err != nil:
		return r.noElasticsearch()
	}
	r.found.alive = true
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() {
		if err := r.describeElasticsearch(alive); err != nil {
			r.page.note("Elasticsearch", "it answers, but not well: "+err.Error())
		}
	})
	if r.cfg.only == onlyZK {
		return r.seeJobs(ctx)
	}
	return r.lookForTheSnapshot(ctx)
}

// warnOfSilence: a database that runs may well serve at another address, which nobody would notice before its volumes are gone.
func (r *recovery) warnOfSilence() {
	for _, d := range []struct {
		service, flag, address string
		answers                bool
	}{{"es", "-es", r.cfg.es, r.found.alive || r.found.denied}, {"zk", "-zk", r.zk.String(), r.found.queue}} {
		if v := r.found.db.Service(d.service); !d.answers && v != nil && v.Running > 0 && r.comes("wipe") && r.comes("start-"+d.service) {
			r.page.note("WARNING", fmt.Sprintf("service %s of stack %s runs, and nothing answers at %s: if it works, correct %s, since it is waited for there when the volumes are gone",
				d.service, r.cfg.db, d.address, d.flag))
		}
	}
}

func (r *recovery) noElasticsearch() error {
	if r.cfg.only == onlyZK {
		return r.page.bad("Elasticsearch", refused("queue", "recover both, without -only", "no Elasticsearch answers at %s, and the queue is rebuilt from its documents", r.cfg.es))
	}
	text := "no answer from " + r.cfg.es
	if !r.cfg.planOnly && r.mustLook() {
		text += ": the snapshot is looked for through a throw-away one, before anything is removed"
	}
	r.page.note("Elasticsearch", text)
	return nil
}

// beginAnewElsewhere forgets what an earlier call has done when another cluster answers than the one that it restored into: that
// is not there any more. It comes first, since what is looked at depends on what is done.
func (r *recovery) beginAnewElsewhere(ctx context.Context) {
	plan := r.remembered().Plan
	if plan == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	if cli.ElasticsearchServes(r.client)(ctx) != nil { // the dead are not asked again and again
		return
	}
	if uuid, err := r.conn.ClusterUUID(ctx); err == nil && uuid != plan.Cluster.UUID {
		r.screen.Printf("the Elasticsearch that was restored into is gone: beginning anew")
		r.beginAnew()
	}
}

// describeElasticsearch says what lives there.
func (r *recovery) describeElasticsearch(ctx context.Context) error {
	cluster, err := r.conn.Cluster(ctx)
	if err != nil {
		return err
	}
	documents, err := r.documentsNow(ctx)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, n := range documents {
		total += n
	}
	r.page.note("Elasticsearch", fmt.Sprintf("%s answers as cluster %s; %d documents in %d indices of %s", cluster.Version, cluster.Name, total, len(documents), strings.Join(r.cfg.indices, ",")))
	if !r.resumed {
		_ = r.remember(func(st *state) { st.Before.Documents = documents })
	}
	return nil
}

// seeJobs reads the job documents, which are what a lost queue is rebuilt from.
func (r *recovery) seeJobs(ctx context.Context) error {
	source, err := zkjobs.NewDocuments(r.client, &zkjobs.DocumentsOptions{AllowNone: true})
	if err != nil {
		return err
	}
	n := 0
	for _, err := range source.Jobs(ctx) {
		if err != nil {
			return r.page.bad("job documents", refusal(err))
		}
		n++
	}
	r.found.openJobs, r.found.jobsSeen = n, true
	r.page.good("job documents", fmt.Sprintf("%d open ones, which the queue is rebuilt from", n))
	return nil
}
