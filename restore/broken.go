package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// wholeStreams makes a data stream one thing: when one of its indices is broken, all are restored again, since neither a
// single index of a stream can be deleted nor restored into it.
func (w world) wholeStreams() world {
	bad := map[string]bool{}
	for _, x := range w {
		if x.planned.Stream != "" && x.standing == broken {
			bad[x.planned.Stream] = true
		}
	}
	out := slices.Clone(w)
	for i, x := range out {
		if bad[x.planned.Stream] && x.standing != absent {
			out[i].standing = broken
		}
	}
	return out
}

// wholeOrGone refuses to restore an index into a data stream that is there, which the server would refuse.
func (a *application) wholeOrGone(w world) error {
	gone := map[string]bool{}
	for _, x := range w {
		gone[x.planned.Stream] = gone[x.planned.Stream] || x.standing == absent
	}
	for _, x := range w {
		if s := x.planned.Stream; s != "" && gone[s] && (x.standing == underway || x.standing == complete) {
			return conflictOf(a.plan.Request.RenamePrefix+s, "the data stream was restored, and an index of it is gone since then: by itself that cannot be restored",
				"go on without it, or delete the data stream when nothing written since is needed, and apply the same plan again")
		}
	}
	return nil
}

// withRemoved tells what has been deleted since all was proven from what was never restored, where nothing else is missing: as
// soon as ILM runs again it deletes the oldest indices of a data stream by their original age, or puts smaller ones into their
// places, and the stream goes on without them.
func (w world) withRemoved(ended string) world {
	there := map[string]bool{}
	for _, x := range w {
		there[x.planned.Stream] = there[x.planned.Stream] || x.standing == complete
	}
	out := slices.Clone(w)
	for i, x := range w {
		switch {
		case x.standing == complete:
		case x.standing == absent && x.planned.Stream != "" && there[x.planned.Stream] && beginning(ended, i) != "":
			out[i].standing, out[i].shards = removed, 0
		default:
			return w
		}
	}
	return out
}

// deleteBroken removes what this restore made and could not finish: a shard that has finally failed is only freed so.
func (a *application) deleteBroken(ctx context.Context, w world) error {
	var indices, streams []string
	for _, x := range w {
		switch stream := a.plan.Request.RenamePrefix + x.planned.Stream; {
		case x.standing != broken:
		case x.planned.Stream == "":
			indices = append(indices, a.plan.working(x.planned))
		case !slices.Contains(streams, stream):
			streams = append(streams, stream)
		}
	}
	err := a.deleteAll(ctx, indices, deleteIndices)
	if err != nil {
		return err
	}
	return a.deleteAll(ctx, streams, func(names []string) esapi.Request {
		return esapi.IndicesDeleteDataStreamRequest{Name: names}
	})
}

func deleteIndices(names []string) esapi.Request {
	yes := true
	return esapi.IndicesDeleteRequest{Index: names, IgnoreUnavailable: &yes}
}

func (a *application) deleteAll(ctx context.Context, names []string, request func([]string) esapi.Request) error {
	for chunk := range es.NameChunks(names) {
		a.log.InfoContext(ctx, "deleting what the restore made and does not need", "names", chunk)
		err := a.conn.WriteIdempotent(ctx, func() esapi.Request { return request(chunk) }, nil)
		if err != nil && !errors.Is(err, nuvlaops.ErrNotFound) {
			return fmt.Errorf("delete %s: %w", some(chunk), err)
		}
	}
	return nil
}
