package stack_test

import (
	"context"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops/stack"
)

// BenchmarkStop measures what Stop adds to the engine's own time: from the end of the last container to the return. The
// goal is 200 ms.
func BenchmarkStop(b *testing.B) {
	w := newBench(b)
	w.deploy(dbStack)
	var late time.Duration
	for b.Loop() {
		must(b, w.Start(b.Context(), w.stack, stack.StartOptions{Stable: time.Millisecond}))
		ctx, cancel := context.WithCancel(b.Context())
		ends := make(chan time.Time, 16)
		stream := w.api.Events(ctx, client.EventsListOptions{Filters: make(client.Filters).Add("type", "container").
			Add("event", "die").Add("label", "com.docker.stack.namespace="+w.stack)})
		go func() {
			for {
				select {
				case m := <-stream.Messages:
					ends <- time.Unix(0, m.TimeNano)
				case <-stream.Err:
					close(ends)
					return
				}
			}
		}()
		must(b, w.Stop(b.Context(), w.stack, stack.StopOptions{}))
		returned := time.Now()
		cancel()
		var last time.Time
		for end := range ends {
			last = end
		}
		late += returned.Sub(last)
	}
	b.ReportMetric(float64(late.Milliseconds())/float64(b.N), "ms-after-last-end/op")
}

// BenchmarkStart measures the time from the first success of the last probe to the return. The goal is 200 ms.
func BenchmarkStart(b *testing.B) {
	w := newBench(b)
	w.deploy(dbStack)
	var late time.Duration
	for b.Loop() {
		must(b, w.Stop(b.Context(), w.stack, stack.StopOptions{}))
		var success time.Time
		began := time.Now()
		must(b, w.Start(b.Context(), w.stack, stack.StartOptions{Stable: time.Millisecond, Probes: map[string]func(context.Context) error{
			"db": func(context.Context) error {
				if time.Since(began) < 4*time.Second { // longer than the tasks need
					return context.DeadlineExceeded
				}
				success = time.Now()
				return nil
			}}}))
		late += time.Since(success)
	}
	b.ReportMetric(float64(late.Milliseconds())/float64(b.N), "ms-after-probe/op")
}
