package restore

import (
	"context"
	"errors"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// damaged tells an object that is missing in the repository from what is not there at all: Elasticsearch answers 404 to both,
// and says that the snapshot is missing.
func damaged(err error) error {
	var s *es.ServerError
	var e *nuvlaops.Error
	if !errors.As(err, &s) || !errors.As(err, &e) || !s.Has("no_such_file_exception") {
		return err
	}
	return &nuvlaops.Error{Status: e.Status, Type: e.Type, Reason: "an object that belongs to a snapshot is missing in the repository: " + s.Innermost().Reason,
		Hint: "put the object back from a copy of the repository, or choose another snapshot by its name", Err: nuvlaops.ErrRepository}
}

// latest chooses the latest snapshot that fits. One that cannot be read may be it, and to restore an older one instead would
// lose data in silence: so that is an error.
func (r *Repo) latest(ctx context.Context, sel Selector) (*Snapshot, error) {
	s, err := r.firstThatFits(ctx, sel)
	if errors.Is(damaged(err), nuvlaops.ErrRepository) { // or it was being deleted, and is gone by now
		s, err = r.firstThatFits(ctx, sel)
	}
	return s, damaged(err)
}
