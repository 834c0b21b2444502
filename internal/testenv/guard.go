package testenv

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// removalTime is what removing everything may take; a swarm of ten services needs about 10 s.
const removalTime = 90 * time.Second

// Guard is for programs: the context that it returns ends on SIGINT and SIGTERM, and end, which must be called before the
// program exits, removes everything that this process made, on a context of its own; more signals are ignored meanwhile.
// After Keep, and without a signal, end leaves all as it is.
func Guard(ctx context.Context) (guarded context.Context, end func() error) {
	guarded, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	over, watched := make(chan struct{}), make(chan struct{})
	interrupted := false
	go func() {
		defer close(watched)
		select {
		case s := <-signals:
			interrupted = true
			cancel(fmt.Errorf("%w: %v", context.Canceled, s))
		case <-over:
		}
	}()
	return guarded, sync.OnceValue(func() error {
		close(over)
		<-watched
		defer signal.Stop(signals)
		defer cancel(context.Canceled)
		p := own()
		p.mu.Lock()
		keep := p.kept && !interrupted
		p.mu.Unlock()
		if keep {
			return nil
		}
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), removalTime)
		defer stop()
		return op("Guard", "", p.removeOwn(ctx, true))
	})
}

// onSignal removes everything that a test binary made when it is told to end, calls the functions after, and ends it. It
// watches once in a process.
func (p *process) onSignal(after ...func()) {
	p.watch.Do(func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		go func() {
			s := <-signals
			p.ending.Store(true)
			ctx, cancel := context.WithTimeout(context.Background(), removalTime)
			defer cancel()
			fmt.Fprintf(os.Stderr, "testenv: %v: removing what the tests have made\n", s)
			if err := p.removeOwn(ctx, true); err != nil {
				fmt.Fprintln(os.Stderr, "testenv:", err)
			}
			p.engines.Range(func(name, dir any) bool {
				if out, err := endEngine(name.(string), dir.(string)); err != nil {
					fmt.Fprintf(os.Stderr, "testenv: clean up of engine %s: %v: %s\n", name, err, out)
				}
				return true
			})
			for _, do := range after {
				do()
			}
			code := 1
			if n, ok := s.(syscall.Signal); ok {
				code = 128 + int(n)
			}
			os.Exit(code)
		}()
	})
}

// holdOn keeps a test binary that was told to end from ending before everything is removed.
func (p *process) holdOn() {
	if p.ending.Load() {
		select {}
	}
}
