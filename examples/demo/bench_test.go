package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

//go:embed testdata/job_restore.py
var jobRestore string

// figures are those of all pairs so far, by kind of disaster and by name: -count runs a benchmark several times in one process.
var figures = map[string][]float64{}

// BenchmarkRecovery runs the whole recovery by disaster-recovery, with everything verified, and then the steps of the
// operations page by a script that verifies nothing and never waits to think (testdata/by-hand.sh), after the same disaster
// and from the same snapshot: 50,000 documents in 21 primaries, 10,000 jobs, 9 replicas of the core.
//
// ours/script is the ratio of one pair; -min and -median are over the pairs so far (-count). It should be at most 0.75 where
// an Elasticsearch lives to show the snapshot, and 0.9 where none lives.
//
// Time lost to us, as an observer beside the program sees it, in percent of the whole:
//
//   - lost-% is strict: all time in which no server was being stopped, booted, restored or started. A server is being stopped
//     from the request that the engine was sent to the end of its last container; it is being started from the request until
//     Elasticsearch answers, the api answers, an executor has run a job, and for those that nobody asks until the container
//     starts; and it restores from its first shard to its last, by its own clock. All else is lost: what Elasticsearch and
//     ZooKeeper need for our requests, and the second for which the last services are watched to see that they stay.
//   - above-floor-% grants each step what the servers need for what it must ask of them in any case, seen on bare requests in
//     the same pair (see bareRequests). It grants nothing for ZooKeeper, for proofs, and for that second.
//
// The log has both by step. 5 % is what is wanted of the strict one.
func BenchmarkRecovery(b *testing.B) {
	d := newDemo(b, options{documents: 50_000, jobs: 10_000})
	for _, night := range []struct {
		name string
		fall func(context.Context) error
	}{
		{"an empty Elasticsearch lives", d.destroy},
		{"no Elasticsearch lives", d.destroyForGood},
	} {
		b.Run(night.name, func(b *testing.B) {
			for b.Loop() {
				d.benchPair(b, night.name, night.fall)
			}
		})
	}
}

func (d *demo) benchPair(b *testing.B, night string, fall func(context.Context) error) {
	if err := fall(b.Context()); err != nil {
		b.Fatal(err)
	}
	lost := d.benchOurs(b)
	if err := fall(b.Context()); err != nil {
		b.Fatal(err)
	}
	script, bare := d.benchScript(b)
	above := lost.above(bare)
	b.Logf("lost %v; the floor of bare requests: %v; above it %.2f s (%.1f %%)", lost, bare, above.Seconds(), lost.percent(above))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(lost.took.Seconds(), "ours-s")
	b.ReportMetric(script.Seconds(), "script-s")
	for _, f := range []struct {
		name  string
		value float64
	}{{"ours/script", lost.took.Seconds() / script.Seconds()}, {"lost-%", lost.percent(lost.total)}, {"above-floor-%", lost.percent(above)}} {
		key := night + " " + f.name
		figures[key] = append(figures[key], f.value)
		sorted := slices.Sorted(slices.Values(figures[key]))
		b.ReportMetric(f.value, f.name)
		b.ReportMetric(sorted[0], f.name+"-min")
		b.ReportMetric(sorted[len(sorted)/2], f.name+"-median")
	}
}

// benchOurs runs the program to its end and returns how long it took, and in which steps no server was at work.
func (d *demo) benchOurs(b *testing.B) *loss {
	watching := d.observe(b)
	begun := time.Now()
	out, code := d.runRecovery(b)
	ended := time.Now()
	if code != cli.ExitOK {
		b.Fatalf("exit code %d:\n%s", code, out)
	}
	got, err := report.Read(d.reportFile)
	if err != nil {
		b.Fatal(err)
	}
	steps := make([]string, len(got.Steps))
	for i, s := range got.Steps {
		steps[i] = fmt.Sprintf("%s %.3f", s.Name, s.Seconds)
	}
	b.Logf("%.1f s ours, some side by side: %s", ended.Sub(begun).Seconds(), strings.Join(steps, ", "))
	lost := lossOf(ended.Sub(begun), idle(begun, ended, append(watching.end(), d.restored(b))), got.Steps)
	if err := d.check(b.Context()); err != nil {
		b.Fatal(err)
	}
	return lost
}

// benchScript runs the steps by hand, and sees to it that they did what they should.
func (d *demo) benchScript(b *testing.B) (time.Duration, floor) {
	p := &d.platform
	cmd := exec.CommandContext(b.Context(), "bash", "testdata/by-hand.sh")
	cmd.Env = append(os.Environ(), "ES="+p.es, "DB="+p.db, "CORE="+p.core, "DB_COMPOSE="+p.file("db.yml"), "CORE_COMPOSE="+p.file("nuvla.yml"),
		"REPOSITORY="+repository, "REPOSITORY_FILE="+p.file("repo.json"), "NETWORK="+p.network, "JOB_IMAGE="+p.images[images.Consumer],
		"JOB_SCRIPT="+jobRestore, "LABEL="+testenv.Label+"="+testenv.OwnerLabelValue(), "REPLICAS=9")
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(begun)
	if err != nil {
		b.Fatalf("by-hand.sh: %v\n%s", err, out)
	}
	bare := d.bareRequests(b, string(out))
	b.Logf("%.1f s by hand: %s", took.Seconds(), strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", ", "))
	var answer struct{ Count int64 }
	if err := es.Send(b.Context(), p.client, esapi.CountRequest{Index: []string{"nuvla-*"}}, &answer); err != nil {
		b.Fatal(err)
	}
	if want, _ := d.seeded.total(); answer.Count != want {
		b.Fatalf("%d documents after the script, want %d", answer.Count, want)
	}
	if err := d.watchExecutors(b.Context()); err != nil {
		b.Fatal(err)
	}
	return took, bare
}
