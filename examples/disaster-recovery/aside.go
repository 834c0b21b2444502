package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/filelock"
	"github.com/nuvla/nuvlaops/internal/runbook"
	"github.com/nuvla/nuvlaops/stack"
)

// throwAwayWithin is how long a plan waits for its throw-away Elasticsearch: booting took 5 to 12 s on two cores.
const throwAwayWithin = 3 * time.Minute

// readJournal lets a plan know what an earlier call has done, without keeping anybody out.
func (r *recovery) readJournal() (err error) {
	if r.journal, err = runbook.ReadJournal(r.cfg.journal, r.cfg.key()); err == nil {
		r.goOn()
	}
	return err
}

// noteHolder says who works on the stack. He may have been killed.
func (r *recovery) noteHolder(ctx context.Context) {
	if holder, err := r.stacks.ClaimedBy(ctx, r.cfg.db); err == nil && holder != "" {
		r.page.note("mark", "the stack is being worked on, or was when its program was killed: "+holder)
	}
}

// hold keeps others out for the time of a look, on this machine and on all managers.
func (r *recovery) hold(ctx context.Context) (_ context.Context, free func(), err error) {
	lock, err := filelock.Take(r.cfg.journal + ".lock")
	if err != nil {
		return ctx, nil, err
	}
	ctx, release, err := r.claim(ctx, lock.Place())
	if err != nil {
		_ = lock.Close()
		return ctx, nil, err
	}
	return ctx, func() { release(); _ = lock.Close() }, nil
}

// mustLookAside says whether a plan has to start a throw-away Elasticsearch to see the snapshot.
func (r *recovery) mustLookAside() bool {
	return r.cfg.planOnly && !r.found.alive && r.mustLook() && r.cfg.leftOut("look") == ""
}

// lookAside sees the snapshot for a plan where no Elasticsearch lives. Nothing is stopped for it: the throw-away one has
// the image, secrets and networks of the service, or of its compose file, but not its name, so that nobody else finds it.
func (r *recovery) lookAside(ctx context.Context) (err error) {
	const name = "throw-away"
	ctx, free, err := r.hold(ctx)
	if err != nil {
		return r.page.bad(name, err)
	}
	defer free()
	r.screen.Printf("no Elasticsearch answers: starting a throw-away one to look for the snapshot, removed again")
	options := r.copyOptions()
	options.Aside = true
	throwAway, err := r.stacks.RunCopy(ctx, r.cfg.db, "es", options)
	if err != nil {
		return r.page.bad(name, refusal(err))
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if gone := throwAway.Remove(clean); gone != nil {
			err = errors.Join(err, r.page.bad(name, gone))
		}
	}()
	if err := r.enter(ctx, throwAway); err != nil {
		return r.page.bad(name, err)
	}
	r.page.note(name, "an Elasticsearch of the image, secrets and networks of es was started beside what is there, and is removed again")
	r.found.aside = true
	return r.lookForTheSnapshot(ctx)
}

// enter makes the throw-away one that which this program talks to, and waits until it serves.
func (r *recovery) enter(ctx context.Context, throwAway *stack.Copy) error {
	way, err := throwAway.Forward(9200)
	if err != nil {
		return err
	}
	r.forwards = append(r.forwards, way)
	if err := r.talkTo(r.cfg.spokenTo(way.Addr())); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, throwAwayWithin, fmt.Errorf("%w: it does not serve after %s", nuvlaops.ErrUnavailable, throwAwayWithin))
	defer cancel()
	return r.waitForES(ctx, r.client, way.Reach)
}

// spokenTo is an address as that of -es is spoken to, whose scheme may be left out.
func (c *config) spokenTo(address string) string {
	if scheme, _, found := strings.Cut(c.es, "://"); found {
		return scheme + "://" + address
	}
	return address
}

// sweepCopy removes the throw-away one that a plan has left which was killed, unless somebody works with it now.
func (r *recovery) sweepCopy(ctx context.Context) error {
	left, err := r.stacks.CopyIsLeft(ctx, r.cfg.db, "es")
	if err != nil || !left {
		return err
	}
	ctx, free, err := r.hold(ctx)
	if errors.Is(err, nuvlaops.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer free()
	r.page.note("throw-away", "the Elasticsearch that a killed call has left is removed")
	return r.stacks.RemoveCopy(ctx, r.cfg.db, "es")
}
