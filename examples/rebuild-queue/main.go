// Command rebuild-queue rebuilds Nuvla's job queue in ZooKeeper from the job documents in Elasticsearch: each job that
// belongs there exactly once, at its priority, in its order. It may be called again at any time: what is there is left
// alone.
//
//	docker run --network nuvla-backend IMAGE rebuild-queue
//
// The hosts default to es and zk, their names on that network; those of all other programs to localhost.
//
// Jobs that --max-age and --include-running=false leave out stay open in Elasticsearch. Some of Nuvla's distributors, such as
// that of deployment states, make no other job of the same action and target while one is open: cancel what is not wanted.
// Jobs of years ago are better left out: one whose document lacks what the api-server wants today, such as version or
// execution-mode, executors can neither run nor end, and take again at once, before all that is behind it.
//
// Credentials come from the environment: ES_API_KEY or ES_USERNAME and ES_PASSWORD; ZK_USERNAME and ZK_PASSWORD, or the
// file of --zk-auth. A ZooKeeper with TLS (secureClientPort) wants --zk-tls, and --zk-ca where its authority is not the system's.
//
// Exit codes: 0 the queue is verified (--dry-run: not refused), 1 failed, 2 usage, 4 time-out, 5 consumers or producers are
// alive (see --force), 11 refused, 12 verification failed, 130 interrupted.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/zkjobs"
)

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	cli.Main("rebuild-queue", run)
}

// memoryLimit makes the garbage collector work harder rather than let a million jobs take more than 512 MiB.
const memoryLimit = 440 << 20

// output is what --json prints.
type output struct {
	Plan   *zkjobs.Plan   `json:"plan,omitempty"`
	Result *zkjobs.Result `json:"result,omitempty"`
	Report *zkjobs.Report `json:"report,omitempty"`
	Error  string         `json:"error,omitempty"`
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if cfg.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cfg.timeout)
		defer cancel()
	}
	p := &program{config: cfg, screen: cli.NewScreen(stderr)}
	defer p.screen.Close()
	err = p.run(ctx)
	if printErr := p.print(p.screen.Over(stdout), err); err == nil {
		err = printErr
	}
	return err
}

type program struct {
	config
	screen *cli.Screen
	out    output
}

func (p *program) run(ctx context.Context) error {
	client, err := cli.Elasticsearch(p.esHosts...)
	if err != nil {
		return err
	}
	source, err := zkjobs.NewDocuments(client, &zkjobs.DocumentsOptions{Index: p.index, AllowNone: p.allowNone, Logger: cli.Retries(p.screen)})
	if err != nil {
		return err
	}
	conn, err := zkjobs.Connect(ctx, p.zkHosts, p.zk)
	if err != nil {
		return err
	}
	defer conn.Close()
	rebuilder, err := zkjobs.New(source, conn, &zkjobs.Options{Path: p.path})
	if err != nil {
		return err
	}
	return p.rebuild(ctx, rebuilder)
}

func (p *program) rebuild(ctx context.Context, r zkjobs.JobQueueRebuilder) (err error) {
	p.plan.Progress, p.apply.Progress = p.screen.Progress, p.screen.Progress
	if p.out.Plan, err = r.Plan(ctx, p.plan); err != nil {
		return err
	}
	p.screen.Text(p.out.Plan.String())
	if p.verifyOnly {
		p.out.Report, err = r.Verify(ctx, p.out.Plan)
		return err
	}
	p.out.Result, err = r.Apply(ctx, p.out.Plan, p.apply)
	if errors.Is(err, nuvlaops.ErrBusy) {
		err = fmt.Errorf("%w, or go on beside them with -force", err)
	}
	if p.out.Result != nil {
		p.out.Report = p.out.Result.Report
	}
	return err
}

// print writes the result to standard output: text for people, or one JSON object.
func (p *program) print(stdout io.Writer, failure error) error {
	if p.json {
		if failure != nil {
			p.out.Error = failure.Error()
		}
		if p.out.Result != nil {
			p.out.Report = nil // it is in there
		}
		return json.NewEncoder(stdout).Encode(p.out)
	}
	switch res := p.out.Result; {
	case res == nil:
	case failure != nil && res.Transactions+res.Pruned == 0 && res.Report == nil: // nor was it counted what is there
		fmt.Fprintln(stdout, "nothing was written")
	default:
		fmt.Fprintf(stdout, "%d written in %v, %d were there", res.Written, res.Elapsed.Round(1e6), res.Present)
		for _, more := range []struct {
			n    int
			text string
		}{{res.ToWrite, "would be written"}, {res.ToMove, "would be moved"}, {res.Moved, "moved"}, {res.ToPrune, "would be removed"}, {res.Pruned, "removed"},
			{res.Resolved, "lost replies resolved"}, {res.Dropped, "ended meanwhile"}, {res.Consumed, "consumed meanwhile"}} {
			if more.n > 0 {
				fmt.Fprintf(stdout, ", %d %s", more.n, more.text)
			}
		}
		fmt.Fprintln(stdout)
	}
	if p.out.Report != nil {
		fmt.Fprint(stdout, p.out.Report)
	}
	return nil
}
