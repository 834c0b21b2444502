// Command restore brings snapshots of Nuvla's Elasticsearch back, proves that they came back, and tries them.
//
//	restore list   [-json]
//	restore plan   [-snapshot NAME] [-json > plan.json]
//	restore apply  [-snapshot NAME | -plan plan.json] [-yes CLUSTER]
//	restore attach -snapshot NAME [-abandon]
//	restore verify -snapshot NAME | -plan plan.json [-queries queries.json] [-manifest manifest.json]
//	restore drill  [-budget 10m] [-schedule "0 3 * * 0" -listen :9116] [-metrics FILE]
//
// plan reads only, and says what a restore would do and what stands in the way. apply shows that and asks for the cluster's
// name, which -yes gives beforehand. After Ctrl-C the server goes on: attach follows the restore to its end and verifies it, or
// ends it with -abandon; apply with the same arguments follows it too.
//
// drill restores into scratch indices beside what is there, verifies them, measures that, and removes them: no original is
// touched. A snapshot that came back is marked (-marks), so that retention keeps the newest of these, and "-snapshot
// verified" finds it; "snapshots verify" leaves no such mark. With -schedule it stays, and drills by a cron expression in UTC.
//
// The configuration file of the backup program is read, so that both work on the same repository and the same marks. A drill in
// another cluster takes that one's address by -es.
//
// Credentials come from the environment or the file of -conf: ES_API_KEY, or ES_USERNAME and ES_PASSWORD.
//
// Exit codes: 0 restored and verified, 1 failed, 2 usage, 3 the snapshot is partial, 4 time-out, 5 another drill or restore
// runs, 10 repository, 11 refused: a precondition does not hold, and what needs it was left alone, 12 verification failed or
// the drill's budget was passed, 130 interrupted.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
)

func main() { cli.Main("restore", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	return runWith(ctx, args, os.Stdin, stdout, stderr)
}

func runWith(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	cfg, err := parse(args, os.LookupEnv, stderr)
	if err != nil {
		return err
	}
	p, err := newProgram(cfg, stdin, stdout, stderr)
	if err != nil {
		return err
	}
	defer p.screen.Close()
	if cfg.timeout > 0 && cfg.schedule == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cfg.timeout)
		defer cancel()
	}
	switch cfg.command {
	case "list":
		return p.list(ctx)
	case "plan":
		return p.planOnly(ctx)
	case "apply":
		return p.apply(ctx)
	case "attach":
		return p.attach(ctx)
	case "verify":
		return p.verify(ctx)
	}
	return p.drills(ctx)
}

type program struct {
	*config
	restorer  *restore.Repo
	bare      *snapshot.Repo
	snapshots snapshot.SnapshotRepo // with marks
	screen    *cli.Screen
	stdin     io.Reader
	stdout    io.Writer
	now       func() time.Time
	status    status
}

func newProgram(cfg *config, stdin io.Reader, stdout, stderr io.Writer) (*program, error) {
	client, err := cli.Elasticsearch(cfg.es)
	if err != nil {
		return nil, err
	}
	screen := cli.NewScreen(stderr)
	p := &program{config: cfg, screen: screen, stdin: stdin, stdout: screen.Over(stdout), now: time.Now}
	if p.restorer, err = restore.New(client, cfg.repository, &restore.Options{Logger: cli.Retries(screen)}); err != nil {
		return nil, cli.Usagef("-repository: %w", err)
	}
	repo, err := snapshot.New(client, cfg.repository, &snapshot.Options{Logger: cli.Retries(screen)})
	if err != nil {
		return nil, cli.Usagef("-repository: %w", err)
	}
	p.bare, p.snapshots = repo, snapshot.WithMarks(repo, cfg.marks)
	return p, nil
}

// print writes a result to standard output: text for people, or one JSON object.
func (p *program) print(v fmt.Stringer) error {
	if p.json {
		enc := json.NewEncoder(p.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	_, err := io.WriteString(p.stdout, v.String())
	return err
}
