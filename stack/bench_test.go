package stack_test

import (
	"context"
	"testing"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops/stack"
)

// ends follows the containers of a stack on one engine. What it returns ends that, and says when the last container ended
// and when the engine had removed the last one, by the engine's own events.
func ends(b *testing.B, api *client.Client, name string) func() (last, removed time.Time) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	stream := api.Events(ctx, client.EventsListOptions{Filters: make(client.Filters).Add("type", "container").
		Add("event", "die", "destroy").Add("label", "com.docker.stack.namespace="+name)})
	var last, removed time.Time
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case m := <-stream.Messages:
				if m.Action == events.ActionDie {
					last = time.Unix(0, m.TimeNano)
				} else {
					removed = time.Unix(0, m.TimeNano)
				}
			case <-stream.Err:
				return
			}
		}
	}()
	return func() (time.Time, time.Time) {
		time.Sleep(time.Second) // an event may come late
		cancel()
		<-done
		if last.IsZero() {
			b.Fatal("no container ended: this measures nothing")
		}
		return last, removed
	}
}

// benchmarkStop measures what Stop adds to the engine's own time: from the end of the last container to the return. A part
// of it is the engine's removal of that container, when Stop can reach it.
func benchmarkStop(b *testing.B, w *bench, on *client.Client) {
	var late, own, n float64
	for b.Loop() {
		must(b, w.Start(b.Context(), w.stack, stack.StartOptions{Stable: time.Millisecond}))
		when := ends(b, on, w.stack)
		must(b, w.Stop(b.Context(), w.stack, stack.StopOptions{}))
		returned := time.Now()
		last, removed := when()
		late += float64(returned.Sub(last).Milliseconds())
		if removed.After(last) && removed.Before(returned) {
			own += float64(removed.Sub(last).Milliseconds())
		}
		n++
	}
	b.ReportMetric(late/n, "ms-after-last-end/op")
	b.ReportMetric(own/n, "ms-of-it-removal/op")
}

// The goal is 200 ms.
func BenchmarkStop(b *testing.B) {
	w := newBench(b)
	w.deploy(dbStack)
	benchmarkStop(b, w, w.api)
}

// On a node whose engine the controller does not know. The goal is 200 ms after the task's end.
func BenchmarkStopOnAnotherNode(b *testing.B) {
	p := newPair(b)
	image, err := shared()
	must(b, err)
	p.Worker.Load(image)
	s, err := stack.NewSwarm(&stack.Options{Host: p.Manager.Host()})
	must(b, err)
	defer s.Close()
	w := &bench{Swarm: s, t: b, api: p.Manager.API, stack: "db", image: image, dir: b.TempDir()}
	w.deploy(farStack)
	benchmarkStop(b, w, p.Worker.API)
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
