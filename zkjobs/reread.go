package zkjobs

import (
	"errors"
	"fmt"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// errLostPIT: the server forgot the point in time, as one that was restarted does. Another one has other positions, so
// that a reading cannot go on in it: it begins anew.
var errLostPIT = errors.New("the point in time is gone")

// rereads bounds how often the jobs are read from the start. Each reading is as long as there are documents, so that a
// limit of time would mean less the more there are.
func rereads() nuvlaops.RetryPolicy {
	return nuvlaops.RetryPolicy{MaxAttempts: 5, MaxElapsed: -1}
}

// readAgain reports whether the jobs may be whole when they are read again from the start.
func readAgain(err error) bool { return errors.Is(err, errLostPIT) }

// lost marks the error of a search whose point in time is gone, but when repetitions are switched off. It is not the
// server's own "not found", which would mean the index.
func (d *Documents) lost(err error) error {
	var answer *es.ServerError
	if !errors.As(err, &answer) || !answer.Has("search_context_missing_exception") {
		return err
	}
	kind := nuvlaops.ErrUnavailable
	if d.opts.Retry.MaxAttempts != 1 {
		kind = fmt.Errorf("%w: %w", errLostPIT, kind)
	}
	return &nuvlaops.Error{Reason: "the server forgot the point in time of the reading: " + answer.Error(),
		Hint: "read again when Elasticsearch stays up", Err: kind}
}
