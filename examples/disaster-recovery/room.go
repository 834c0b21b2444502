package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/stack"
)

// sizesWithin bounds the reading of the volumes' sizes, for which the engine walks through all their files.
const sizesWithin = 10 * time.Second

// checkVolumes plans what is removed, with sizes where the engine says them soon.
func (r *recovery) checkVolumes(ctx context.Context) (err error) {
	options := stack.WipeOptions{Services: r.cfg.dbMeant()}
	if r.found.wipe, err = r.stacks.PlanWipe(ctx, r.cfg.db, options); err != nil {
		return r.page.bad("volumes", err)
	}
	if r.done("wipe") {
		return nil
	}
	measured, cancel := context.WithTimeout(ctx, sizesWithin)
	defer cancel()
	sizing, err := stack.NewSwarm(&stack.Options{Engines: r.cfg.engines, VolumeSizes: true})
	if err != nil {
		return err
	}
	defer sizing.Close()
	if plan, err := sizing.PlanWipe(measured, r.cfg.db, options); err == nil {
		r.found.wipe = plan
	}
	return nil
}

// wiped is how many bytes the volumes hold that are removed; false when the size of one is not known.
func (r *recovery) wiped() (total int64, known bool) {
	known = true
	for _, v := range r.found.wipe.Volumes {
		total, known = total+max(0, v.Bytes), known && v.Bytes >= 0
	}
	return total, known
}

// checkRoom looks whether the archives of the old volumes find room. Whether the restored indices do is said by the
// Elasticsearch that shows the snapshot: see measure.
func (r *recovery) checkRoom(context.Context) error {
	if r.cfg.keepOld == "" || r.found.wipe == nil || r.done("keep-old") {
		return nil
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(r.cfg.keepOld, &fs); err != nil {
		return r.page.bad("-keep-old", err)
	}
	free := int64(fs.Bavail) * int64(fs.Bsize)
	need, known := r.wiped()
	switch {
	case !known:
		r.page.note("-keep-old", fmt.Sprintf("%s are free in %s; how much the volumes hold is not known", cli.Bytes(free), r.cfg.keepOld))
	case need > free:
		return r.page.bad("-keep-old", refused(r.cfg.keepOld, "name another folder; nothing was touched", "the volumes hold %s, and %s are free", cli.Bytes(need), cli.Bytes(free)))
	default:
		r.page.good("-keep-old", fmt.Sprintf("the volumes hold %s, %s are free in %s", cli.Bytes(need), cli.Bytes(free), r.cfg.keepOld))
	}
	return nil
}

// disks is how many bytes would be restored, and how many are free for them.
type disks struct{ restored, free int64 }

// measure asks the Elasticsearch that shows the snapshot how much it would restore, and how much room its disks have.
func (r *recovery) measure(ctx context.Context, from restore.Restorer) error {
	name := r.chosen().Name
	plan, err := from.Plan(ctx, restore.Request{Snapshot: name, Indices: r.cfg.indices, Replicas: r.cfg.replicas})
	if err != nil {
		return err
	}
	if len(plan.Indices) == 0 {
		return refused(r.cfg.repository+"/"+name, "give other -indices; nothing was removed", "the snapshot has no index that matches %v", r.cfg.indices)
	}
	r.page.measured(plan)
	all, err := r.conn.Disks(ctx)
	if err != nil || len(all) == 0 {
		return nil // the restore itself looks again
	}
	r.found.disks = &disks{restored: plan.Bytes}
	for _, d := range all {
		r.found.disks.free += d.Available
	}
	return nil
}

// checkDisks refuses when what was measured does not find room.
func (r *recovery) checkDisks() error {
	if r.found.disks == nil {
		return nil
	}
	restored, free, freed := r.found.disks.restored, r.found.disks.free, int64(0)
	if r.found.alive && r.found.wipe != nil { // what lives fills the room that it will leave
		freed, _ = r.wiped()
	}
	text := fmt.Sprintf("%s are restored, %s are free for Elasticsearch", cli.Bytes(restored), cli.Bytes(free))
	if restored > free+freed {
		return r.page.bad("room", refused("disk of Elasticsearch", "make room; nothing was removed", "%s", text))
	}
	r.page.good("room", text)
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
