package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

const (
	// firstLook comes early: it learns the UUIDs of the new indices, for a call after a crash.
	firstLook = 100 * time.Millisecond
	// every is how often the server is looked at: each look is two small requests.
	every = time.Second
	// lookWithin ends a look that hangs: a machine that lost its power does not even close its connections.
	lookWithin = 10 * time.Second
	// sends bounds how often a restore is sent again whose answer was lost.
	sends = 5
)

// follow restores what is missing and returns how things stand when every primary is started, or one has finally failed
// and, with KeepGoing, none is being restored any more.
//
// A blocking call tells of the end at once. Looks beside it find the failures of single shards and the progress.
func (a *application) follow(ctx context.Context, missing map[string]bool) (world, error) {
	if a.opts.Detach {
		if err := a.restore(ctx, missing); err != nil {
			return nil, err
		}
		return a.inspect(ctx, a.plan, a.known())
	}
	if len(missing) == 0 {
		return a.wait(ctx, a.waitForPrimaries, true)
	}
	return a.wait(ctx, func(ctx context.Context) error { return a.restore(ctx, missing) }, false)
}

// wait runs block, which returns when there may be something new, and looks beside it. When attached is true, a server
// without a running restore has nothing more to do for us.
func (a *application) wait(ctx context.Context, block func(context.Context) error, attached bool) (world, error) {
	ended := make(chan error, 1)
	blocking, stop := context.WithCancel(ctx)
	go func() { ended <- block(blocking) }()
	looked := make(chan seen, 1)
	looking, stopLook := context.WithCancel(ctx)
	go func() { looked <- a.keepLooking(looking, attached) }()
	var err error
	select {
	case err = <-ended:
		stopLook()
		<-looked
		stop()
	case s := <-looked:
		err = s.err
		stop()
		<-ended
		stopLook()
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	}
	w, err := a.inspect(ctx, a.plan, a.known())
	if err != nil || a.settled(w) {
		return w, err
	}
	pause(ctx, firstLook) // health is yellow before a primary that was lost is known to be
	return a.wait(ctx, a.waitForPrimaries, true)
}

// keepLooking returns when a shard has finally failed, nothing runs any more, or the context ends.
func (a *application) keepLooking(ctx context.Context, attached bool) seen {
	timer := time.NewTimer(firstLook)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return seen{}
		case <-timer.C:
		}
		s := a.lookOnce(ctx)
		if s.err != nil || (s.failed && !a.opts.KeepGoing) || (attached && !s.running) {
			return s
		}
		attached = attached || s.running // from now on a restore that is not there any more has ended, or was lost
		// A cluster state of thousands of shards is not asked for more than a tenth of the time.
		timer.Reset(max(every, 10*s.took))
	}
}

// lookOnce is a look that does not hang.
func (a *application) lookOnce(ctx context.Context) seen {
	within, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	s := a.look(within)
	if s.err != nil && within.Err() != nil && ctx.Err() == nil {
		return seen{} // nothing was seen: whoever asked looks closer, with the patience of the retry policy
	}
	return s
}

// settled reports whether there is nothing to wait for. After a restart of the server it takes a moment until all that is
// lost is known to be.
func (a *application) settled(w world) bool {
	if w.count(broken) > 0 && !a.opts.KeepGoing && !w.restarted() {
		return true
	}
	return w.count(underway) == 0
}

// restore sends the restore and returns when the server says that it has ended; how, it does not say reliably. When the
// answer is lost, what is there now decides: the request is sent again only while an index is missing.
func (a *application) restore(ctx context.Context, missing map[string]bool) error {
	if len(missing) == 0 {
		return nil
	}
	body, err := a.body(a.plan.requested(missing))
	if err != nil {
		return err
	}
	lost := false // the answer to a request that may have been carried out
	for n := 1; ; n++ {
		err := a.send(ctx, body)
		a.asked = a.asked || !refused(err)
		exists := errors.Is(err, nuvlaops.ErrExists) // by our own request whose answer was lost, or by somebody else
		if err == nil || ctx.Err() != nil || !(exists || es.Transient(err)) {
			return err
		}
		lost = lost || !exists
		there, lookErr := a.underWay(ctx, missing, lost)
		switch {
		case lookErr != nil:
			return lookErr
		case there:
			return nil
		case exists:
			a.asked = lost
			return appeared(err)
		case n == sends:
			return err
		}
		pause(ctx, every)
	}
}

// appeared is the error of a server that finds an index which was not there right before.
func appeared(err error) error {
	var e *nuvlaops.Error
	if !errors.As(err, &e) {
		return err
	}
	out := *e
	out.Hint, out.Err = "plan again", fmt.Errorf("%w: %w", nuvlaops.ErrConflict, err)
	return &out
}

func (a *application) send(ctx context.Context, body string) error {
	wait := !a.opts.Detach
	a.log.InfoContext(ctx, "restoring", "repository", a.name, "snapshot", a.plan.Snapshot.Name)
	var answer struct {
		Snapshot *struct {
			Shards es.ShardCount `json:"shards"`
		} `json:"snapshot"`
	}
	return damaged(a.conn.Write(ctx, func() esapi.Request {
		return esapi.SnapshotRestoreRequest{Repository: a.name, Snapshot: a.plan.Snapshot.Name, WaitForCompletion: &wait, Body: strings.NewReader(body)}
	}, &answer))
}

// underWay reports whether an earlier request was carried out: none of the indices is missing.
func (a *application) underWay(ctx context.Context, missing map[string]bool, lost bool) (bool, error) {
	w, err := a.inspect(ctx, a.plan, a.known())
	if err == nil && lost {
		var adopted bool
		if adopted, err = a.adopt(ctx, w); adopted && err == nil {
			w, err = a.inspect(ctx, a.plan, a.known())
		}
	}
	if err != nil {
		return false, err
	}
	for _, x := range w {
		if missing[x.planned.Target] && (x.standing == absent || x.standing == foreign) {
			return false, nil
		}
	}
	return true, nil
}

// deletionBlocks keep an index from being deleted, and from being cloned.
var deletionBlocks = []string{"index.blocks.read_only", "index.blocks.read_only_allow_delete", "index.blocks.metadata"}

// body is the request of a restore.
func (a *application) body(names []string) (string, error) {
	q := a.plan.Request
	body := map[string]any{"indices": strings.Join(names, ","), "include_global_state": false, // it is restored before
		"include_aliases": !q.WithoutAliases && !q.Replace, "partial": false, "feature_states": []string{"none"}} // an empty list would mean the default
	if pattern, replacement := a.plan.renames(); pattern != "" {
		body["rename_pattern"], body["rename_replacement"] = pattern, replacement
	}
	settings, ignored := map[string]any{}, []string{}
	for name, value := range q.Settings {
		if value == "" {
			ignored = append(ignored, name)
		} else {
			settings[name] = value
		}
	}
	if q.Replicas != nil {
		settings[replicasSetting] = *q.Replicas
	}
	if q.Checksums {
		settings[checkSetting] = "checksum"
	}
	if len(settings) > 0 {
		body["index_settings"] = settings
	}
	if q.Replace || a.scratch {
		ignored = append(ignored, deletionBlocks...)
	}
	if len(ignored) > 0 {
		body["ignore_index_settings"] = ignored
	}
	raw, err := json.Marshal(body)
	return string(raw), err
}

// waitForPrimaries blocks until the primaries of all the plan's indices are started: health of yellow, which it also is while
// they come from a snapshot, and no shard that is being copied. It is asked for in groups that fit into a request, each
// answered at once where it holds already. It returns after half a minute in any case.
func (a *application) waitForPrimaries(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 45*time.Second) // a server that accepts and never answers
	defer cancel()
	yes := true
	for chunk := range es.NameChunks(a.waiting) {
		var answer struct {
			TimedOut bool `json:"timed_out"`
		}
		err := es.Send(ctx, a.conn.Client, esapi.ClusterHealthRequest{Index: chunk, WaitForStatus: "yellow", WaitForNoInitializingShards: &yes,
			ExpandWildcards: "all", Timeout: 30 * time.Second}, &answer)
		var e *nuvlaops.Error
		switch {
		case errors.As(err, &e) && e.Status == 408, err == nil && answer.TimedOut: // still waiting: the caller looks
			return nil
		case es.Transient(err), errors.Is(err, context.DeadlineExceeded):
			pause(ctx, every)
			return nil
		case err != nil:
			return fmt.Errorf("wait for primaries: %w", err)
		}
	}
	return nil
}

// pause leaves a server that does not answer alone for a moment.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
