package stack

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/filelock"
	"github.com/nuvla/nuvlaops/internal/poll"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// Labels of a claim.
const (
	labelHolder = "org.nuvla.ops.claim.holder"
	labelPlace  = "org.nuvla.ops.claim.place"
	labelToken  = "org.nuvla.ops.claim.token" // of one Claim
	labelBeat   = "org.nuvla.ops.claim.beat"  // counts the renewals
	labelEvery  = "org.nuvla.ops.claim.every" // how often it is renewed

	defaultBeat = 5 * time.Second
	missedBeats = 3
)

// ClaimOptions says who claims a stack.
type ClaimOptions struct {
	// Holder is what others are told of who it is, and since when. Default: this host and process.
	Holder string
	// Place, when not empty, names a lock that the caller holds and that ends with its process, such as that of a file.
	// A claim from the same place is then one of a process that is gone, and is taken over at once.
	Place string
	// Beat is how often the claim is renewed. Default 5 s; below 0 is ErrInvalid. A claim that stands still for three beats, its
	// own or those of who looks if they are longer, is taken over.
	Beat time.Duration
	// Lost is called, once at most, when another has the claim: with an error that matches ErrConflict. It may call Release.
	Lost func(error)
}

// Claim is a mark in the swarm, seen from each of its managers, that somebody works on a stack. It is a config named
// nuvlaops-claim-STACK, whose labels say who and are renewed; no clocks are compared.
type Claim struct {
	s    *Swarm
	name string
	opts ClaimOptions
	mark *swarm.Config // as it was last seen, ours
	beat int
	end  context.CancelFunc
	done sync.WaitGroup
}

// Claim marks the stack as being worked on, until Release: the end of ctx does not end it. Error: ErrBusy, naming the holder,
// when somebody else does; whether he still lives takes up to three beats to see.
func (s *Swarm) Claim(ctx context.Context, stack string, opts ClaimOptions) (*Claim, error) {
	if err := errors.Join(ValidateName(stack), notBelowZero("ClaimOptions.Beat", opts.Beat)); err != nil {
		return nil, nuvlaops.Wrap("stack.Claim", stack, err)
	}
	if opts.Beat == 0 {
		opts.Beat = defaultBeat
	}
	if opts.Holder == "" {
		opts.Holder = filelock.Self().String()
	}
	c := &Claim{s: s, name: claimName(stack), opts: opts}
	token := rand.Text()
	if err := c.take(ctx, token); err != nil {
		return nil, nuvlaops.Wrap("stack.Claim", stack, err)
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	c.end = end
	c.done.Add(1)
	go func() {
		err := c.renew(life, token)
		c.done.Done() // Lost may call Release, which waits for the renewals
		if err != nil && opts.Lost != nil {
			opts.Lost(nuvlaops.Wrap("stack.Claim", c.name, err))
		}
	}()
	return c, nil
}

// ClaimedBy is the holder of the mark on a stack, "" when there is none. Whether he still lives is not asked.
func (s *Swarm) ClaimedBy(ctx context.Context, stack string) (string, error) {
	if err := ValidateName(stack); err != nil {
		return "", nuvlaops.Wrap("stack.ClaimedBy", stack, err)
	}
	c := &Claim{s: s, name: claimName(stack)}
	mark, err := c.look(ctx)
	if err != nil || mark == nil {
		return "", nuvlaops.Wrap("stack.ClaimedBy", stack, err)
	}
	return mark.Spec.Labels[labelHolder], nil
}

func claimName(stack string) string { return "nuvlaops-claim-" + stack }

// take makes the mark, or takes over one whose holder is gone.
func (c *Claim) take(ctx context.Context, token string) error {
	if _, err := c.s.manager(ctx); err != nil {
		return err
	}
	for {
		if ours, err := c.send(ctx, token, func(ctx context.Context) error { return c.create(ctx, token) }); ours || err != nil {
			return err
		}
		if ours, err := c.takeOver(ctx, token); ours || err != nil {
			return err
		}
	}
}

// send sends what makes the mark ours, and looks whether it is: a reply may be lost, and not the request. What was not carried out
// is sent again, as long as the policy says.
func (c *Claim) send(ctx context.Context, token string, request func(context.Context) error) (ours bool, err error) {
	var blind error // a look repeats itself
	err = retry.Do(ctx, c.s.opts.Retry, c.s.opts.Logger, transient, func(ctx context.Context) error {
		sent := request(ctx)
		if sent != nil && !transient(sent) && !taken(sent) && !outOfSequence(sent) && !cerrdefs.IsNotFound(sent) {
			return sent
		}
		if c.mark, blind = c.look(ctx); blind != nil {
			return nil
		}
		if ours = c.mark != nil && c.mark.Spec.Labels[labelToken] == token; !ours && transient(sent) {
			return sent
		}
		return nil
	})
	return ours, explain(c.name, cmp.Or(err, blind))
}

func taken(err error) bool { return cerrdefs.IsConflict(err) || cerrdefs.IsAlreadyExists(err) }

func (c *Claim) create(ctx context.Context, token string) error {
	_, err := c.s.api.ConfigCreate(ctx, client.ConfigCreateOptions{Spec: swarm.ConfigSpec{
		Annotations: swarm.Annotations{Name: c.name, Labels: c.labels(token)}, Data: []byte("who works on the stack: see the labels\n")}})
	return err
}

func (c *Claim) labels(token string) map[string]string {
	return map[string]string{labelHolder: c.opts.Holder, labelPlace: c.opts.Place, labelToken: token, labelBeat: strconv.Itoa(c.beat),
		labelEvery: c.opts.Beat.String()}
}

// look returns the mark, nil when there is none.
func (c *Claim) look(ctx context.Context) (*swarm.Config, error) {
	list, err := read(ctx, c.s, c.name, func(ctx context.Context) (client.ConfigListResult, error) {
		return c.s.api.ConfigList(ctx, client.ConfigListOptions{Filters: make(client.Filters).Add("name", c.name)})
	})
	for i := range list.Items {
		if list.Items[i].Spec.Name == c.name { // the filter takes parts of names
			return &list.Items[i], nil
		}
	}
	return nil, err
}

// takeOver watches another's mark: it is busy when it is renewed, ours when its holder is gone. False without an error
// means that the mark is gone, or that a third one was faster: try again.
func (c *Claim) takeOver(ctx context.Context, token string) (bool, error) {
	first, err := c.look(ctx)
	if err != nil || first == nil {
		return false, err
	}
	holder := first.Spec.Labels
	if c.opts.Place == "" || holder[labelPlace] != c.opts.Place {
		last, err := c.watch(ctx, first)
		switch {
		case err != nil || last == nil:
			return false, err
		case last.Version.Index != first.Version.Index:
			return false, &nuvlaops.Error{Resource: c.name, Reason: "somebody works on the stack: " + holder[labelHolder],
				Err: nuvlaops.ErrBusy, Hint: "wait for it, or end it; two at once would undo each other's work"}
		}
	}
	return c.send(ctx, token, func(ctx context.Context) error { return c.write(ctx, first, token) })
}

// watch returns the mark as soon as it is another one, else after the time in which a living holder renews it.
func (c *Claim) watch(ctx context.Context, first *swarm.Config) (last *swarm.Config, err error) {
	its, _ := time.ParseDuration(first.Spec.Labels[labelEvery])
	beat := max(c.opts.Beat, its)
	deadline := c.s.now().Add(missedBeats * beat)
	err = poll.Until(ctx, poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		asked := c.s.now()
		if last, err = c.look(ctx); err != nil {
			return false, "", err
		}
		if c.s.now().Sub(asked) > beat { // the engine was away, for the holder too
			deadline = c.s.now().Add(missedBeats * beat)
		}
		moved := last == nil || last.Version.Index != first.Version.Index
		return moved || c.s.now().After(deadline), "a sign of " + first.Spec.Labels[labelHolder], nil
	})
	return last, err
}

// write puts our labels on the mark. The engine refuses it when the mark has changed since it was seen.
func (c *Claim) write(ctx context.Context, seen *swarm.Config, token string) error {
	c.beat++
	spec := seen.Spec
	spec.Labels = c.labels(token)
	_, err := c.s.api.ConfigUpdate(ctx, seen.ID, client.ConfigUpdateOptions{Version: seen.Version, Spec: spec})
	return err
}

// renew keeps the mark moving until the end. An engine that is away for a while is no loss; a mark of somebody else is.
func (c *Claim) renew(ctx context.Context, token string) error {
	tick := time.NewTicker(c.opts.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := c.renewOnce(ctx, token); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (c *Claim) renewOnce(ctx context.Context, token string) error {
	once, cancel := context.WithTimeout(ctx, c.opts.Beat*missedBeats)
	defer cancel()
	mark, err := c.look(once)
	switch {
	case err != nil:
		return nil // the engine is away
	case mark == nil: // somebody has removed it, or the swarm was made anew
		if err = c.create(once, token); err == nil || taken(err) || transient(err) {
			mark, err = c.look(once)
		}
		if err != nil || mark == nil {
			return nil
		}
	}
	if mark.Spec.Labels[labelToken] != token {
		return &nuvlaops.Error{Reason: "it was taken over by " + mark.Spec.Labels[labelHolder], Err: nuvlaops.ErrConflict,
			Hint: "two must not work on one stack; look at what the other one does"}
	}
	_ = c.write(once, mark, token) // one that fails is made up for by the next
	return nil
}

// Release ends the renewals and removes the mark, unless it is another's by now.
func (c *Claim) Release(ctx context.Context) error {
	if c == nil {
		return nil
	}
	c.end()
	c.done.Wait()
	mark, err := c.look(ctx)
	if err == nil && mark != nil && mark.Spec.Labels[labelToken] == c.mark.Spec.Labels[labelToken] {
		err = c.s.removed(ctx, func(ctx context.Context) error {
			_, err := c.s.api.ConfigRemove(ctx, mark.ID, client.ConfigRemoveOptions{})
			return err
		})
	}
	return nuvlaops.Wrap("stack.Claim.Release", c.name, explain(c.name, err))
}
