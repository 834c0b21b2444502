package restore

import "context"

// adopt takes as ours what the server has made of a request whose answer was lost, when it was restarted before anybody saw
// which indices that were: it forgets its restores when it is restarted. Such an index was missing when this call sent the
// request, all its primaries are on the server's own disk, or lost, and it is older than the snapshot, as only a restored
// one can be: what somebody has made meanwhile is younger.
func (a *application) adopt(ctx context.Context, w world, missing map[string]bool) (world, error) {
	uuids, news := make([]string, len(w)), false
	for i, x := range w {
		if missing[x.planned.Target] && x.orphan && !x.created.IsZero() && x.created.Before(a.plan.Snapshot.Start) {
			uuids[i], news = x.uuid, true
			a.log.InfoContext(ctx, "taking up what a restart of the server has made it forget", "index", x.planned.Target)
		}
	}
	if !news {
		return w, nil
	}
	if err := a.rememberRunning(ctx, uuids); err != nil {
		return nil, err
	}
	return a.inspect(ctx, a.plan, a.known())
}
