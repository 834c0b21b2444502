package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/snapshot"
)

// scheduled runs at each slot until the context ends. A slot that was missed, since nothing ran here or the run before took
// too long, is made up for once, at once.
func (b *backup) scheduled(ctx context.Context) error {
	stop, err := b.serve()
	if err != nil {
		return err
	}
	defer stop()
	last := b.schedule.Before(b.now())        // the slot that was served last
	served, furthest := b.lookBack(ctx, last) // furthest is ahead of it when the clock has jumped back
	if !served {
		b.missed(ctx, last, identity{})
	}
	for ctx.Err() == nil {
		if made := b.schedule.Before(b.now()); made.After(last) {
			last = made
			b.missed(ctx, made, b.lateIdentity(made, furthest))
			continue
		}
		slot := b.schedule.Next(b.now())
		begin := slot.Add(b.delay())
		b.status.waitsFor(begin)
		if !b.schedule.Wait(ctx, b.now, begin, slot) {
			continue
		}
		id := b.identityOf(slot, furthest)
		if b.now().Sub(begin) > time.Minute { // the machine slept: the slot's name would lie about the time
			id = b.lateIdentity(slot, furthest)
		}
		last = slot
		if slot.After(furthest) {
			furthest = slot
		}
		b.attempt(ctx, id)
	}
	return cli.Shown(b.broken)
}

func (b *backup) missed(ctx context.Context, slot time.Time, id identity) {
	b.out.info("a slot was missed: backing up now", "slot", slot.Format(time.RFC3339))
	b.attempt(ctx, id)
}

// attempt is one run that the schedule outlives.
func (b *backup) attempt(ctx context.Context, id identity) {
	if err := b.once(ctx, id); ctx.Err() != nil {
		b.broken = err
	}
}

// identityOf is the same wherever this schedule runs: of several hosts one takes the snapshot of a slot, and the others find
// it. When the clock has jumped back, a slot comes twice, and its second snapshot is one of its own: the first is not taken up.
func (b *backup) identityOf(slot, furthest time.Time) identity {
	if !slot.After(furthest) {
		return b.newRun()
	}
	return identity{name: snapshot.Name(b.create.Prefix, slot), runID: b.slotRun() + slot.Format(time.RFC3339)}
}

// lateIdentity is that of a run which is late for its slot: it takes up the slot's snapshot where another host has taken it, but
// no first one of a slot that comes twice.
func (b *backup) lateIdentity(slot, furthest time.Time) identity {
	if !slot.After(furthest) {
		return b.newRun()
	}
	return identity{}
}

// lookBack reports whether a complete snapshot that is recorded here was begun at the slot or later, and which is the last
// slot that has one: a slot that is to come has it from a clock that was ahead, and nothing is recorded by that.
func (b *backup) lookBack(ctx context.Context, slot time.Time) (served bool, furthest time.Time) {
	newest := true // of those that are complete
	furthest = slot
	for s, err := range b.repo.List(ctx, snapshot.Filter{NewestFirst: true, Ours: true}) {
		if err != nil || begun(s).Before(slot) {
			break
		}
		if strings.HasPrefix(s.RunID, b.slotRun()) && begun(s).After(furthest) {
			furthest = begun(s)
		}
		if newest && s.Complete() && named(s, b.create.Prefix) && !begun(s).After(b.now()) {
			served, newest = b.recorded(s), false
		}
	}
	return served, furthest
}

func (b *backup) delay() time.Duration {
	if b.jitter == 0 {
		return 0
	}
	return rand.N(b.jitter)
}
