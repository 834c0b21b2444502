package snapshot

import (
	"context"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
)

// Cleaned is what Cleanup removed.
type Cleaned struct {
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

// Cleanup removes what no snapshot refers to: files that a failed or aborted snapshot left behind. It refuses with
// ErrBusy while a snapshot runs in the repository; Elasticsearch itself refuses while one is deleted.
func (r *Repo) Cleanup(ctx context.Context) (Cleaned, error) {
	c, err := r.cleanup(ctx)
	return c, nuvlaops.Wrap("snapshot.Cleanup", r.name, err)
}

func (r *Repo) cleanup(ctx context.Context) (Cleaned, error) {
	running, err := r.conn.RunningSnapshots(ctx, r.name)
	switch {
	case err != nil:
		return Cleaned{}, r.explain(ctx, err)
	case len(running) > 0:
		return Cleaned{}, &nuvlaops.Error{Reason: blockerName(running[0], r.now()) + " is running",
			Hint: "clean up when nothing writes to the repository", Err: nuvlaops.ErrBusy}
	}
	var answer struct {
		Results struct {
			Bytes int64 `json:"deleted_bytes"`
			Blobs int64 `json:"deleted_blobs"`
		} `json:"results"`
	}
	err = r.conn.WriteIdempotent(ctx, func() esapi.Request {
		return esapi.SnapshotCleanupRepositoryRequest{Repository: r.name}
	}, &answer)
	if err != nil {
		return Cleaned{}, r.explain(ctx, err)
	}
	return Cleaned{Blobs: answer.Results.Blobs, Bytes: answer.Results.Bytes}, nil
}
