package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nuvla/nuvlaops/internal/units"
	"github.com/nuvla/nuvlaops/stack"
)

// sizesWithin bounds the reading of the volumes' sizes, for which the engine walks through all their files.
const sizesWithin = 10 * time.Second

// checkVolumes plans what is removed, with sizes where the engine says them soon.
func (r *recovery) checkVolumes(ctx context.Context) (err error) {
	var sized *stack.WipePlan
	var wait sync.WaitGroup
	wait.Go(func() { sized = r.sizes(ctx) })
	r.found.wipe, err = r.planWipe(ctx)
	wait.Wait()
	if err == nil && sized != nil {
		r.found.wipe = sized
	}
	return err
}

// checkObstacles refuses what the wipe would refuse when all is stopped.
func (r *recovery) checkObstacles() error {
	if r.found.wipe == nil || !r.comes("wipe") {
		return nil
	}
	obstacles := r.found.wipe.Lasting
	if r.cfg.leftOut("stop-db") != "" {
		obstacles = r.found.wipe.Obstacles
	}
	if len(obstacles) == 0 {
		return nil
	}
	hint := "nothing was touched"
	if dark := r.found.wipe.Dark; len(dark) > 0 {
		hint = fmt.Sprintf("reach %s with -engine NODE=ADDRESS or -job-image, or leave the volumes as they are with -skip wipe; %s", strings.Join(dark, ", "), hint)
	}
	return r.page.bad("volumes", refused(r.cfg.db, hint, "%s", strings.Join(obstacles, "; ")))
}

// sizes is the plan of the wipe with sizes; nil when the engine does not say them soon, or when they are of no interest.
func (r *recovery) sizes(ctx context.Context) *stack.WipePlan {
	if r.done("wipe") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sizesWithin)
	defer cancel()
	sized := r.cfg.stackOptions()
	sized.VolumeSizes = true
	sizing, err := stack.NewSwarm(sized)
	if err != nil {
		return nil
	}
	defer sizing.Close()
	plan, err := sizing.PlanWipe(ctx, r.cfg.db, r.wipeOptions())
	if err != nil {
		return nil
	}
	return plan
}

// wiped is how many bytes the volumes hold that are removed; false when the size of one is not known.
func (r *recovery) wiped() (total int64, known bool) {
	known = true
	for _, v := range r.found.wipe.Volumes {
		total, known = total+max(0, v.Bytes), known && v.Bytes >= 0
	}
	return total, known
}

// freed is how many of these bytes are on so many nodes at most: on those that Elasticsearch runs on. What other nodes remove leaves
// it no room.
func (r *recovery) freed(nodes int) (most int64, known bool) {
	_, known = r.wiped()
	byNode := map[string]int64{}
	for _, v := range r.found.wipe.Volumes {
		byNode[v.NodeID] += max(0, v.Bytes)
	}
	sizes := slices.Sorted(maps.Values(byNode))
	for _, bytes := range sizes[max(0, len(sizes)-nodes):] {
		most += bytes
	}
	return most, known
}

// checkReach refuses volumes that step keep-old would refuse when all is stopped: it reads them through the engine of their node.
func (r *recovery) checkReach() error {
	if r.cfg.keepOld == "" || r.found.wipe == nil || !r.comes("keep-old") {
		return nil
	}
	nodes := map[string]bool{}
	for _, v := range r.found.wipe.Volumes {
		if v.ByJob {
			nodes[v.Node] = true
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	return r.page.bad("-keep-old", refused(r.cfg.keepOld, "give -engine NODE=ADDRESS for each of them, or leave out -keep-old; nothing was touched",
		"-job-image does not archive volumes, and nothing else reaches those on %s", strings.Join(slices.Sorted(maps.Keys(nodes)), ", ")))
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
		r.page.note("-keep-old", fmt.Sprintf("%s are free in %s; how much the volumes hold is not known", units.Bytes(free), r.cfg.keepOld))
	case need > free:
		return r.page.bad("-keep-old", refused(r.cfg.keepOld, "name another folder; nothing was touched", "the volumes hold %s, and %s are free", units.Bytes(need), units.Bytes(free)))
	default:
		r.page.good("-keep-old", fmt.Sprintf("the volumes hold %s, %s are free in %s", units.Bytes(need), units.Bytes(free), r.cfg.keepOld))
	}
	return nil
}

// disks is how many bytes would be restored, and how many are free for them, on how many nodes: below 0 where the disks are too
// full already.
type disks struct {
	restored, free int64
	nodes          int
}

// measured keeps how much would be restored, and how much room the Elasticsearch that shows the snapshot has for it.
func (r *recovery) measured(seen *sighting) {
	if room := seen.plan.Room; room != nil { // otherwise the restore itself looks again
		r.found.disks = &disks{restored: seen.plan.Bytes, free: room.Available - room.Reserved, nodes: max(1, seen.plan.Cluster.DataNodes)}
	}
}

// checkDisks refuses when what was measured does not find room. What the old volumes hold is room too, whether what wrote it
// lives or not; where nobody can say how much that is, the restore itself finds out.
func (r *recovery) checkDisks() error {
	if r.found.disks == nil {
		return nil
	}
	restored, free, freed, known := r.found.disks.restored, r.found.disks.free, int64(0), true
	if r.found.wipe != nil && r.comes("wipe") {
		freed, known = r.freed(r.found.disks.nodes)
	}
	text := fmt.Sprintf("%s are restored, %s are free for Elasticsearch", units.Bytes(restored), units.Bytes(max(0, free)))
	if free < 0 {
		text += fmt.Sprintf(" (its disks are %s over its low watermark)", units.Bytes(-free))
	}
	switch {
	case restored <= free+freed:
		r.page.good("room", text)
	case !known:
		r.page.note("room", text+"; how much the removed volumes leave is not known")
	default:
		return r.page.bad("room", refused("disk of Elasticsearch", "make room; nothing was removed", "%s", text))
	}
	return nil
}
