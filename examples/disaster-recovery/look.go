package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/poll"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/stack"
)

// often is how often a server is looked at that everything waits for.
const often = 100 * time.Millisecond

// look sees the snapshot where no Elasticsearch lives: through a copy of the stopped service, or of what its compose file has, that has
// the same image, secrets and networks, answers under the same name, and has no volumes. It boots while the containers of the stacks
// still end.
func (r *recovery) look(ctx context.Context) (_ string, err error) {
	stopped, err := r.stopES(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, stopped()) }()
	throwAway, err := r.stacks.RunCopy(ctx, r.cfg.db, "es", r.copyOptions())
	if err != nil {
		return "", err
	}
	defer r.leave(ctx, throwAway)
	boot, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	way, err := throwAway.Forward(9200)
	if err != nil {
		return "", err
	}
	defer way.Close()
	client, err := r.reach(boot, way, bootsWithin)
	if err != nil {
		return "", err
	}
	repo, from, err := r.cfg.through(client)
	if err != nil {
		return "", err
	}
	if err := r.seeThrough(ctx, repo, from, "No volume was touched: call again with another one, or start the stacks"); err != nil {
		return "", err
	}
	if err := r.checkDisks(); err != nil {
		return "", err
	}
	s := r.chosen()
	return fmt.Sprintf("%s, taken %s, is complete", s.Name, s.Started.Format(time.RFC3339)), nil
}

// copyOptions: a service that is gone is read from its compose file. Nothing of the stack is deployed for that: it would be deployed
// stopped, and what is no database would stay so.
func (r *recovery) copyOptions() (options stack.CopyOptions) {
	if r.cfg.dbCompose != "" {
		options.Files = []string{r.cfg.dbCompose}
	}
	return options
}

// bootsWithin is how long a throw-away one takes to boot on two cores.
const bootsWithin = 12 * time.Second

// way leads into a container.
type way interface {
	Addr() string
	Reach(context.Context) error
}

// reach waits until the throw-away one serves, and returns the client that it answers: that of -es where its name leads there,
// else, since it publishes no port, one through its container. There each question is a process beside the boot, so it is asked
// only after a while.
func (r *recovery) reach(ctx context.Context, into way, after time.Duration) (snapshot.Client, error) {
	inside, err := cli.Elasticsearch(r.cfg.spokenTo(into.Addr()))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	type answer struct {
		client snapshot.Client
		err    error
	}
	answers := make(chan answer, 2)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	asking.Go(func() { answers <- answer{r.client, r.waitForES(ctx, r.client, nil)} })
	asking.Go(func() {
		select {
		case <-ctx.Done():
		case <-time.After(after):
		}
		answers <- answer{inside, r.waitForES(ctx, inside, into.Reach)}
	})
	for range cap(answers) {
		first := <-answers
		if first.err == nil {
			return first.client, nil
		}
		err = errors.Join(err, first.err)
	}
	return nil, err
}

// leave removes the throw-away one beside the steps that come next: it has nothing that they need, and is gone long before
// another Elasticsearch has booted. Whoever calls left waits for it.
func (r *recovery) leave(ctx context.Context, throwAway *stack.Copy) {
	r.leaving.Go(func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		r.leaveErr = throwAway.Remove(clean)
	})
}

// left returns when no throw-away one is left of this run.
func (r *recovery) left() error {
	r.leaving.Wait()
	return r.leaveErr
}

// stopES returns when no Elasticsearch runs, and none is wanted to, since a node may not have the memory for two; stopped
// waits for what is left of it. One that was killed and waits to be started again, as after a disaster, takes Swarm 2 s to end.
func (r *recovery) stopES(ctx context.Context) (stopped func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	var stopErr error
	go func() {
		defer close(over)
		stopErr = r.stacks.Stop(ctx, r.cfg.db, stack.StopOptions{Groups: [][]string{{"es"}}, Progress: r.screen.Progress})
	}()
	stopped = func() error { defer cancel(); <-over; return stopErr }
	err = poll.Until(ctx, poll.Interval{Max: often}, func(ctx context.Context) (bool, string, error) {
		select {
		case <-over:
			return true, "", stopErr
		default:
		}
		now, err := r.stacks.Look(ctx, r.cfg.db)
		if err != nil {
			return false, "", err
		}
		return idleES(now.Service("es")), "es still runs", nil
	})
	if err != nil {
		cancel()
		_ = stopped()
	}
	return stopped, err
}

func idleES(es *stack.Service) bool {
	return es == nil || es.Replicas == 0 && !slices.ContainsFunc(es.Tasks, func(t stack.Task) bool {
		return t.State == "starting" || t.State == "running"
	})
}

// waitForES waits until Elasticsearch serves. reach, where there is one, says why it cannot.
func (r *recovery) waitForES(ctx context.Context, client snapshot.Client, reach func(context.Context) error) error {
	serves := cli.ElasticsearchServes(client)
	every := poll.Interval{Max: often}
	if reach != nil { // through a forward, each question is a process in the container that boots
		every = poll.Interval{}
	}
	return poll.Until(ctx, every, func(ctx context.Context) (bool, string, error) {
		try, cancel := context.WithTimeout(ctx, aliveWithin)
		defer cancel()
		err := serves(try)
		if err != nil && reach != nil {
			if why := reach(try); errors.Is(why, nuvlaops.ErrUnavailable) {
				return false, "", why
			} else if why != nil {
				err = why
			}
		}
		if err != nil {
			return false, err.Error(), nil
		}
		return true, "", nil
	})
}
