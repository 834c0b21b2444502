package restore

import (
	"context"
	"errors"
	"slices"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// adopt takes as ours what the server has made of a request of this call or of an earlier one, when it was restarted before
// anybody saw which indices that were: it forgets its restores when it is restarted.
func (a *application) adopt(ctx context.Context, w world) (adopted bool, err error) {
	uuids := make([]string, len(w))
	for i, x := range w {
		if x.forgotten {
			uuids[i], adopted = x.uuid, true
			a.log.InfoContext(ctx, "taking up what a restart of the server has made it forget", "index", x.planned.Target)
		}
	}
	if !adopted {
		return false, nil
	}
	return true, a.rememberRunning(ctx, uuids)
}

// expect notes which indices are about to be restored, and which ones were, and reports whether that is news.
func (a *application) expect(w world) bool {
	a.were = w.uuids()
	uuids := slices.Clone(a.were)
	for i, x := range w {
		if x.standing == absent || x.standing == broken {
			uuids[i] = expected
		}
	}
	return a.learn(uuids)
}

// withdraw takes back what expect has noted when the server has surely restored nothing: what bears such a name from now on is
// somebody else's. putBack writes it.
func (a *application) withdraw() {
	if a.withdrawn = !a.asked && a.journal.expectsAny(); !a.withdrawn {
		return
	}
	for i := range a.were {
		if !a.journal.expects(i) {
			a.were[i] = a.journal.uuid(i)
		}
	}
	a.journal.Indices = beginnings(a.were)
}

// refused reports whether the server has surely done nothing of a restore that failed with err: it says why. Of an index that
// exists, an earlier request may have made it.
func refused(err error) bool {
	var e *nuvlaops.Error
	return errors.As(err, &e) && e.Type != "" && !es.Transient(err) && !errors.Is(err, nuvlaops.ErrExists)
}
