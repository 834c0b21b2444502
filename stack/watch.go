package stack

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"
)

const (
	// soonest is the least time between two looks: no poll is faster, and events that come in a burst cost one look.
	soonest = 100 * time.Millisecond
	// latest is the time between two looks when nothing happens here but something may on another node, whose events do
	// not come to this engine; and when nothing can happen elsewhere, so that a look is only for an event that was missed.
	latestElsewhere = 150 * time.Millisecond
	latestHere      = time.Second
)

// watch is woken by the events of a stack's containers on all nodes whose engines can be reached.
type watch struct {
	wake    chan struct{}
	remote  bool          // whether something is waited for on another node
	within  time.Duration // the next look comes no later than this, if it is set by look
	streams sync.WaitGroup
	cancel  context.CancelFunc
}

// watch follows events until closed. When the stream breaks it is opened again, and looks go on meanwhile.
func (s *Swarm) watch(ctx context.Context, f *fleet, stack string) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{wake: make(chan struct{}, 1), cancel: cancel}
	filter := make(client.Filters).Add("type", "container").Add("label", labelStack+"="+stack).
		Add("event", "start", "die", "destroy", "health_status")
	for _, e := range f.engines {
		w.streams.Go(func() { s.listen(ctx, w, e, filter) })
	}
	return w
}

func (s *Swarm) listen(ctx context.Context, w *watch, e *engine, filter client.Filters) {
	for ctx.Err() == nil {
		stream := e.api.Events(ctx, client.EventsListOptions{Filters: filter})
		err := w.follow(stream)
		if ctx.Err() == nil {
			s.opts.Logger.DebugContext(ctx, "events interrupted", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(latestHere):
		}
	}
}

func (w *watch) follow(stream client.EventsResult) error {
	for {
		select {
		case _, open := <-stream.Messages:
			if !open {
				return <-stream.Err
			}
			w.poke()
		case err := <-stream.Err:
			return err
		}
	}
}

func (w *watch) close() {
	w.cancel()
	w.streams.Wait()
}

// until calls look until it is done: at once, after events, and from time to time. After an event the looks come fast at
// first, since the manager learns of it from the node a little later. When the context ends, the error is its cause and
// what look missed last.
func (w *watch) until(ctx context.Context, look func(context.Context) (done bool, missing string, err error)) error {
	last, wait := "", soonest
	for {
		if ctx.Err() != nil {
			return interrupted(ctx, last)
		}
		began := time.Now()
		w.within = 0
		done, missing, err := look(ctx)
		if err != nil && ctx.Err() != nil {
			return interrupted(ctx, last)
		}
		if done || err != nil {
			return err
		}
		if last = missing; w.remote {
			wait = min(wait, latestElsewhere)
		}
		next := wait
		if w.within > 0 {
			next = min(next, max(w.within, soonest))
		}
		woken := w.pause(ctx, began, next)
		if wait = min(wait+wait/2, latestHere); woken {
			wait = soonest
		}
	}
}

// pause waits for an event, but no longer than wait, and no shorter than soonest after the last look began.
func (w *watch) pause(ctx context.Context, began time.Time, wait time.Duration) (woken bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return false
	case <-w.wake:
	}
	timer.Reset(max(0, soonest-time.Since(began)))
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return true
}

func interrupted(ctx context.Context, missing string) error {
	if missing == "" {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w while waiting: %s", context.Cause(ctx), missing)
}

// limited ends ctx after limit, if there is one.
func limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("limit of %s: %w", limit, context.DeadlineExceeded))
}

// some joins names for a message, the first few of them.
func some(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// sooner is for look: something happens after d without an event.
func (w *watch) sooner(d time.Duration) {
	if w.within == 0 || d < w.within {
		w.within = d
	}
}

// poke makes the next look come soon, as an event does.
func (w *watch) poke() {
	select {
	case w.wake <- struct{}{}:
	default: // woken already
	}
}
