package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/poll"
)

// fault is what happens to a server while a step runs. It strikes once, and is over after a while.
type fault struct {
	name   string
	strike func(d *demo, ctx context.Context) error
}

var (
	elasticsearchDies = fault{"Elasticsearch is killed", func(d *demo, ctx context.Context) error { return d.killServer(ctx, "es") }}
	zooKeeperDies     = fault{"ZooKeeper is killed", func(d *demo, ctx context.Context) error { return d.killServer(ctx, "zk") }}
	s3IsAway          = fault{"S3 is away for 30 s", (*demo).takeS3Away}
)

// killServer kills what runs of a database, also a throw-away copy; Swarm starts it again.
func (d *demo) killServer(ctx context.Context, service string) error {
	ids, err := d.atDatabases(ctx, "ps", "--quiet", "--filter", "name=^"+d.platform.db+"_"+service)
	if err != nil {
		return err
	}
	for id := range strings.FieldsSeq(ids) {
		_, _ = d.atDatabases(ctx, "kill", id) // it may have ended by itself
	}
	return nil
}

func (d *demo) takeS3Away(ctx context.Context) error {
	if err := d.platform.s3.Kill(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(30 * time.Second):
	}
	return d.platform.s3.Start(ctx)
}

// struck lets a fault strike when a step has begun. The program goes on to its end, or ends with an error that says how to
// go on, and doing so works.
func (d *demo) struck(t *testing.T, step string, f fault) {
	t.Helper()
	if step != "look" {
		d.seesItsStore(t)
	}
	before := d.volumesMade(t)
	over := make(chan error, 1)
	struck := false
	cmd := d.recovery(t.Context())
	begun := time.Now()
	out := watched(t, cmd, begins(step), func() {
		struck = true
		go func() {
			time.Sleep(300 * time.Millisecond) // into the step
			over <- f.strike(d, context.WithoutCancel(t.Context()))
		}()
	})
	if !struck {
		t.Fatalf("step %s did not begin:\n%s", step, out)
	}
	code := cmd.ProcessState.ExitCode()
	t.Logf("%s in %s: exit code %d after %.1f s", f.name, step, code, time.Since(begun).Seconds())
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	d.wipedOnlyWithASnapshotSeen(t, before)
	for calls := 1; code != cli.ExitOK; calls++ {
		lines := strings.Split(strings.TrimSpace(out), "\n")
		t.Logf("it said: %s", lines[len(lines)-1])
		if !strings.Contains(out, "call the same command again") {
			t.Errorf("%s in %s: it ended with exit code %d and does not say how to go on:\n%s", f.name, step, code, out)
		}
		if calls == 3 {
			t.Fatalf("%s in %s: going on does not work:\n%s", f.name, step, out)
		}
		out, code = d.runRecovery(t)
	}
	d.recoveredExactly(t)
}

// seesItsStore waits until Elasticsearch finds the S3 server that another fault has started again, at another address: a
// recovery that began before would be refused, with nothing touched.
func (d *demo) seesItsStore(t *testing.T) {
	t.Helper()
	err := d.waitFor(t.Context(), func(ctx context.Context) error {
		return es.Send(ctx, d.platform.client, esapi.SnapshotVerifyRepositoryRequest{Repository: repository}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// takeAway removes the database stack: when it is gone no Elasticsearch lives, and there is no service to make another from.
func (d *demo) takeAway(t *testing.T) {
	t.Helper()
	if _, err := docker(t.Context(), "", "stack", "rm", d.platform.db); err != nil {
		t.Fatal(err)
	}
	err := poll.Until(t.Context(), poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		left, err := docker(ctx, "", "ps", "--all", "--quiet", "--filter", "label=com.docker.stack.namespace="+d.platform.db)
		return left == "", left, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// inEachRecovery are the steps that work in every recovery: look does where no Elasticsearch lives, and deploy-db where the stack
// is gone.
var inEachRecovery = []string{"stop-core", "stop-db", "wipe", "start-es", "start-zk", "repository", "restore", "newest", "queue", "promote", "start-core"}

// everyFaultInEveryStep is the full size of struck.
func (d *demo) everyFaultInEveryStep(t *testing.T) {
	for _, step := range inEachRecovery {
		for _, f := range []fault{elasticsearchDies, zooKeeperDies, s3IsAway} {
			if !t.Run(f.name+" in "+step, func(t *testing.T) { d.struck(t, step, f) }) {
				_, _ = d.runRecovery(t) // to its end, so that the next one begins with a whole recovery
			}
		}
	}
	for _, f := range []fault{elasticsearchDies, zooKeeperDies, s3IsAway} {
		t.Run(f.name+" in look", func(t *testing.T) { d.struckInLook(t, f) })
	}
}

// struckInLook is struck in the step that there is only where no Elasticsearch lives.
func (d *demo) struckInLook(t *testing.T, f fault) {
	t.Helper()
	if err := d.destroyForGood(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.struck(t, "look", f)
}

var errStillAlive = errors.New("an Elasticsearch lives on a volume that it cannot use")

// destroyForGood leaves a volume on which Elasticsearch does not start: Swarm starts it again and again, and nobody shows
// the snapshot.
func (d *demo) destroyForGood(ctx context.Context) error {
	for service, command := range map[string]string{
		"es": "find /usr/share/elasticsearch/data -mindepth 1 -delete; mkdir /usr/share/elasticsearch/data/node.lock",
		"zk": empties["zk"],
	} {
		if err := d.ruin(ctx, service, command); err != nil {
			return err
		}
	}
	serves := cli.ElasticsearchServes(d.platform.client)
	for quiet := time.Now(); time.Since(quiet) < 20*time.Second; time.Sleep(time.Second) {
		if err := serves(ctx); err == nil {
			return errStillAlive
		}
	}
	return nil
}
