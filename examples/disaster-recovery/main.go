// Command disaster-recovery brings Nuvla back after the worst night: it stops the core and the database stacks, removes the
// databases' volumes, deploys the databases anew, restores a snapshot, proves that it came back, rebuilds the job queue,
// proves that too, and starts the core.
//
// Nothing irreversible happens before its ground is proven: no volume is removed until the chosen snapshot has been seen
// complete in this run. It can be ended at any point and called again with the same arguments; it then goes on where it
// was. It ends with a report: what was restored, from which snapshot, how old it is, how long each step took, what was
// verified and what was not.
//
// Run it on a manager of the Swarm:
//
//	disaster-recovery -repository-file repo.json -db-compose db.yml -core-compose nuvla.yml -plan
//	disaster-recovery -repository-file repo.json -db-compose db.yml -core-compose nuvla.yml
//
// Exit codes: 0 recovered and verified, 1 failed, 2 usage, 3 partial snapshot, 4 time-out, 5 another recovery runs,
// 10 repository, 11 refused before anything was touched, 12 verification failed, 130 interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/runbook"
)

func main() { cli.Main("disaster-recovery", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parse(args, stderr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.timeout)
	defer cancel()
	screen := cli.NewScreen(stdout)
	r, err := newRecovery(cfg, screen)
	if err != nil {
		return err
	}
	defer r.close()

	if !cfg.planOnly {
		if err := r.takeUp(); err != nil {
			return err
		}
	}
	if err := r.preflight(ctx); err != nil {
		return err
	}
	screen.Text(r.page())
	if cfg.planOnly {
		return nil
	}
	if err := confirm(ctx, cfg, os.Stdin, screen); err != nil {
		return err
	}
	return r.recoverAll(ctx)
}

// recoverAll runs the steps under the journal and writes the report, whatever the end is.
func (r *recovery) recoverAll(ctx context.Context) error {
	records, err := runbook.Run(ctx, r.steps(), r.journal, r.seen)
	r.finish(records, err)
	r.screen.Text(r.report.Text())
	if r.cfg.reportFile != "" {
		if werr := r.report.Write(r.cfg.reportFile); werr != nil {
			err = errors.Join(err, fmt.Errorf("write report: %w", werr))
		}
	}
	if err != nil {
		r.screen.Text("To go on where this was, call the same command again.\n")
		return err
	}
	return r.journal.Finish()
}

// confirm asks for the name of the stack whose volumes will be removed, unless -yes gave it.
func confirm(ctx context.Context, cfg *config, in io.Reader, screen *cli.Screen) error {
	name := cfg.yes
	if name == "" {
		screen.Text(fmt.Sprintf("\nThe volumes of stack %s will be removed. Type its name to go on: ", cfg.db))
		var err error
		if name, err = cli.ReadLine(ctx, in); err != nil && ctx.Err() != nil {
			return err // any other failure to read leaves no name, which is refused
		}
	}
	if name != cfg.db {
		return refused(cfg.db, "nothing was touched; give the name "+cfg.db, "%q is not the name of the stack that would be wiped", name)
	}
	return nil
}
