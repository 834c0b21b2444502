package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

// wipe removes the volumes. The guard is asked last: without what replaces them, seen in this run, nothing goes.
func (r *recovery) wipe(ctx context.Context) (string, error) {
	plan, err := r.planWipe(ctx)
	if err != nil {
		return "", err
	}
	// What stands in the way may be old data that no plan takes, and that would come back. A drill's copy has none.
	if len(plan.Volumes) > 0 || len(plan.Obstacles) > 0 && !r.cfg.drill {
		if err := r.stacks.Wipe(ctx, plan, r.proven); err != nil {
			return "", err
		}
	}
	said := "nothing to do: there is no volume" // a call that was killed may have removed them
	if len(plan.Volumes) > 0 {
		said = fmt.Sprintf("%d volumes removed", len(plan.Volumes))
	}
	r.journal.Forget(stepNames[slices.Index(stepNames, "deploy-db"):]...) // done by a call that was told to leave this out
	return said, r.remember(func(st *state) {
		st.Plan, st.Restored, st.Jobs, st.Newest = nil, nil, nil, time.Time{} // what was restored before is gone with them
		st.Kept, st.Anew = "", r.now().UTC()                                  // the next volumes are others than those that were archived
	})
}

func (r *recovery) planWipe(ctx context.Context) (*stack.WipePlan, error) {
	return r.stacks.PlanWipe(ctx, r.cfg.db, r.wipeOptions())
}

// wipeOptions say what is wiped. What services mount that are gone says their compose file.
func (r *recovery) wipeOptions() stack.WipeOptions {
	options := stack.WipeOptions{Services: r.cfg.dbMeant()}
	if r.cfg.dbCompose != "" && len(missing(r.found.db, dbServices)) > 0 {
		options.Files = []string{r.cfg.dbCompose}
	}
	return options
}

// proven is the guard of the wipe.
func (r *recovery) proven(context.Context) error {
	switch {
	case r.cfg.drill: // the volumes are those of the copy
		return nil
	case r.cfg.recovers(onlyES) && !r.sighted():
		return refused(r.cfg.db, "", "no complete snapshot has been seen")
	case r.cfg.only == onlyZK && !r.found.jobsSeen:
		return refused(r.cfg.db, "", "the job documents have not been read")
	case r.cfg.keepOld != "" && r.remembered().Kept == "":
		return refused(r.cfg.db, "", "the volumes have not been archived")
	}
	return nil
}

// keepFolder is a folder of these volumes' own, by the time of their disaster.
func (r *recovery) keepFolder() string {
	at := r.remembered().Started
	if anew := r.remembered().Anew; !anew.IsZero() {
		at = anew
	}
	return filepath.Join(r.cfg.keepOld, r.cfg.db+"-"+at.UTC().Format("2006-01-02t150405z"))
}

// checkArchive forgets what an earlier call may have archived when the volumes may have been written to since, whatever steps
// this one is told to run. It comes before all that asks whether they are to be archived.
func (r *recovery) checkArchive() error {
	begun := r.began("keep-old") || len(r.remembered().Stopped) > 0 // which -from does not forget
	if r.cfg.keepOld == "" || !begun || !r.comes("wipe") || !r.dbRuns() && !r.dbRan() {
		return nil
	}
	r.page.note("-keep-old", "the databases run, or have run since an earlier call stopped them: what it archived is not what the volumes hold")
	r.journal.Forget("keep-old")
	return r.remember(func(st *state) { st.Kept, st.Anew, st.Stopped = "", r.now().UTC(), r.versionsOf(r.found.db) })
}

// keepVolumes archives the volumes into a folder of this recovery's own, so that what is there already is this recovery's,
// whole, and need not be written again.
func (r *recovery) keepVolumes(ctx context.Context) (string, error) {
	plan, err := r.planWipe(ctx)
	if err != nil {
		return "", err
	}
	obstacles := plan.Obstacles // as the wipe would refuse: not all that it may see later can be seen
	if !r.comes("wipe") {
		obstacles = without(obstacles, plan.Lasting) // what is written to is no archive all the same
	}
	if len(obstacles) > 0 {
		return "", refused(r.cfg.db, "nothing was removed", "%s", strings.Join(obstacles, "; "))
	}
	dir := r.keepFolder()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	for _, v := range plan.Volumes {
		one := *plan
		one.Volumes = []stack.Volume{v}
		if err := r.stacks.KeepVolumes(ctx, &one, stack.KeepOptions{Dir: dir}); err != nil && !errors.Is(err, nuvlaops.ErrExists) {
			return "", err
		}
	}
	return fmt.Sprintf("%d volumes are in %s", len(plan.Volumes), dir), r.remember(func(st *state) {
		if len(plan.Obstacles) == 0 {
			st.Kept = dir
		}
		if len(plan.Volumes) > 0 {
			st.warn("the old volumes are kept in %s; remove them when they are not needed any more: they hold all data of the platform", dir)
		}
	})
}
