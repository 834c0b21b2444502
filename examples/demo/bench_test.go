package main

import (
	"context"
	_ "embed"
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

// ratios are those of all pairs so far, by kind of disaster: -count runs a benchmark several times in one process.
var ratios = map[string][]float64{}

// BenchmarkRecovery runs the whole recovery by disaster-recovery, with everything verified, and then the steps of the
// operations page by a script that verifies nothing and never waits to think (testdata/by-hand.sh), after the same disaster
// and from the same snapshot: 50,000 documents in 21 primaries, 10,000 jobs, 9 replicas of the core.
//
// ours/script is the ratio of one pair; -min and -median are over the pairs so far (-count). lost-% is the share of our time
// in which no server was being stopped, booted, restored or started, as seen by an observer beside the program; the log has
// it by step.
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
	ours, lost := d.benchOurs(b)
	if err := fall(b.Context()); err != nil {
		b.Fatal(err)
	}
	script := d.benchScript(b)
	ratios[night] = append(ratios[night], ours.Seconds()/script.Seconds())
	sorted := slices.Sorted(slices.Values(ratios[night]))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours.Seconds(), "ours-s")
	b.ReportMetric(script.Seconds(), "script-s")
	b.ReportMetric(ours.Seconds()/script.Seconds(), "ours/script")
	b.ReportMetric(sorted[0], "ours/script-min")
	b.ReportMetric(sorted[len(sorted)/2], "ours/script-median")
	b.ReportMetric(100*lost.Seconds()/ours.Seconds(), "lost-%")
}

// benchOurs runs the program to its end and returns how long it took, and how much of that no server was at work.
func (d *demo) benchOurs(b *testing.B) (took, lost time.Duration) {
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
	work := append(watching.end(), d.restored(b))
	gaps := idle(begun, ended, work)
	b.Logf("%.1f s by disaster-recovery, of which no server was at work for %s", ended.Sub(begun).Seconds(), bySteps(gaps, got.Steps))
	if err := d.check(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, g := range gaps {
		lost += g.end.Sub(g.begin)
	}
	return ended.Sub(begun), lost
}

// benchScript runs the steps by hand, and sees to it that they did what they should.
func (d *demo) benchScript(b *testing.B) time.Duration {
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
	return took
}
