// Command backup takes a snapshot of Nuvla's Elasticsearch, proves that it is complete, and prunes old ones. It takes the
// place of nuvla-backup.sh: the same configuration file, the same lines, the same timestamp file, which is touched only when
// the snapshot was seen complete.
//
//	30 */1 * * * elasticsearch (date --utc; nuvla-backup.sh) >> /var/log/nuvla-backup-cron.log 2>&1
//
// runs it from cron when it is installed under that name, in a folder of cron's PATH. Without cron it keeps its own time, in
// UTC:
//
//	backup -schedule "30 * * * *" -listen :9115 -repository-file repo.json -keep-hourly 24 -keep-daily 7 -keep-weekly 5
//
// Each flag has a name for the configuration file and the environment, which -h shows: flags win over the environment, that
// over the file. Credentials come from the environment or the file: ES_API_KEY, or ES_USERNAME and ES_PASSWORD.
//
// Two runs on one host come one after the other, by the -lock file; on two hosts, by what the repository shows, so that two that
// begin in the same moment may both take a snapshot. Elasticsearch takes both, whole, and copies a shard of one after that of
// the other. Hosts of one -schedule take one snapshot for each slot all the same.
//
// Without a -keep flag nothing is removed. Backups of different -indices in one repository need a -prefix each: what is kept
// goes by it, and so does the name of a slot's snapshot, which only one of two schedules gets. It is a label of the metrics,
// where it is not the default. On one host each needs a -timestamp and a -metrics file of its own, too: what one has written there
// would hide that the other fails.
//
// A run that was killed leaves its snapshot running in Elasticsearch. The next run on the same host with the same -indices,
// -global-state and -timestamp finds it, waits for it and records it, if it began within the last half hour and no run here after
// it, as the -lock file says; an older one is left as it is, and another is taken. Only with -schedule, and on each host of it,
// is the snapshot of a slot taken up.
//
// It writes the timestamp file, and as they are asked for: metrics (-metrics), a manifest for each snapshot (-manifests).
// It reads the marks (-marks) that "snapshots pin" and "restore drill" leave.
//
// Exit codes: 0 the snapshot is complete and recorded, 1 failed, 2 usage, 3 partial, 4 time-out, 5 another backup runs,
// 10 repository, 11 refused, 12 verification failed, 130 interrupted. With -schedule it ends by a signal only: 0 between
// two runs, 130 within one.
package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/snapshot"
)

func main() { cli.Main("backup", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parse(args, os.LookupEnv, stderr)
	if err != nil {
		return err
	}
	b, err := newBackup(cfg, stdout, stderr)
	if err != nil {
		return err
	}
	if cfg.schedule == nil {
		return b.once(ctx, identity{})
	}
	return b.scheduled(ctx)
}

func newBackup(cfg *config, stdout, stderr io.Writer) (*backup, error) {
	client, err := cfg.client()
	if err != nil {
		return nil, err
	}
	out := newOutput(cfg, stdout, stderr)
	repo, err := snapshot.New(client, cfg.repository, &snapshot.Options{Logger: out.log})
	if err != nil {
		return nil, cli.Usagef("-repository: %w", err)
	}
	b := &backup{config: cfg, repo: repo, out: out, now: time.Now}
	if b.host, err = os.Hostname(); err != nil {
		return nil, err
	}
	b.status.load(cfg)
	return b, nil
}
