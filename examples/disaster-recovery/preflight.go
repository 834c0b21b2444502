package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

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
