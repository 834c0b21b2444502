package stack_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

const beat = 200 * time.Millisecond

// claim claims the bench's stack, and removes the mark when the test ends, whoever has it then.
func (b *bench) claim(opts stack.ClaimOptions) (*stack.Claim, error) {
	opts.Beat = beat
	b.t.Cleanup(func() {
		_, _ = b.api.ConfigRemove(context.Background(), "nuvlaops-claim-"+b.stack, client.ConfigRemoveOptions{})
	})
	return b.Claim(b.t.Context(), b.stack, opts)
}

func TestASecondClaimIsRefusedAndNamesTheFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, err := b.claim(stack.ClaimOptions{Holder: "host one, process 12", Place: "here"})
	must(t, err)
	_, err = b.claim(stack.ClaimOptions{Holder: "host two, process 13", Place: "there"})
	mustBe(t, err, nuvlaops.ErrBusy, "host one, process 12")
	must(t, first.Release(t.Context()))
	second, err := b.claim(stack.ClaimOptions{Holder: "host two, process 13", Place: "there"})
	must(t, err)
	must(t, second.Release(t.Context()))
}

// The engine makes a config of one name once, whichever manager is asked.
func TestOfClaimsInTheSameInstantOneIsTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const all = 8
	var wait sync.WaitGroup
	claims, errs := make([]*stack.Claim, all), make([]error, all)
	for i := range all {
		wait.Go(func() {
			claims[i], errs[i] = b.claim(stack.ClaimOptions{Holder: fmt.Sprint("host ", i), Place: fmt.Sprint("place ", i)})
		})
	}
	wait.Wait()
	taken := 0
	for i := range all {
		if errs[i] == nil {
			taken++
			must(t, claims[i].Release(t.Context()))
		} else if !errors.Is(errs[i], nuvlaops.ErrBusy) {
			t.Errorf("host %d: %v, want ErrBusy", i, errs[i])
		}
	}
	if taken != 1 {
		t.Errorf("%d of %d claims were taken, want 1", taken, all)
	}
}

// abandoned leaves the mark of a process that is gone: nobody renews it.
func (b *bench) abandoned(opts stack.ClaimOptions) {
	b.t.Helper()
	c, err := b.claim(opts)
	must(b.t, err)
	mark, err := b.api.ConfigInspect(b.t.Context(), "nuvlaops-claim-"+b.stack, client.ConfigInspectOptions{})
	must(b.t, err)
	must(b.t, c.Release(b.t.Context()))
	_, err = b.api.ConfigCreate(b.t.Context(), client.ConfigCreateOptions{Spec: mark.Config.Spec})
	must(b.t, err)
}

func TestAClaimThatStandsStillIsTakenOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.abandoned(stack.ClaimOptions{Holder: "gone", Place: "there"})
	began := time.Now()
	c, err := b.claim(stack.ClaimOptions{Holder: "alive", Place: "here"})
	must(t, err)
	if waited := time.Since(began); waited < 3*beat {
		t.Errorf("taken over after %s, before a living one would have been seen", waited)
	}
	must(t, c.Release(t.Context()))
}

// Its holder has ended well, while somebody looks whether he still lives.
func TestAClaimThatIsReleasedWhileItIsLookedAtIsFree(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.abandoned(stack.ClaimOptions{Holder: "gone", Place: "there"})
	time.AfterFunc(beat, func() {
		if _, err := b.api.ConfigRemove(context.Background(), "nuvlaops-claim-"+b.stack, client.ConfigRemoveOptions{}); err != nil {
			t.Error(err)
		}
	})
	c, err := b.claim(stack.ClaimOptions{Holder: "alive", Place: "here"})
	must(t, err)
	must(t, c.Release(t.Context()))
}

// The engine looks for parts of names, and a drill has that of its stack, and more.
func TestTheClaimOfADrillIsNotThatOfItsStack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	drill, err := b.Claim(t.Context(), b.stack+"-drill", stack.ClaimOptions{Holder: "drill", Beat: beat})
	must(t, err)
	t.Cleanup(func() { _ = drill.Release(context.Background()) })
	is := func(of, want string) {
		t.Helper()
		if holder, err := b.ClaimedBy(t.Context(), of); err != nil || holder != want {
			t.Errorf("%s is claimed by %q, %v, want %q", of, holder, err, want)
		}
	}
	is(b.stack, "")
	c, err := b.claim(stack.ClaimOptions{Holder: "recovery"})
	must(t, err)
	is(b.stack, "recovery")
	must(t, c.Release(t.Context()))
	is(b.stack, "")
	is(b.stack+"-drill", "drill")
}

func TestAClaimFromTheSamePlaceIsTakenOverAtOnceAndItsHolderIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	lost := make(chan error, 1)
	_, err := b.claim(stack.ClaimOptions{Holder: "first", Place: "here", Lost: func(err error) { lost <- err }})
	must(t, err)
	second, err := b.claim(stack.ClaimOptions{Holder: "second", Place: "here"})
	must(t, err)
	select {
	case err := <-lost:
		mustBe(t, err, nuvlaops.ErrConflict, "second")
	case <-time.After(time.Minute):
		t.Error("the first was not told")
	}
	must(t, second.Release(t.Context()))
}

// Who is told that he has lost it cleans up, and releases.
func TestAClaimThatIsLostMayBeReleasedThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	claimed, released := make(chan *stack.Claim, 1), make(chan error, 1)
	first, err := b.claim(stack.ClaimOptions{Holder: "first", Place: "here", Lost: func(error) { released <- (<-claimed).Release(context.Background()) }})
	must(t, err)
	claimed <- first
	second, err := b.claim(stack.ClaimOptions{Holder: "second", Place: "here"})
	must(t, err)
	select {
	case err := <-released:
		must(t, err)
	case <-time.After(30 * time.Second):
		t.Error("Release waits for what waits for it")
	}
	if holder, err := b.ClaimedBy(t.Context(), b.stack); err != nil || holder != "second" {
		t.Errorf("the stack is claimed by %q, %v, want the mark of the second left alone", holder, err)
	}
	must(t, second.Release(t.Context()))
	if holder, err := b.ClaimedBy(t.Context(), b.stack); err != nil || holder != "" {
		t.Errorf("released by both, it is claimed by %q, %v", holder, err)
	}
}

func TestAClaimWhoseMarkIsRemovedMakesItAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c, err := b.claim(stack.ClaimOptions{Holder: "host one", Lost: func(err error) { t.Errorf("lost: %v", err) }})
	must(t, err)
	_, err = b.api.ConfigRemove(t.Context(), "nuvlaops-claim-"+b.stack, client.ConfigRemoveOptions{})
	must(t, err)
	b.eventually("the mark comes back", func() bool {
		_, err := b.api.ConfigInspect(t.Context(), "nuvlaops-claim-"+b.stack, client.ConfigInspectOptions{})
		return err == nil
	})
	if _, err := b.claim(stack.ClaimOptions{Holder: "host two"}); !errors.Is(err, nuvlaops.ErrBusy) {
		t.Errorf("the second claim: %v, want ErrBusy", err)
	}
	must(t, c.Release(t.Context()))
}

func TestAClaimIsJudgedByItsOwnBeat(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	t.Cleanup(func() {
		_, _ = b.api.ConfigRemove(context.Background(), "nuvlaops-claim-"+b.stack, client.ConfigRemoveOptions{})
	})
	first, err := b.Claim(t.Context(), b.stack, stack.ClaimOptions{Holder: "slow", Beat: 10 * beat, Lost: func(err error) { t.Errorf("lost: %v", err) }})
	must(t, err)
	_, err = b.claim(stack.ClaimOptions{Holder: "fast"})
	mustBe(t, err, nuvlaops.ErrBusy, "slow")
	must(t, first.Release(t.Context()))
}

func TestAClaimWithoutAHolderNamesTheProcessAndOutlivesItsContext(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := b.Claim(ctx, b.stack, stack.ClaimOptions{Beat: beat})
	must(t, err)
	cancel()
	time.Sleep(2 * beat)
	_, err = b.claim(stack.ClaimOptions{Place: "there"})
	mustBe(t, err, nuvlaops.ErrBusy, fmt.Sprint("process ", os.Getpid()))
	must(t, c.Release(t.Context()))
}

// A holder cannot renew its mark while the engine is away, so that nobody may take this for its end.
func TestAClaimIsNotTakenOverBecauseTheEngineWasAway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	t.Cleanup(func() {
		_, _ = b.api.ConfigRemove(context.Background(), "nuvlaops-claim-"+b.stack, client.ConfigRemoveOptions{})
	})
	const beat = 3 * beat // who comes back has six of these, also on a busy machine
	var away atomic.Bool
	host := inFront(t, func(w http.ResponseWriter, r *http.Request, engine http.Handler) {
		if away.Load() {
			panic(http.ErrAbortHandler)
		}
		engine.ServeHTTP(w, r)
	})
	claim := func(holder string, again time.Duration) (*stack.Claim, error) {
		s, err := stack.NewSwarm(&stack.Options{Host: host, Retry: nuvlaops.RetryPolicy{Initial: again, Max: again}})
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s.Claim(t.Context(), b.stack, stack.ClaimOptions{Holder: holder, Beat: 3 * beat, Lost: func(err error) { t.Errorf("lost: %v", err) }})
	}
	first, err := claim("first", beat)
	must(t, err)
	time.AfterFunc(beat, func() { away.Store(true) }) // it has been seen by then, and not been renewed
	time.AfterFunc(13*beat, func() { away.Store(false) })
	_, err = claim("second", beat/20)
	mustBe(t, err, nuvlaops.ErrBusy, "first")
	must(t, first.Release(t.Context()))
}

func TestAClaimWhoseReplyIsLostIsKnownAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	t.Cleanup(func() {
		_, _ = b.api.ConfigRemove(context.Background(), "nuvlaops-claim-"+b.stack, client.ConfigRemoveOptions{})
	})
	var seen sync.Map
	host := inFront(t, func(w http.ResponseWriter, r *http.Request, engine http.Handler) {
		_, again := seen.LoadOrStore(r.Method+path.Base(r.URL.Path), true)
		if again || r.Method == http.MethodGet || r.Method == http.MethodHead {
			engine.ServeHTTP(w, r)
			return
		}
		engine.ServeHTTP(discard{}, r)
		panic(http.ErrAbortHandler)
	})
	s, err := stack.NewSwarm(&stack.Options{Host: host})
	must(t, err)
	defer s.Close()
	began := time.Now()
	c, err := s.Claim(t.Context(), b.stack, stack.ClaimOptions{Beat: 30 * time.Second})
	must(t, err)
	if waited := time.Since(began); waited > 30*time.Second {
		t.Errorf("taken after %s, as if it were another's", waited)
	}
	must(t, c.Release(t.Context()))

	b.abandoned(stack.ClaimOptions{Holder: "gone", Place: "there"})
	c, err = s.Claim(t.Context(), b.stack, stack.ClaimOptions{Beat: beat})
	must(t, err)
	must(t, c.Release(t.Context()))
}

// What stands between may let nothing pass that changes something.
func TestAClaimThatCannotBeMadeIsGivenUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	host := inFront(t, func(w http.ResponseWriter, r *http.Request, engine http.Handler) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			panic(http.ErrAbortHandler)
		}
		engine.ServeHTTP(w, r)
	})
	s, err := stack.NewSwarm(&stack.Options{Host: host, Retry: nuvlaops.RetryPolicy{MaxElapsed: time.Second}})
	must(t, err)
	defer s.Close()
	claim := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := s.Claim(ctx, b.stack, stack.ClaimOptions{Place: "here"})
		return err
	}
	mustBe(t, claim(), nuvlaops.ErrUnavailable)
	first, err := b.claim(stack.ClaimOptions{Place: "here"})
	must(t, err)
	mustBe(t, claim(), nuvlaops.ErrUnavailable)
	must(t, first.Release(t.Context()))
}
