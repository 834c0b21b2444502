package snapshot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/poll"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// grace is what the blocking call gets to answer after the server shows the snapshot's end: its connection may be dead
// without anybody having closed it.
const grace = 5 * time.Second

// take begins the snapshot and returns when it has ended. After a lost reply it looks for the snapshot under its name:
// one of this run is followed, and only when there is none the request is repeated, under the same name, which
// Elasticsearch gives to one snapshot only.
func (w *run) take(ctx context.Context) error {
	waited := false
	return poll.Until(ctx, poll.Interval{First: time.Second, Max: 5 * time.Second}, func(ctx context.Context) (done bool, missing string, err error) {
		if waited { // the count is old by now
			if w.before, err = w.count(ctx); err != nil {
				return false, "", err
			}
		}
		err = retry.Do(ctx, w.conn.Retry, w.log, es.Transient, func(ctx context.Context) error {
			err := w.takeOnce(ctx)
			if errors.Is(err, errNameTaken) {
				w.apart, w.name = true, nameApart(w.name, w.req.RunID)
				err = w.takeOnce(ctx)
			}
			return err
		})
		if errors.Is(err, nuvlaops.ErrBusy) && w.req.WhenBusy != BusyRefuse && w.now().Before(w.limit) {
			waited = true
			w.reporter.say("waiting for another snapshot", err.Error())
			return false, "the server takes as many snapshots as it may", nil
		}
		return true, "", err
	})
}

var errNameTaken = errors.New("the name was taken in the same second")

func (w *run) takeOnce(ctx context.Context) error {
	w.begun = true
	w.log.InfoContext(ctx, "taking a snapshot", "repository", w.Repo.name, "snapshot", w.name, "run", w.req.RunID)
	err := w.block(ctx)
	switch {
	case err == nil:
		return w.ended(ctx)
	case ctx.Err() != nil:
		return err
	case errors.Is(err, nuvlaops.ErrExists), es.Transient(err), errors.Is(err, errHung), brokenOff(err):
	default:
		return w.failed(ctx, err)
	}
	found, look := w.conn.Snapshot(ctx, w.Repo.name, w.name)
	switch {
	case errors.Is(look, nuvlaops.ErrNotFound) && errors.Is(err, nuvlaops.ErrExists) && w.mayStepAside():
		return errNameTaken // by one whose files are gone
	case errors.Is(look, nuvlaops.ErrNotFound):
		return err // not carried out, or not yet
	case look != nil:
		return fmt.Errorf("%w (and the snapshot could not be looked for: %w)", err, look)
	case found.RunID() == w.req.RunID:
		w.adopted(ctx, w.name)
		if m, _ := found.Manifest(); m.Digest != es.Digest(counts(w.before)) {
			w.before = nil // another host's call of this run began it, after a count of its own
		}
		return w.follow(ctx)
	case w.mayStepAside():
		return errNameTaken
	}
	return &nuvlaops.Error{Reason: "the name is taken by another run", Err: nuvlaops.ErrExists}
}

// mayStepAside reports whether the name was made and may get a suffix.
func (w *run) mayStepAside() bool { return w.req.Name == "" && !w.apart }

// brokenOff reports whether the answer is not Elasticsearch's own: its refusal was lost on the way, so that the name may be
// taken, or what stands between ended the call, and the snapshot goes on.
func brokenOff(err error) bool {
	var e *nuvlaops.Error
	return errors.As(err, &e) && e.Type == "" &&
		(e.Status == http.StatusBadRequest || e.Status == http.StatusRequestTimeout || e.Status >= http.StatusInternalServerError)
}

// ended looks once, since the snapshot has ended, and counts the documents at the same time.
func (w *run) ended(ctx context.Context) error {
	var counted sync.WaitGroup
	counted.Go(func() { w.after, w.uncounted = w.count(ctx) })
	err := w.follow(ctx)
	counted.Wait()
	return err
}

// block sends the call that answers when the snapshot has ended, and watches beside it.
func (w *run) block(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if w.watch(ctx) {
			select {
			case <-ctx.Done():
			case <-time.After(grace):
				cancel(errHung)
			}
		}
	}()
	err := w.conn.Once(ctx, w.request, nil)
	if errors.Is(context.Cause(ctx), errHung) {
		err = errHung
	}
	cancel(nil)
	<-watched
	return err
}

var errHung = errors.New("the connection of the blocking call is dead")

func (w *run) request() esapi.Request {
	wait := true
	features := []string(nil)
	if !w.req.GlobalState {
		features = []string{"none"}
	}
	body := map[string]any{
		"indices":              w.req.Indices,
		"include_global_state": w.req.GlobalState,
		"partial":              w.req.Partial,
		"metadata":             es.Metadata(w.req.RunID, es.NewManifest(counts(w.before)), w.req.further()),
	}
	if features != nil {
		body["feature_states"] = features
	}
	return esapi.SnapshotCreateRequest{Repository: w.Repo.name, Snapshot: w.name, WaitForCompletion: &wait, Body: es.JSON(body)}
}

// failed adds to an error of the server what it left behind under the name.
func (w *run) failed(ctx context.Context, err error) error {
	err = w.explain(ctx, err)
	found, look := w.conn.Snapshot(ctx, w.Repo.name, w.name)
	if look == nil && found.RunID() == w.req.RunID {
		return fmt.Errorf("%w (the snapshot is listed as %s)", err, found.State)
	}
	return err
}

// follow looks at the snapshot until it has ended.
func (w *run) follow(ctx context.Context) error {
	return poll.Until(ctx, poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		info, err := w.conn.Snapshot(ctx, w.Repo.name, w.name)
		switch {
		case errors.Is(err, nuvlaops.ErrNotFound):
			return false, "", &nuvlaops.Error{Reason: "the snapshot is not listed any more", Err: nuvlaops.ErrVerification,
				Hint: "it was deleted, or the repository was lost before it could be completed: see the log of the master node"}
		case err != nil:
			return false, "", fmt.Errorf("the snapshot was begun, but its state is not known: %w", err)
		case info.Running():
			w.report(ctx)
			return false, "snapshot " + w.name + " is running", nil
		}
		w.info = info
		return true, "", nil
	})
}
