package restore

import "context"

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
