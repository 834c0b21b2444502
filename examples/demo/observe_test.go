package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/es"
)

// stretch of time.
type stretch struct{ begin, end time.Time }

// event of the engine, as far as it says when a server is being stopped or started.
type event struct {
	Type, Action string
	Actor        struct{ Attributes map[string]string }
	TimeNano     int64
}

func (e event) at() time.Time { return time.Unix(0, e.TimeNano) }

// service that the event is about, with its stack's prefix.
func (e event) service() string {
	if e.Type == "service" {
		return e.Actor.Attributes["name"]
	}
	return e.Actor.Attributes["com.docker.swarm.service.name"]
}

// observer follows what the servers do while the program runs, without asking the program.
type observer struct {
	d      *demo
	cancel context.CancelFunc
	done   sync.WaitGroup
	probes map[string]func(context.Context) error // by service

	mu     sync.Mutex
	events []event
	asking map[string]bool        // by service
	serves map[string][]time.Time // by service: when it began to serve
}

// observe follows the engine's events, and asks each server that has been started whether it serves: Elasticsearch, the api,
// and the executors whether they have run a job. It asks nobody else, since what it costs is counted as the program's time.
func (d *demo) observe(tb testing.TB) *observer {
	ctx, cancel := context.WithCancel(tb.Context())
	o := &observer{d: d, cancel: cancel, asking: map[string]bool{}, serves: map[string][]time.Time{}, probes: map[string]func(context.Context) error{
		"es": cli.ElasticsearchServes(d.platform.client), "api": d.serves("/api/cloud-entry-point"), "job-executor": d.takesJobs}}
	cmd := exec.CommandContext(ctx, "docker", "events", "--format", "{{json .}}", "--filter", "type=container", "--filter", "type=service")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		tb.Fatal(err)
	}
	o.done.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e event
			if json.Unmarshal(lines.Bytes(), &e) == nil && d.owns(e.service()) {
				o.saw(ctx, e)
			}
		}
		_ = cmd.Wait()
	})
	return o
}

func (o *observer) saw(ctx context.Context, e event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
	service := shortName(e.service())
	if e.Type == "container" && e.Action == "start" && o.probes[service] != nil && !o.asking[service] {
		o.asking[service] = true
		o.done.Go(func() { o.ask(ctx, service) })
	}
}

// shortName is that of the service in its stack, for a copy that of the original.
func shortName(service string) string {
	return strings.TrimSuffix(service[strings.LastIndex(service, "_")+1:], "-copy")
}

func (d *demo) owns(service string) bool {
	return strings.HasPrefix(service, d.platform.db+"_") || strings.HasPrefix(service, d.platform.core+"_")
}

func (d *demo) serves(path string) func(context.Context) error {
	return func(ctx context.Context) error { var answer any; return d.askAPI(ctx, path, &answer) }
}

// ask asks ten times a second until the service serves. It is said to have served from the last time that it did not, so
// that the time between is not counted as the server's.
func (o *observer) ask(ctx context.Context, service string) {
	since := time.Now()
	for ctx.Err() == nil {
		begun := time.Now()
		once, cancel := context.WithTimeout(ctx, time.Second)
		err := o.probes[service](once)
		cancel()
		if err == nil {
			break
		}
		since = begun
		time.Sleep(100 * time.Millisecond)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asking[service] = false
	if ctx.Err() == nil {
		o.serves[service] = append(o.serves[service], since)
	}
}

// end stops the observer and returns when servers were being stopped or started: from the request that the engine was sent
// to the end of the last container, or until the server serves.
func (o *observer) end() (work []stretch) {
	time.Sleep(300 * time.Millisecond) // events come a moment later
	o.cancel()
	o.done.Wait()
	requested := map[string]time.Time{} // by service
	for _, e := range o.events {
		name := e.service()
		switch {
		case e.Type == "service":
			requested[name] = e.at()
		case e.Action == "destroy":
			work = append(work, stretch{requested[name], e.at()})
		case e.Action == "start":
			work = append(work, stretch{requested[name], o.servedAfter(name, e.at())})
		}
	}
	return slices.DeleteFunc(work, func(s stretch) bool { return s.begin.IsZero() })
}

// servedAfter is when a server served that was started at a time; for those that nobody asks, that time.
func (o *observer) servedAfter(service string, started time.Time) time.Time {
	for _, at := range o.serves[shortName(service)] {
		if at.After(started) {
			return at
		}
	}
	return started
}

// restored is when Elasticsearch restored the shards, by its own clock.
func (d *demo) restored(tb testing.TB) (s stretch) {
	var answer map[string]struct {
		Shards []struct {
			Type  string
			Start int64 `json:"start_time_in_millis"`
			Stop  int64 `json:"stop_time_in_millis"`
		}
	}
	if err := es.Send(tb.Context(), d.platform.client, esapi.IndicesRecoveryRequest{Index: []string{"nuvla-*"}}, &answer); err != nil {
		tb.Fatal(err)
	}
	for _, index := range answer {
		for _, shard := range index.Shards {
			if shard.Type != "SNAPSHOT" {
				continue
			}
			begin, end := time.UnixMilli(shard.Start), time.UnixMilli(shard.Stop)
			if s.begin.IsZero() || begin.Before(s.begin) {
				s.begin = begin
			}
			if end.After(s.end) {
				s.end = end
			}
		}
	}
	if s.begin.IsZero() {
		tb.Fatal("no shard came from a snapshot")
	}
	return s
}

// idle is what of the time between begin and end no stretch of work covers.
func idle(begin, end time.Time, work []stretch) (gaps []stretch) {
	slices.SortFunc(work, func(a, b stretch) int { return a.begin.Compare(b.begin) })
	for _, w := range append(work, stretch{end, end}) {
		if w.begin.After(begin) {
			gaps = append(gaps, stretch{begin, w.begin})
		}
		if w.end.After(begin) {
			begin = w.end
		}
	}
	return gaps
}
