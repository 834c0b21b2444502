package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// The names of one batch stay within the 4,096 bytes of a request's first line that Elasticsearch reads by default.
const (
	maxBatchNames = 50
	maxBatchBytes = 3000
)

// Delete implements SnapshotRepo. Names are deleted in batches, each with one request, since every request rewrites the
// repository's list of contents. What is gone already counts as deleted, so a call after a lost reply ends the work. Where what
// stands between ends each call of a deletion that takes long, the context or RetryPolicy.MaxAttempts alone ends the wait for it.
// Where S3 then lets no object be removed, that is an error (ErrRepository): the snapshots are gone, and their files are not.
// A bucket that keeps versions, as each with object lock does, lets them be removed and frees nothing, which no call can see.
func (r *Repo) Delete(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := ValidateName(name); err != nil {
			return nuvlaops.Wrap("snapshot.Delete", r.resource(name), err)
		}
	}
	for batch := range batches(names) {
		if err := r.deleteBatch(ctx, batch); err != nil {
			return nuvlaops.Wrap("snapshot.Delete", r.resource(label(batch)), r.explain(ctx, err))
		}
		r.log.InfoContext(ctx, "snapshots deleted", "repository", r.name, "snapshots", batch)
	}
	if len(names) == 0 {
		return nil
	}
	if err := r.filesStay(ctx); err != nil {
		return nuvlaops.Wrap("snapshot.Delete", r.resource(label(names)), fmt.Errorf("%w: %w", errFilesStay, err))
	}
	return nil
}

var errFilesStay = errors.New("what was to be removed is not listed any more, but its files may be there until a cleanup can remove them")

// filesStay asks S3 whether files can be removed: Elasticsearch calls a deletion done, and a cleanup too, when it was not allowed
// to remove a single object, and only logs that. A verification removes what it has written, and says when it could not.
func (r *Repo) filesStay(ctx context.Context) error {
	s, err := r.settings(ctx)
	if err != nil || s.S3 == nil {
		return nil
	}
	if _, err = r.verify(ctx, s); errors.Is(err, nuvlaops.ErrRepository) && errors.As(err, new(*es.ServerError)) {
		return err
	}
	return nil // also when this user may not ask, or a snapshot that is written lets the verification wait
}

func label(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}

// batches splits names, each once, in their order.
func batches(names []string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		var batch []string
		seen, bytes := map[string]bool{}, 0
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			if len(batch) == maxBatchNames || (len(batch) > 0 && bytes+len(name) > maxBatchBytes) {
				if !yield(batch) {
					return
				}
				batch, bytes = nil, 0
			}
			batch, bytes = append(batch, name), bytes+len(name)+1
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}

// longCall is what only a server at work takes to end a call, or what stands between and knows a limit.
const longCall = 20 * time.Second

// deleteBatch deletes and looks whether it is done. A lost reply and a 404, which means that nothing was deleted because
// one of the names is not there, both lead to another look and another request for what is left. The time of the retry policy
// does not end that after a long call, of which the look shows that the server is there: it goes on with the deletion, and a
// repeated request waits for the same one.
func (r *Repo) deleteBatch(ctx context.Context, names []string) error {
	goesOn := false
	again := func(err error) bool { return goesOn || es.Transient(err) || errors.Is(err, errLeft) }
	for {
		goesOn = false
		err := retry.Do(ctx, r.conn.Retry, r.log, again, func(ctx context.Context) (err error) {
			names, goesOn, err = r.deleteOnce(ctx, names)
			return err
		})
		if err == nil || !goesOn || r.conn.Retry.MaxAttempts > 0 {
			return err
		}
	}
}

// deleteOnce returns what is left, and whether the deletion may go on in the server.
func (r *Repo) deleteOnce(ctx context.Context, names []string) (left []string, goesOn bool, err error) {
	began := r.now()
	sent := r.conn.Once(ctx, func() esapi.Request {
		return esapi.SnapshotDeleteRequest{Repository: r.name, Snapshot: names}
	}, nil)
	long, lost := r.now().Sub(began) > longCall, es.Transient(sent) || brokenOff(sent)
	if sent != nil && !errors.Is(sent, nuvlaops.ErrNotFound) && !lost {
		return names, false, sent
	}
	left, err = r.existing(ctx, names)
	switch {
	case err != nil:
		return names, false, err // also an unknown repository, which is a 404 as well
	case len(left) == 0:
		return nil, false, nil
	case sent == nil:
		sent = &nuvlaops.Error{Reason: "still there after the deletion: " + label(left), Err: nuvlaops.ErrVerification}
	case slices.Equal(left, names):
		return names, long && lost, sent
	}
	return left, false, fmt.Errorf("%w (%w)", errLeft, sent)
}

var errLeft = errors.New("some snapshots are left")

// existing are those of names that the repository still holds, described or not.
func (r *Repo) existing(ctx context.Context, names []string) ([]string, error) {
	there, err := r.conn.AllSnapshotNames(ctx, r.name)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, name := range names {
		if slices.Contains(there, name) {
			left = append(left, name)
		}
	}
	return left, nil
}
