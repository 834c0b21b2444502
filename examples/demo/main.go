// Command demo shows a whole disaster recovery on real servers: it deploys Nuvla's database stack and stand-ins for its core
// on a Swarm of one node, fills them with realistic documents and jobs, takes a snapshot into an S3 server, destroys the
// databases with all their data, and then runs disaster-recovery, the very program that an operator would run. At the end
// it compares what came back with what it had put in.
//
// Everything runs on this machine, is reached over 127.0.0.1, and is removed at the end, also after Ctrl-C; what a killed
// demo left is swept by the next one. With -keep the stacks stay up to look at.
//
// Exit codes: 0 recovered, with all that was put in, 1 failed, 2 usage, 4 time-out, 130 interrupted.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/testenv"
)

//go:embed main.go
var about string // its comment is the help

func main() { cli.Main("demo", run) }

type options struct {
	documents, jobs     int
	seed                uint64
	keep                bool
	program, reportFile string
	node                string // NAME=ENGINE of another node of the swarm, which has the databases; default this one
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := cli.FlagSet("demo", about, stderr)
	fs.IntVar(&o.documents, "documents", 50_000, "documents to fill the indices with, the jobs among them")
	fs.IntVar(&o.jobs, "jobs", 10_000, "open jobs, in Elasticsearch and on the queue")
	fs.Uint64Var(&o.seed, "seed", 1, "seed of the documents")
	fs.BoolVar(&o.keep, "keep", false, "leave the stacks up to look at")
	fs.StringVar(&o.program, "program", "disaster-recovery", "the disaster-recovery `program`")
	fs.StringVar(&o.reportFile, "report", "", "`file` for the report of the recovery, as JSON (default report.json in a folder of the demo's, which is removed unless -keep)")
	if err := cli.Parse(fs, args); err != nil {
		return o, err
	}
	if o.jobs < 10 || o.documents < 2*o.jobs {
		return o, cli.Usagef("-jobs %d, -documents %d: want 10 jobs at least, and at least twice as many documents as jobs", o.jobs, o.documents)
	}
	if err := cli.InFolder("report", o.reportFile); err != nil {
		return o, err
	}
	path, err := exec.LookPath(o.program)
	if err != nil {
		return o, cli.Usagef("-program %s: build it with go build ./examples/disaster-recovery: %v", o.program, err)
	}
	o.program, err = filepath.Abs(path)
	return o, err
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	ctx, end := testenv.Guard(ctx)
	screen := cli.NewScreen(stdout)
	d := &demo{options: o, screen: screen, stdout: stdout, stderr: stderr, now: time.Now}
	defer func() {
		kept := o.keep && err == nil
		if kept {
			err = testenv.Keep(ctx)
		} else {
			screen.Printf("removing all that the demo made")
		}
		err = errors.Join(err, end(), d.removeFolder(kept))
		if err == nil {
			screen.Text(d.report.Text())
		}
		if kept && err == nil { // last, where it is not scrolled away
			d.sayWhatIsKept()
		}
	}()
	return d.play(ctx)
}

// demo is one run: what it has brought up and put in.
type demo struct {
	options
	screen         *cli.Screen
	stdout, stderr io.Writer
	now            func() time.Time

	platform       platform
	seeded         seeded
	openAtSnapshot span
	report         *report.Report // of the recovery
}

// play is the story, act by act.
func (d *demo) play(ctx context.Context) error {
	for _, act := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"bring up the platform: Swarm, S3, stack of the databases", d.bringUp},
		{fmt.Sprintf("fill it: %d documents, among them %d open jobs that go on the queue", d.documents, d.jobs), d.fill},
		{"start the core: api, ui, 5 job executors, 2 job distributors", d.startCore},
		{"back up: register the repository, take a snapshot", d.backUp},
		{"the worst night: both databases lose their data", d.destroy},
		{"the morning after: run disaster-recovery", d.recover},
		{"look at what came back", d.check},
	} {
		d.screen.Text("\n== " + act.title + "\n")
		if err := act.play(ctx); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("%s: %w", act.title, err)
		}
	}
	return nil
}

func (d *demo) removeFolder(keep bool) error {
	if keep || d.platform.folder == "" {
		return nil
	}
	return os.RemoveAll(d.platform.folder)
}
