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

	mu     sync.Mutex
	events []event
	serves map[string][]time.Time // by service: when it began to serve
}

// observe follows the engine's events, and asks many times a second whether Elasticsearch and the api serve, and whether the
// executors take jobs.
func (d *demo) observe(tb testing.TB) *observer {
	ctx, cancel := context.WithCancel(tb.Context())
	o := &observer{d: d, cancel: cancel, serves: map[string][]time.Time{}}
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
				o.mu.Lock()
				o.events = append(o.events, e)
				o.mu.Unlock()
			}
		}
		_ = cmd.Wait()
	})
	o.ask(ctx, "es", cli.ElasticsearchServes(d.platform.client))
	o.ask(ctx, "api", d.serves("/api/cloud-entry-point"))
	o.ask(ctx, "job-executor", d.takesJobs)
	return o
}

func (d *demo) owns(service string) bool {
	return strings.HasPrefix(service, d.platform.db+"_") || strings.HasPrefix(service, d.platform.core+"_")
}

func (d *demo) serves(path string) func(context.Context) error {
	return func(ctx context.Context) error { var answer any; return d.askAPI(ctx, path, &answer) }
}

func (o *observer) ask(ctx context.Context, service string, probe func(context.Context) error) {
	o.done.Go(func() {
		served := true
		for ctx.Err() == nil {
			once, cancel := context.WithTimeout(ctx, time.Second)
			now := probe(once) == nil
			cancel()
			if now && !served {
				o.mu.Lock()
				o.serves[service] = append(o.serves[service], time.Now())
				o.mu.Unlock()
			}
			served = now
			time.Sleep(30 * time.Millisecond)
		}
	})
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
	short := strings.TrimSuffix(service[strings.LastIndex(service, "_")+1:], "-copy")
	for _, at := range o.serves[short] {
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
