package restore

import (
	"context"
	"errors"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// damaged tells what is wrong with the repository. An object that is missing is not a snapshot that is not there, though
// Elasticsearch answers 404 to both, and says that the snapshot is missing; and a store that does not answer is an error of
// the server without a name of its own.
func damaged(err error) error {
	var s *es.ServerError
	var e *nuvlaops.Error
	if !errors.As(err, &s) || !errors.As(err, &e) {
		return err
	}
	out := &nuvlaops.Error{Status: e.Status, Type: e.Type, Err: nuvlaops.ErrRepository}
	switch {
	case s.Has("no_such_file_exception"):
		out.Reason = "an object that belongs to a snapshot is missing in the repository: " + s.Innermost().Reason
		out.Hint = "put the object back from a copy of the repository, or choose another snapshot by its name"
	case s.Kind != nil && s.Kind != nuvlaops.ErrRepository:
		return err
	case s.Says("; Status Code: 5") || s.Says(", Status Code: 5") || s.Says("Status Code: 429"): // of S3, under both AWS SDKs
		out.Reason = "Elasticsearch cannot read the repository: " + s.Innermost().Reason
		out.Hint = "S3 answers with a failure of its own, or asks for fewer requests: see its log and its disks, and call again"
	case s.Says("(Service: Amazon S3; ") || s.Says("(Service: S3, "):
		out.Reason = "Elasticsearch cannot read the repository: " + s.Innermost().Reason
		out.Hint = "S3 answers, and refuses: check the bucket, the keys in the keystore of each node, and that they may list the bucket and read objects in it"
	case s.Has("i_o_exception") || s.Has("sdk_client_exception"):
		out.Reason = "Elasticsearch cannot read the repository: " + s.Innermost().Reason
		out.Hint = "check that what holds the repository runs and that Elasticsearch reaches it, and call again"
	default:
		return err
	}
	return out
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
