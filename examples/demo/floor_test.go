package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/es"
)

// floor is how long the servers take for what a step must ask of them, seen on bare requests in the same run, by step.
type floor map[string]time.Duration

// bareRequests is the floor, from the script that has just run on servers that it has just booted: registering the
// repository, which Elasticsearch verifies on S3, and listing it; the restore around the copying of the shards; and one
// search for the open jobs, the second one that this server answers. What ZooKeeper needs is not in it.
func (d *demo) bareRequests(b *testing.B, script string) floor {
	b.Helper()
	took := map[string]time.Duration{}
	for line := range strings.Lines(script) {
		step, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil {
			b.Fatalf("the script says %q", line)
		}
		took[step] = time.Duration(seconds * float64(time.Second))
	}
	copied := d.restored(b)
	query := `{"size":10000,"_source":["id","state","execution-mode","priority","tags","created","action","version"],` +
		`"query":{"bool":{"filter":[{"terms":{"state":["QUEUED","RUNNING"]}}]}}}`
	begun := time.Now()
	if err := es.Send(b.Context(), d.platform.client, esapi.SearchRequest{Index: []string{jobIndex}, Body: strings.NewReader(query)}, nil); err != nil {
		b.Fatal(err)
	}
	return floor{"preflight": took["repository"], "look": took["repository"], "repository": took["repository"],
		"restore": max(0, took["restore"]-copied.end.Sub(copied.begin)), "queue": time.Since(begun)}
}

// loss is the time of a recovery in which no server was at work, by the step that it was lost in.
type loss struct {
	took   time.Duration
	total  time.Duration
	bySet  map[string]time.Duration
	order  []string
	living bool // an Elasticsearch lived to show the snapshot, so that preflight asked it
}

// lossOf says during which steps the gaps were: the names of those that ran side by side, or preflight and report.
func lossOf(took time.Duration, gaps []stretch, steps []report.Step) *loss {
	l := &loss{took: took, bySet: map[string]time.Duration{}, living: true}
	for _, s := range steps {
		l.living = l.living && s.Name != "look"
	}
	for _, g := range gaps {
		for at := g.begin; at.Before(g.end); at = at.Add(time.Millisecond) {
			var running []string
			for _, s := range steps {
				if !at.Before(s.Started) && at.Before(s.Started.Add(time.Duration(s.Seconds*float64(time.Second)))) {
					running = append(running, s.Name)
				}
			}
			name := cmp.Or(strings.Join(running, "+"), "preflight and report")
			if _, known := l.bySet[name]; !known {
				l.order = append(l.order, name)
			}
			l.bySet[name] += time.Millisecond
			l.total += time.Millisecond
		}
	}
	return l
}

// above is what remains of the loss when each step is granted its floor once.
func (l *loss) above(f floor) (total time.Duration) {
	granted := floor{}
	for step, d := range f {
		if step != "preflight" || l.living {
			granted[step] = d
		}
	}
	for _, name := range l.order {
		left := l.bySet[name]
		for step := range granted {
			if slices.Contains(strings.FieldsFunc(name, func(r rune) bool { return r == '+' || r == ' ' }), step) {
				grant := min(left, granted[step])
				left, granted[step] = left-grant, granted[step]-grant
			}
		}
		total += left
	}
	return total
}

func (l *loss) percent(d time.Duration) float64 { return 100 * d.Seconds() / l.took.Seconds() }

// String is one line: a benchmark's log is cut after ten.
func (l *loss) String() string {
	var said []string
	for _, name := range l.order {
		said = append(said, fmt.Sprintf("%s %.2f (%.1f %%)", name, l.bySet[name].Seconds(), l.percent(l.bySet[name])))
	}
	return fmt.Sprintf("%.2f s (%.1f %%): %s", l.total.Seconds(), l.percent(l.total), strings.Join(said, ", "))
}

func (f floor) String() string {
	return fmt.Sprintf("repository %.2f, restore %.2f, queue %.2f", f["repository"].Seconds(), f["restore"].Seconds(), f["queue"].Seconds())
}

// takesJobs is a probe of the executors: one of them has run a job.
func (d *demo) takesJobs(ctx context.Context) error {
	var seen struct{ Executed int }
	if err := d.askAPI(ctx, "/demo", &seen); err != nil {
		return err
	}
	if seen.Executed == 0 {
		return fmt.Errorf("no job has been run")
	}
	return nil
}
