package restore

import "context"

// adopt takes as ours what the server has made of a request of this call or of an earlier one, when it was restarted before
// anybody saw which indices that were: it forgets its restores when it is restarted. Such an index was missing when the
// request was sent, all its primaries are on the server's own disk, or lost, and it is older than the snapshot, as only a
// restored one can be: what somebody has made meanwhile is younger.
func (a *application) adopt(ctx context.Context, w world) (adopted bool, err error) {
	known, uuids := a.known(), make([]string, len(w))
	for i, x := range w {
		if known.expects(i) && x.orphan && !x.created.IsZero() && x.created.Before(a.plan.Snapshot.Start) {
			uuids[i], adopted = x.uuid, true
			a.log.InfoContext(ctx, "taking up what a restart of the server has made it forget", "index", x.planned.Target)
		}
	}
	if !adopted {
		return false, nil
	}
	return true, a.rememberRunning(ctx, uuids)
}

// expect notes which indices are about to be restored, and reports whether that is news.
func (a *application) expect(w world) bool {
	uuids := make([]string, len(w))
	for i, x := range w {
		if x.standing == absent || x.standing == broken {
			uuids[i] = expected
		}
	}
	return a.learn(uuids)
}
