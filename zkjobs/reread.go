package zkjobs

import (
	"errors"
	"fmt"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// errLostPIT: the point in time is gone, with a server that was restarted, or with one node of several. Another one has other positions, so
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
	if !errors.As(err, &answer) || !pointGone(err) {
		return err
	}
	kind := nuvlaops.ErrUnavailable
	if d.opts.Retry.MaxAttempts != 1 {
		kind = fmt.Errorf("%w: %w", errLostPIT, kind)
	}
	return &nuvlaops.Error{Reason: "the point in time of the reading is gone: " + answer.Error(),
		Hint: "read again when Elasticsearch stays up", Err: kind}
}

// pointGone reports whether err says that the point in time is gone: forgotten, or with a node that held a part of it. Other copies
// of the same shards do not know it, and no repetition brings it back.
func pointGone(err error) bool {
	var answer *es.ServerError
	return errors.As(err, &answer) && (answer.Has("search_context_missing_exception") ||
		answer.Has("search_context_missing_nodes_exception") || // what 9.x says at once of a node that has left
		answer.Has("node_not_connected_exception") ||
		answer.Has("node_disconnected_exception") || answer.Has("node_closed_exception") || answer.Says("due to missing shards"))
}
