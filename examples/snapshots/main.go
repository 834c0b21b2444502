// Command snapshots looks after the snapshots of a repository. Each command may be called again.
//
//	snapshots list   [-complete] [-state PARTIAL] [-since 24h] [-name 'snapshot.2026-01-*']
//	snapshots show   NAME
//	snapshots verify [NAME...]
//	snapshots prune  -keep-daily 7 -keep-weekly 5 [-dry-run]
//	snapshots pin    NAME [-reason TEXT]
//	snapshots unpin  NAME
//	snapshots delete NAME...
//
// All print a table, or with -json one JSON value. list says on standard error which snapshots it leaves out, since an object
// of theirs is damaged. verify has every node verify the repository, and reads for each snapshot, or for the newest complete
// one, the lists of files that a restore begins with. It leaves no mark: what "restore -snapshot verified" takes was restored
// by "restore drill". prune -dry-run prints what would be kept and removed, and why. prune and delete ask for the name of the
// repository before they remove anything, or take it from -yes. A pinned snapshot is deleted only with -pinned, as is one that
// cannot be described, so that nobody knows.
//
// The configuration file of the backup program is read, so that both work on the same repository and the same marks.
//
// Credentials come from the environment or the file of -conf: ES_API_KEY, or ES_USERNAME and ES_PASSWORD.
//
// Exit codes: 0 done, 1 failed, 2 usage, 3 a snapshot is partial, 4 time-out, 5 a snapshot is running, 10 repository,
// 11 refused, 12 verification failed, 130 interrupted.
package main

import (
	"context"
	"io"
	"os"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/snapshot"
)

func main() { cli.Main("snapshots", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parse(args, os.LookupEnv, stderr)
	if err != nil {
		return err
	}
	client, err := cli.Elasticsearch(cfg.es)
	if err != nil {
		return err
	}
	screen := cli.NewScreen(stderr)
	repo, err := snapshot.New(client, cfg.repository, &snapshot.Options{Logger: cli.Retries(screen)})
	if err != nil {
		return cli.Usagef("-repository: %w", err)
	}
	return execute(ctx, cfg, repo, os.Stdin, stdout, screen)
}

// repository is what the commands need; *snapshot.Repo is one.
type repository interface {
	snapshot.SnapshotRepo
	Verify(ctx context.Context) ([]string, error)
	Check(ctx context.Context, name string) (*snapshot.Checked, error)
	Unreadable(ctx context.Context, listed ...string) ([]string, error)
}

// execute runs one command on any repository.
func execute(ctx context.Context, cfg *config, repo repository, stdin io.Reader, stdout io.Writer, screen *cli.Screen) error {
	if cfg.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cfg.timeout)
		defer cancel()
	}
	p := &program{config: cfg, bare: repo, repo: snapshot.WithMarks(repo, cfg.marks), stdin: stdin, stdout: stdout, screen: screen}
	switch cfg.command {
	case "list":
		return p.list(ctx)
	case "show":
		return p.show(ctx)
	case "verify":
		return p.verify(ctx)
	case "prune":
		return p.prune(ctx)
	case "pin":
		return p.pin(ctx)
	case "unpin":
		return p.unpin(ctx)
	}
	return p.delete(ctx)
}

type program struct {
	*config
	bare   repository
	repo   snapshot.SnapshotRepo // with marks
	stdin  io.Reader
	stdout io.Writer
	screen *cli.Screen
}
