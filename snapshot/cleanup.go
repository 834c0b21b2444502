package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
)

// Cleaned is what Cleanup removed. A bucket that keeps versions hides these bytes, and frees none.
type Cleaned struct {
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

// Cleanup removes what no snapshot refers to: files that a failed or aborted snapshot left behind. It returns ErrBusy
// while something writes: a snapshot in this repository, or one in any other, one that is deleted, another cleanup, for
// each of which Elasticsearch itself refuses, and ErrRepository also when S3 lets no object be removed.
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
		return Cleaned{}, &nuvlaops.Error{Reason: blockerName(fromInfo(running[0]), r.now()) + " is running",
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
		return Cleaned{}, refusedAsBusy(r.explain(ctx, err))
	}
	r.log.InfoContext(ctx, "repository cleaned up", "repository", r.name, "blobs", answer.Results.Blobs, "bytes", answer.Results.Bytes)
	cleaned := Cleaned{Blobs: answer.Results.Blobs, Bytes: answer.Results.Bytes}
	if err := r.filesStay(ctx); err != nil {
		return cleaned, fmt.Errorf("files that no snapshot refers to may still be there: %w", err)
	}
	return cleaned, nil
}

// refusedAsBusy makes what Elasticsearch says while anything writes, an HTTP 500 without a type of its own, an ErrBusy.
func refusedAsBusy(err error) error {
	var e *nuvlaops.Error
	if !errors.As(err, &e) || e.Type != "illegal_state_exception" || !strings.HasPrefix(e.Reason, "Cannot cleanup") {
		return err
	}
	return &nuvlaops.Error{Status: e.Status, Type: e.Type, Reason: e.Reason, Err: nuvlaops.ErrBusy,
		Hint: "Elasticsearch cleans up only while no snapshot is taken or deleted in any repository of the cluster"}
}
