package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/internal/testenv/images"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// full is for what the default run does once or twice: NUVLAOPS_FULL=1.
func full() bool { return os.Getenv("NUVLAOPS_FULL") != "" }

// begins and ends are what the program says of a step, at the start of it and once it is done.
func begins(step string) *regexp.Regexp { return regexp.MustCompile(`(?m) ` + step + ` .* \.\.\.$`) }
func ends(step string) *regexp.Regexp   { return regexp.MustCompile(`(?m) ` + step + ` +done in `) }

// killAt runs the program and kills it as soon as it says something. It must have been killed, or have found the step done.
func (d *demo) killAt(t *testing.T, step string, sign *regexp.Regexp) {
	t.Helper()
	d.killAfter(t, step, sign, 0)
}

// killAfter is killAt, a moment later.
func (d *demo) killAfter(t *testing.T, step string, sign *regexp.Regexp, moment time.Duration) {
	t.Helper()
	before := d.volumesMade(t)
	passed := regexp.MustCompile(`(?m) ` + step + ` .* done by the run before`)
	cmd := d.recovery(t.Context())
	out := watched(t, cmd, sign, func() { time.Sleep(moment); _ = cmd.Process.Kill() })
	switch status := cmd.ProcessState.Sys().(syscall.WaitStatus); {
	case status.Signaled(), passed.MatchString(out) && status.ExitStatus() == cli.ExitOK:
	default:
		t.Fatalf("want it killed at %s, it ended with %v:\n%s", step, cmd.ProcessState, out)
	}
	d.wipedOnlyWithASnapshotSeen(t, before)
}

// killAtRandom kills the program at random moments of a recovery that takes about whole, n times in a row.
func (d *demo) killAtRandom(t *testing.T, random *rand.Rand, n int, whole time.Duration) {
	t.Helper()
	for range n {
		before := d.volumesMade(t)
		after := time.Duration(random.Int64N(int64(whole)))
		cmd := d.recovery(t.Context())
		begun := time.Now()
		var timer *time.Timer
		out := watchedSince(t, cmd, func() { timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) }, nil, nil)
		timer.Stop()
		whole = max(whole-time.Since(begun), whole/4) // what is done is not done again
		at := "before its first step"
		if steps := regexp.MustCompile(`(?m)^ *[\d:.]+  (\S+ .*)$`).FindAllStringSubmatch(out, -1); len(steps) > 0 {
			at = steps[len(steps)-1][1]
		}
		t.Logf("killed after %.1f s: %v, last said: %s", after.Seconds(), cmd.ProcessState, at)
		if code := cmd.ProcessState.ExitCode(); code > cli.ExitOK {
			t.Fatalf("it ended by itself with exit code %d:\n%s", code, out)
		}
		d.wipedOnlyWithASnapshotSeen(t, before)
	}
}

// dice are those of the seed in NUVLAOPS_SEED, or of a new one; the seed is in the log.
func dice(t *testing.T) *rand.Rand {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("NUVLAOPS_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("NUVLAOPS_SEED=%d", seed)
	return rand.New(rand.NewChaCha8(sha256.Sum256([]byte(fmt.Sprint(seed)))))
}

// volumesMade are the databases' volumes and when each was made. An engine before 23.0 gives the time of the last file in it
// (see thereOf); the folder around it keeps its own, and a container sees that where this user may not.
func (d *demo) volumesMade(t *testing.T) map[string]string {
	t.Helper()
	run := []string{"run", "--rm", "--label", testenv.Label + "=" + testenv.OwnerLabelValue(), "--user", "0", "--entrypoint", "stat"}
	names := []string{}
	for _, name := range []string{"esdata", "zkdata", "zkdatalog"} {
		name = d.platform.db + "_" + name
		data, err := d.atDatabases(t.Context(), "volume", "inspect", "--format", "{{.Mountpoint}}", name)
		if err != nil {
			continue
		}
		names = append(names, name)
		run = append(run, "--mount", "type=bind,source="+filepath.Dir(data)+",target=/made/"+name+",readonly")
	}
	made := map[string]string{}
	if len(names) == 0 {
		return made
	}
	run = append(run, d.platform.images[images.Elasticsearch], "--format", "%y")
	for _, name := range names {
		run = append(run, "/made/"+name)
	}
	out, err := d.atDatabases(t.Context(), run...)
	at := strings.Split(out, "\n")
	if err != nil || len(at) != len(names) {
		t.Fatalf("when %v were made: %q, %v", names, out, err)
	}
	for i, name := range names {
		made[name] = at[i]
	}
	return made
}

// volumeContents is a checksum of all files in the databases' volumes, which no server uses now.
func (d *demo) volumeContents(t *testing.T) string {
	t.Helper()
	run := []string{"run", "--rm", "--label", testenv.Label + "=" + testenv.OwnerLabelValue()}
	for name := range d.volumesMade(t) {
		run = append(run, "--volume", name+":/volumes/"+name+":ro")
	}
	out, err := docker(t.Context(), "", append(run, d.platform.images[images.Consumer], "sh", "-c", "find /volumes -type f -exec cksum {} + | sort | cksum; find /volumes -type f | wc -l")...)
	if err != nil || strings.HasSuffix(out, "\n0") {
		t.Fatalf("contents of the volumes: %q, %v", out, err)
	}
	return out
}

// wipedOnlyWithASnapshotSeen: where a volume is gone, or is another one, the journal must name the snapshot that was seen
// complete before, since a call that comes after a kill has nothing else to go by.
func (d *demo) wipedOnlyWithASnapshotSeen(t *testing.T, before map[string]string) {
	t.Helper()
	after := d.volumesMade(t)
	for name, at := range before {
		if after[name] == at {
			continue
		}
		raw, err := os.ReadFile(d.platform.file("journal.json"))
		var journal struct {
			State struct{ Snapshot struct{ Name, UUID string } }
		}
		if err == nil {
			err = json.Unmarshal(raw, &journal)
		}
		if err != nil || journal.State.Snapshot.UUID == "" {
			t.Fatalf("volume %s was removed and no snapshot had been seen: %v, journal:\n%s", name, err, raw)
		}
	}
}

// recoveredExactly asks the servers themselves for what the report says, and for what must not be left.
func (d *demo) recoveredExactly(t *testing.T) {
	t.Helper()
	if err := d.check(t.Context()); err != nil {
		t.Error(err)
	}
	d.documentsAreExact(t)
	d.queueIsExact(t)
	d.nothingIsLeft(t)
}

func (d *demo) documentsAreExact(t *testing.T) {
	t.Helper()
	got := map[string]int64{}
	for index := range d.seeded.documents {
		var answer struct{ Count int64 }
		if err := es.Send(t.Context(), d.platform.client, esapi.CountRequest{Index: []string{index}}, &answer); err != nil {
			t.Fatal(err)
		}
		got[index] = answer.Count
	}
	if diff := cmp.Diff(d.seeded.documents, got); diff != "" {
		t.Errorf("documents by index (-seeded +there):\n%s", diff)
	}
}

// queueIsExact compares queue and documents while executors consume: each open job has one entry, at its priority.
func (d *demo) queueIsExact(t *testing.T) {
	t.Helper()
	q, err := openQueue(t.Context(), d.platform.zk)
	if err != nil {
		t.Fatal(err)
	}
	defer q.conn.Close()
	documents, err := zkjobs.NewDocuments(d.platform.client, nil)
	if err != nil {
		t.Fatal(err)
	}
	rebuilder, err := zkjobs.New(documents, q.conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := rebuilder.Plan(t.Context(), zkjobs.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Doubled) > 0 {
		t.Errorf("doubled on the queue: %v", plan.Doubled)
	}
	for _, j := range plan.Jobs {
		switch j.Do {
		case zkjobs.DecisionThere, zkjobs.DecisionTaken, zkjobs.DecisionConsumed:
		default:
			t.Errorf("job %s: %s, want it on the queue", j.ID, j.Do)
		}
	}
	if open := d.openAtSnapshot.min; len(plan.Jobs) < open/2 {
		t.Errorf("%d open jobs, %d at the snapshot: this comparison shows nothing", len(plan.Jobs), open)
	}
}

// nothingIsLeft of the program: no throw-away server, no setting of the restore, no file that was being written.
func (d *demo) nothingIsLeft(t *testing.T) {
	t.Helper()
	if left, err := docker(t.Context(), "", "service", "ls", "--quiet", "--filter", "name="+d.platform.db+"_es-copy"); err != nil || left != "" {
		t.Errorf("the throw-away Elasticsearch is still there: %q, %v", left, err)
	}
	if left, err := docker(t.Context(), "", "ps", "--all", "--quiet", "--filter", "name=^"+d.platform.db+"_es-copy"); err != nil || left != "" {
		t.Errorf("its container is still there: %q, %v", left, err)
	}
	var settings struct{ Persistent, Transient map[string]string }
	flat := true
	if err := es.Send(t.Context(), d.platform.client, esapi.ClusterGetSettingsRequest{FlatSettings: &flat}, &settings); err != nil {
		t.Fatal(err)
	}
	journal := settings.Persistent["cluster.metadata.nuvlaops.restore"] // stays, for a later proof; without anything to put back
	delete(settings.Persistent, "cluster.metadata.nuvlaops.restore")
	delete(settings.Persistent, "cluster.max_shards_per_node") // see fewShards
	if len(settings.Persistent)+len(settings.Transient) > 0 || strings.Contains(journal, `"limit"`) || strings.Contains(journal, `"ilm"`) {
		t.Errorf("settings of the cluster are left: %v, and in the journal of the restore %s", settings, journal)
	}
	var repositories map[string]struct{ Settings map[string]string }
	if err := es.Send(t.Context(), d.platform.client, esapi.SnapshotGetRepositoryRequest{}, &repositories); err != nil {
		t.Fatal(err)
	}
	if readOnly := repositories[repository].Settings["readonly"]; readOnly != "" && readOnly != "false" {
		t.Errorf("the repository is still read-only: %v", repositories)
	}
	if parts, err := filepath.Glob(d.platform.file("*.part")); err != nil || len(parts) > 0 {
		t.Errorf("files that were being written are left: %v, %v", parts, err)
	}
}

// tortured is the full size of what the rest of the test does once: each step's beginning and end, thirty random moments,
// and each fault in each step.
func (d *demo) tortured(t *testing.T) {
	for _, step := range []string{"stop-core", "stop-db", "wipe", "deploy-db", "start-es", "start-zk", "repository", "restore", "newest", "queue", "promote", "start-core"} {
		d.killAt(t, step, begins(step))
		d.killAt(t, step, ends(step))
	}
	d.recovered(t, d.alone)
	d.takeAway(t)
	for _, step := range []string{"stop-db", "look"} {
		d.killAt(t, step, begins(step))
	}
	d.killAt(t, "look", ends("look"))
	d.recovered(t, d.alone)
	random := dice(t)
	for round := range 10 {
		t.Run(fmt.Sprint("random moments ", round), func(t *testing.T) {
			if round%2 == 1 {
				d.takeAway(t)
			}
			d.killAtRandom(t, random, 3, 25*time.Second)
			d.recovered(t, d.alone)
		})
	}
}
