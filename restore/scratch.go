package restore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/poll"
)

const (
	// scratchPattern finds all that may be scratch; scratchForm and markSetting decide.
	scratchPattern = "drill-nuvlaops-*"
	// markSetting marks a scratch index with its drill. The restore itself sets it, so that no moment is without it. It is a
	// filter of allocation that concerns nodes with an attribute that no node has.
	markSetting = "index.routing.allocation.exclude.nuvlaops_drill"
	// removeWithin bounds the removal of scratch indices. A snapshot that happens to hold one keeps it that long at most.
	removeWithin = 2 * time.Minute
)

var scratchForm = regexp.MustCompile(`^drill-nuvlaops-(\d{8}t\d{6}z-[0-9a-f]{8})-.`)

func scratchPrefix(id string) string { return "drill-nuvlaops-" + id + "-" }

// scratchID is the drill that an index of this name would belong to, or "".
func scratchID(name string) string {
	if m := scratchForm.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return ""
}

// scratchIndices are the indices that drills have made. The name alone proves nothing: the mark must name the same drill.
func (r *Repo) scratchIndices(ctx context.Context) ([]string, error) {
	settings, err := r.conn.IndexSettings(ctx, []string{scratchPattern}, markSetting)
	if err != nil {
		return nil, err
	}
	var names []string
	for name, s := range settings {
		if id := scratchID(name); id != "" && s[markSetting] == id {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// remove deletes scratch indices until none is seen, and returns those that it has deleted and those that are left. While
// the caller holds the claim no other drill needs them; a drill that has lost it deletes its own alone. After a restore
// that was broken off it looks once more a moment later: the server may just be making them.
func (d *drill) remove(ctx context.Context, again bool) (removed, left []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, removeWithin)
	defer cancel()
	err = poll.Until(ctx, poll.Interval{First: 200 * time.Millisecond, Max: 2 * time.Second}, func(ctx context.Context) (bool, string, error) {
		names, err := d.scratchIndices(ctx)
		if err != nil {
			return false, "", err
		}
		if d.lost {
			names = slices.DeleteFunc(names, func(name string) bool { return scratchID(name) != d.report.ID })
		}
		if left = names; len(names) == 0 {
			if again {
				again = false
				pause(ctx, every)
				return false, "", nil
			}
			return true, "", nil
		}
		d.log.InfoContext(ctx, "removing scratch indices", "names", names)
		err = d.deleteScratch(ctx, names)
		if errors.Is(err, nuvlaops.ErrConflict) { // a snapshot that is being taken holds one
			return false, err.Error(), nil
		}
		for _, n := range names {
			if !slices.Contains(removed, n) {
				removed = append(removed, n)
			}
		}
		return false, "", err
	})
	return removed, left, err
}

func (r *Repo) deleteScratch(ctx context.Context, names []string) error {
	yes := true
	for chunk := range es.NameChunks(names) {
		err := r.conn.WriteIdempotent(ctx, func() esapi.Request {
			return esapi.IndicesDeleteRequest{Index: chunk, IgnoreUnavailable: &yes}
		}, nil)
		if err != nil && !errors.Is(err, nuvlaops.ErrNotFound) {
			return fmt.Errorf("delete scratch indices: %w", err)
		}
	}
	return nil
}
