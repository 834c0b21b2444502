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

// BenchmarkStopOnAnotherNode measures what Stop adds when tasks end on a node whose engine it does not know: from the end of
// the last task, as its node has written it down, to the return. The goal is 200 ms.
func BenchmarkStopOnAnotherNode(b *testing.B) {
	p := newPair(b)
	image, err := shared()
	must(b, err)
	p.worker.load(image)
	s, err := stack.NewSwarm(&stack.Options{Host: p.manager.host()})
	must(b, err)
	defer s.Close()
	w := &bench{Swarm: s, t: b, api: p.manager.api, stack: "db", image: image, dir: b.TempDir()}
	w.deploy(farStack)
	var late time.Duration
	for b.Loop() {
		must(b, w.Start(b.Context(), w.stack, stack.StartOptions{Stable: time.Millisecond}))
		must(b, w.Stop(b.Context(), w.stack, stack.StopOptions{}))
		returned := time.Now()
		var last time.Time
		for _, t := range w.look().Service("db").Tasks {
			if t.Since.After(last) {
				last = t.Since
			}
		}
		late += returned.Sub(last)
	}
	b.ReportMetric(float64(late.Milliseconds())/float64(b.N), "ms-after-last-task/op")
}

const farStack = `
version: "3.7"
services:
  db:
    image: %IMAGE%
    command: [run]
    deploy: {endpoint_mode: dnsrr, replicas: 3, placement: {constraints: ["node.labels.type == worker-db"]}}
`

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
