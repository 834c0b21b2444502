// Command disaster-recovery brings Nuvla back after the worst night: it stops the core and the database stacks, removes the
// databases' volumes, deploys the databases anew, restores a snapshot, proves that it came back, rebuilds the job queue,
// proves that too, and starts the core.
//
// Nothing irreversible happens before its ground is proven: no volume is removed until the chosen snapshot has been seen
// complete, by this call or, within the last half hour, by the one that it goes on from. It can be ended at any point and
// called again with the same arguments; it then goes on where it was. Of two at once the second is refused, on whatever
// manager it runs. It ends with a report: what was restored, from which snapshot, how old it is, how long each step took, what
// was verified and what was not.
//
// Run it on a manager of the Swarm; compose files are read by the docker program there, 23.0 or later:
//
//	disaster-recovery -repository-file repo.json -db-compose db.yml -core-compose nuvla.yml -plan
//	disaster-recovery -repository-file repo.json -db-compose db.yml -core-compose nuvla.yml -html report.html
//
// Of the stack of the databases, services es and zk and their volumes are meant, and whatever else is in it is left alone. The
// core is all of its own stack, or all else of the same one (-core as -db). What its compose file has and the stack lacks is
// deployed.
//
// -plan stops, removes and restores nothing. To see the snapshot it registers the repository, read-only, for the moment, as
// NAME-recovery, where the Elasticsearch that lives does not have it as -repository-file says. Where none lives, it starts a
// throw-away one beside what is there, of the same image, secrets and networks, which nobody else finds, and removes it.
//
// What an earlier call has done is known by its journal (-journal), for a day after its last step and to a call with the same
// flags. A call without it begins anew: it stops what runs, and removes the volumes again.
//
// Where the databases run on other nodes than this manager, name the engine of each (-engine), or the image of these programs
// (-job-image), which then run there as a job to look at the volumes and to remove them.
//
// One database alone is recovered with -only elasticsearch, or with -only zookeeper, which rebuilds the queue from the
// documents of the Elasticsearch that lives. A service that is gone is deployed from -db-compose. -skip STEP and -from STEP
// leave steps out, and never what guards the others.
//
// -drill recovers a copy of the database stack beside production, which is only read, and removes it again: it says how long a
// recovery takes, and whether it works. -drill-services copies services of the core too.
//
// Exit codes: 0 recovered and verified, but for what -skip and -from leave out, 1 failed, 2 usage, 3 not all was restored,
// 4 time-out, 5 another recovery runs, 10 repository, 11 refused: a precondition does not hold, and what needs it was left alone,
// 12 verification failed, 130 interrupted.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/atomicfile"
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
	screen := stdout
	if cfg.json { // which has stdout for itself
		screen = stderr
	}
	r, err := newRecovery(cfg, cli.NewScreen(screen))
	if err != nil {
		return err
	}
	defer r.close()
	if cfg.planOnly {
		return r.showPlan(ctx, stdout)
	}
	ctx, free, err := r.takeUp(ctx)
	if err != nil {
		return err
	}
	defer free()
	err = r.preflight(ctx)
	r.screen.Text(r.page.String())
	if err != nil {
		return err
	}
	if err := confirm(ctx, cfg, r.page.question(cfg.db), os.Stdin, r.screen); err != nil {
		return err
	}
	return r.recoverAll(ctx)
}

// showPlan shows the page, also when it says that the recovery would be refused.
func (r *recovery) showPlan(ctx context.Context, stdout io.Writer) error {
	if err := r.readJournal(); err != nil {
		return err
	}
	err := r.preflight(ctx)
	if !r.cfg.json {
		r.screen.Text(r.page.String())
		return err
	}
	enc := json.NewEncoder(stdout)
	enc.SetIndent("", "  ")
	return errors.Join(err, enc.Encode(&r.page))
}

// recoverAll runs the steps under the journal and writes the report, whatever the end is.
func (r *recovery) recoverAll(ctx context.Context) error {
	records, err := runbook.Run(ctx, r.steps(), r.journal, r.seen)
	err = cli.Begun(errors.Join(err, r.left()))
	if r.cfg.drill && !errors.Is(context.Cause(ctx), nuvlaops.ErrConflict) { // a drill that has taken over removes it, and makes its own
		removed, rerr := r.removeCopy(ctx)
		records, err = append(records, removed), errors.Join(err, rerr)
	}
	if err != nil && ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	r.finish(records, err)
	r.screen.Text(r.report.Text())
	err = errors.Join(err, r.writeReports())
	if r.cfg.drill { // there is nothing to go on with
		return errors.Join(err, r.journal.Finish())
	}
	if err != nil {
		r.screen.Text("To go on where this was, call the same command again within a day; later it would begin anew, and remove the volumes again.\n")
		return err
	}
	return r.journal.Finish()
}

func (r *recovery) writeReports() error {
	var errs []error
	for _, f := range []struct {
		path  string
		write func(string) error
	}{{r.cfg.reportFile, r.report.Write}, {r.cfg.htmlFile, r.report.WriteHTML}, {r.cfg.metricsFile, r.report.WriteMetrics}} {
		if f.path == "" {
			continue
		}
		_ = atomicfile.RemoveParts(f.path) // of a run that was killed while it wrote
		if err := f.write(f.path); err != nil {
			errs = append(errs, fmt.Errorf("write report: %w", err))
		}
	}
	return errors.Join(errs...)
}

// confirm asks for the name of the stack, unless -yes gave it.
func confirm(ctx context.Context, cfg *config, question string, in io.Reader, screen *cli.Screen) error {
	name := cfg.yes
	if name == "" {
		screen.Text("\n" + question + " Type its name to go on: ")
		var err error
		if name, err = cli.ReadLine(ctx, in); err != nil && ctx.Err() != nil {
			return err // any other failure to read leaves no name, which is refused
		}
	}
	if name != cfg.db {
		return refused(cfg.db, "nothing was touched; type "+cfg.db+", or give it with -yes", "%q is not the name of the stack", name)
	}
	return nil
}

// freeWithin bounds what is done after the end of the run's own context.
const freeWithin = 30 * time.Second
