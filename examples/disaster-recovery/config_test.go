package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/runbook"
	"github.com/nuvla/nuvlaops/stack"
)

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "repo.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const goodRepository = `{"type":"s3","settings":{"bucket":"nuvla-es-backup","endpoint":"https://sos-ch-dk-2.exo.io"}}`

func TestBadInputNamesTheFlagAndTouchesNothing(t *testing.T) {
	good := []string{"-repository-file", file(t, goodRepository)}
	tests := []struct {
		name string
		args []string
		want string // in the error
	}{
		{"no repository", nil, "-repository-file"},
		{"a file that is not there", []string{"-repository-file", "/nowhere"}, "-repository-file"},
		{"not JSON", []string{"-repository-file", file(t, "bucket: b")}, "-repository-file"},
		{"no bucket", []string{"-repository-file", file(t, `{"type":"s3","settings":{}}`)}, "ucket"},
		{"keys among the settings", []string{"-repository-file", file(t, `{"type":"s3","settings":{"bucket":"backup","access_key":"hunter2"}}`)}, "access_key"},
		{"a time that is none", append(good, "-before", "yesterday"), "-before"},
		{"a snapshot of an empty variable", append(good, "-snapshot", ""), "-snapshot"},
		{"a time of an empty variable", append(good, "-before", ""), "-before"},
		{"a database of an empty variable", append(good, "-only", ""), "-only"},
		{"a step of an empty variable", append(good, "-from", ""), "-from"},
		{"an archive of an empty variable", append(good, "-keep-old", ""), "-keep-old"},
		{"more than one snapshot", append(good, "-snapshot", "snapshot.*"), "-snapshot"},
		{"a pattern that is none", append(good, "-indices", "nuvla-["), "-indices"},
		{"a repository that cannot be", append(good, "-repository", "a b"), "-repository:"},
		{"a snapshot for the queue alone", append(good, "-only", "zookeeper", "-snapshot", "s"), "-snapshot"},
		{"the latest one for the queue alone", append(good, "-only", "zookeeper", "-before", "2026-01-02T15:04:05Z"), "-before"},
		{"indices for the queue alone", append(good, "-only", "zookeeper", "-indices", "nuvla-job"), "-indices"},
		{"unknown settings of no file", []string{"-only", "zookeeper", "-allow-unknown-settings"}, "-repository-file"},
		{"a time with a name", append(good, "-before", "2026-01-02T15:04:05Z", "-snapshot", "s"), "-before"},
		{"replicas", append(good, "-replicas", "-2"), "-replicas"},
		{"no indices", append(good, "-indices", " ,"), "-indices"},
		{"a core without a name", append(good, "-core", ""), "-core"},
		{"an api that is no URL", append(good, "-api", "es:9200"), "-api"},
		{"an api with a password", append(good, "-api", "http://nuvla:hunter2@host:port/"), "-api"},
		{"an Elasticsearch with a password", append(good, "-es", "http://elastic:hunter2@host:port/"), "Elasticsearch"},
		{"a compose file that is not there", append(good, "-db-compose", "/nowhere"), "-db-compose"},
		{"no time at all", append(good, "-timeout", "0s"), "-timeout"},
		{"an address of Elasticsearch that is none", append(good, "-es", "http://"), "Elasticsearch"},
		{"no ZooKeeper", append(good, "-zk", ""), "-zk"},
		{"two chroots of one ZooKeeper", append(good, "-zk", "a/x b/y"), "-zk"},
		{"an authority of ZooKeeper that is not there", append(good, "-zk-ca", "/nowhere"), "-zk-ca"},
		{"a database that is none", append(good, "-only", "redis"), "elasticsearch or zookeeper"},
		{"a step that is none", append(good, "-skip", "nap"), "one of stop-core, stop-db, look"},
		{"a step that is none to begin from", append(good, "-from", "nap"), "one of stop-core, stop-db, look"},
		{"JSON without a plan", append(good, "-json"), "-plan"},
		{"a folder that is not there", append(good, "-keep-old", "/nowhere"), "-keep-old"},
		{"a report into nowhere", append(good, "-html", "/nowhere/report.html"), "-html"},
		{"metrics that nobody reads", append(good, "-metrics", "recovery.txt"), ".prom"},
		{"a budget of nothing", append(good, "-budget", "nap=1m"), "-budget"},
		{"an engine that is none", append(good, "-engine", "worker"), "-engine"},
		{"a drill by jobs", append(good, "-drill", "-job-image", "nuvlaops"), "-engine"},
		{"a drill's services without a drill", append(good, "-drill-services", "api"), "-drill"},
		{"a drill's services that are none", append(good, "-drill", "-drill-services", "api,"), "-drill-services"},
		{"all of them and one more", append(good, "-drill", "-drill-services", "all,api"), "-drill-services"},
		{"services of one stack", append(good, "-core", "db", "-drill", "-drill-services", "ui"), "-drill-services"},
		{"an api that is not copied", append(good, "-drill", "-drill-services", "ui", "-drill-api", ":8200/"), "-drill-api"},
		{"an api without a port", append(good, "-drill", "-drill-services", "api", "-drill-api", "/api"), "-drill-api"},
		{"an api whose port is no number", append(good, "-drill", "-drill-services", "api", "-drill-api", "8200/"), "-drill-api"},
		{"an api of a drill without a drill", append(good, "-drill-api", ":8200/"), "-drill"},
		{"a drill's network without a drill", append(good, "-drill-network", "net"), "-drill"},
		{"databases without a name", append(good, "-db", ""), "-db"},
		{"an api without a host", append(good, "-api", "http:///api"), "-api"},
		{"an archive that is no folder", append(good, "-keep-old", file(t, "")), "-keep-old"},
		{"a socket without an image", append(good, "-job-socket", "/run/docker.sock"), "-job-image"},
		{"an unknown flag", append(good, "-force"), "-force"},
		{"an argument", append(good, "now"), "now"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock") // whoever comes that far fails otherwise
			err := run(t.Context(), tt.args, io.Discard, io.Discard)
			if code := cli.ExitCode(err); code != cli.ExitUsage {
				t.Errorf("exit code %d (%v), want %d", code, err, cli.ExitUsage)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v, want it to name %q and no secret", err, tt.want)
			}
		})
	}
}

func TestHelpSaysHowToBeginWhichCredentialsAndTheExitCodes(t *testing.T) {
	var stderr strings.Builder
	if err := run(t.Context(), []string{"-h"}, io.Discard, &stderr); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v, want flag.ErrHelp, which ends the program with 0", err)
	}
	for _, want := range []string{"-core-compose nuvla.yml -plan", "ES_API_KEY", "ZK_PASSWORD", "5 another recovery runs"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("%q is not in the help:\n%s", want, stderr.String())
		}
	}
}

func TestAnotherRecoveryIsRefusedAndNamed(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	path := filepath.Join(t.TempDir(), "journal")
	journal, err := runbook.OpenJournal(path, "another one")
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	err = run(t.Context(), []string{"-repository-file", file(t, goodRepository), "-journal", path}, io.Discard, io.Discard)
	if code := cli.ExitCode(err); code != cli.ExitBusy || !strings.Contains(err.Error(), fmt.Sprintf("process %d on ", os.Getpid())) {
		t.Errorf("exit code %d (%v), want %d and the first one named", code, err, cli.ExitBusy)
	}
}

func TestStepsAreLeftOutAsTold(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want []string // of the steps that are run
	}{
		{"all", nil, []string{"stop-core", "stop-db", "look", "keep-old", "wipe", "deploy-db", "start-es", "start-zk", "repository", "restore", "newest", "queue", "promote", "start-core"}},
		{"from one on", []string{"-from", "restore"}, []string{"restore", "newest", "queue", "promote", "start-core"}},
		{"without some", []string{"-skip", "look,promote", "-skip", "start-core", "-from", "start-es"}, []string{"start-es", "start-zk", "repository", "restore", "newest", "queue"}},
		{"the queue alone", []string{"-only", "zookeeper"}, []string{"stop-core", "stop-db", "keep-old", "wipe", "deploy-db", "start-zk", "queue", "start-core"}},
		{"a drill", []string{"-drill"}, []string{"stop-db", "keep-old", "wipe", "deploy-db", "start-es", "start-zk", "repository", "restore", "newest", "queue"}},
		{"a drill of the core too", []string{"-drill", "-drill-services", "api"}, []string{"stop-db", "keep-old", "wipe", "deploy-db", "start-es", "start-zk", "repository", "restore", "newest", "queue", "start-core"}},
		{"the documents alone", []string{"-only", "elasticsearch"}, []string{"stop-core", "stop-db", "look", "keep-old", "wipe", "deploy-db", "start-es", "repository", "restore", "newest", "queue", "promote", "start-core"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := parse(append(tt.args, "-repository-file", file(t, goodRepository)), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, step := range stepNames {
				if cfg.leftOut(step) == "" {
					got = append(got, step)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryStepHasItsNameAndItsPlace(t *testing.T) {
	cfg, err := parse([]string{"-repository-file", file(t, goodRepository), "-keep-old", t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRecovery(cfg, cli.NewScreen(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	var got []string
	for _, step := range r.steps() {
		got = append(got, step.Name)
	}
	if diff := cmp.Diff(stepNames, got); diff != "" {
		t.Errorf("steps (-named +run):\n%s", diff)
	}
}

// A wipe that nothing proves is refused, whatever was left out before it.
func TestNothingIsWipedWithoutItsProof(t *testing.T) {
	now := time.Now()
	seen := func(ago time.Duration) state {
		return state{Snapshot: &report.Snapshot{Name: "s", UUID: "u"}, Seen: now.Add(-ago)}
	}
	tests := []struct {
		name    string
		cfg     config
		state   state
		found   found
		refused bool
	}{
		{"nothing seen", config{}, state{}, found{}, true},
		{"nothing seen, steps left out", config{from: "wipe", skip: []string{"look"}}, state{}, found{}, true},
		{"seen", config{}, seen(time.Minute), found{}, false},
		{"seen long ago", config{}, seen(time.Hour), found{}, true},
		{"seen before the clock was set back", config{}, seen(-24 * time.Hour), found{}, true},
		{"chosen, never seen", config{}, state{Snapshot: &report.Snapshot{Name: "s", UUID: "u"}}, found{}, true},
		{"the queue, without the documents", config{only: onlyZK}, seen(time.Minute), found{}, true},
		{"the queue, with the documents", config{only: onlyZK}, state{}, found{jobsSeen: true}, false},
		{"the documents alone, nothing seen", config{only: onlyES}, state{}, found{jobsSeen: true}, true},
		{"the documents alone, seen", config{only: onlyES}, seen(time.Minute), found{}, false},
		{"not archived", config{keepOld: "/old"}, seen(time.Minute), found{}, true},
		{"archived", config{keepOld: "/old"}, state{Snapshot: &report.Snapshot{Name: "s", UUID: "u"}, Seen: now, Kept: "/old/db"}, found{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &recovery{cfg: &tt.cfg, state: tt.state, found: tt.found, now: func() time.Time { return now }}
			if err := r.proven(t.Context()); errors.Is(err, nuvlaops.ErrRefused) != tt.refused {
				t.Errorf("got %v, refused should be %t", err, tt.refused)
			}
		})
	}
}

func TestADrillHasNamesOfItsOwnAndTakesNoPart(t *testing.T) {
	good := []string{"-repository-file", file(t, goodRepository), "-drill"}
	cfg, err := parse(good, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"db", "db-drill", "db-drill-net"}
	if diff := cmp.Diff(want, []string{cfg.production, cfg.db, cfg.network}); diff != "" {
		t.Errorf("production, copy, network (-want +got):\n%s", diff)
	}
	for _, more := range [][]string{{"-only", "zookeeper"}, {"-skip", "wipe"}, {"-from", "queue"}, {"-keep-old", t.TempDir()}, {"-api", "http://localhost"}} {
		if _, err := parse(append(good, more...), io.Discard); cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), "-drill") {
			t.Errorf("-drill with %v: %v, want a usage error", more, err)
		}
	}
}

// Another drill has taken over: the copy is its own by now.
func TestADrillThatHasLostItsClaimLeavesTheCopyToTheOther(t *testing.T) {
	taken := &nuvlaops.Error{Reason: "another works on the stack", Err: nuvlaops.ErrConflict}
	for want, cause := range map[bool]error{true: cli.ErrInterrupted, false: taken} {
		r := takenUp(t)
		r.cfg, r.stacks = &config{drill: true, db: "db-drill", production: "db", core: "nuvla"}, swarmOf(t, map[string]string{"/networks": "[]", "/secrets": "[]", "/configs": "[]", "/tasks": "[]"})
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		err := r.recoverAll(ctx)
		removed := slices.ContainsFunc(r.report.Steps, func(s report.Step) bool { return s.Name == removeStep })
		if removed != want || !errors.Is(err, cause) {
			t.Errorf("after %v: the copy is removed: %t, want %t; %v", cause, removed, want, err)
		}
	}
}

func TestTheRemovalOfADrillIsNoneOfItsTime(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	records := []runbook.Record{{Step: "queue", Started: began, Ended: began.Add(20 * time.Second)}, {Step: removeStep, Started: began.Add(20 * time.Second), Ended: began.Add(28 * time.Second)}}
	r := &recovery{cfg: &config{drill: true, db: "db-drill", core: "nuvla"}, state: state{Started: began}, now: func() time.Time { return began.Add(28 * time.Second) }}
	r.finish(records, nil)
	if r.report.RTO != 20 || r.report.Outcome != "drill passed" || r.report.Mode != report.ModeDrill {
		t.Errorf("RTO %v, outcome %q, mode %q; want 20, a drill that passed", r.report.RTO, r.report.Outcome, r.report.Mode)
	}
}

func TestAClockThatIsSetBackMakesNoTimeBelowZero(t *testing.T) {
	began := time.Now()
	r := &recovery{cfg: &config{db: "db", core: "nuvla"}, state: state{Started: began}, now: func() time.Time { return began.Add(-time.Hour) }}
	if r.finish(nil, nil); r.report.RTO != 0 {
		t.Errorf("RTO %v", r.report.RTO)
	}
}

func TestTheNameIsAskedFor(t *testing.T) {
	cfg := &config{db: "db"}
	screen := cli.NewScreen(io.Discard)
	if err := confirm(t.Context(), cfg, "", strings.NewReader("db\n"), screen); err != nil {
		t.Errorf("the right name: %v", err)
	}
	for _, typed := range []string{"", "\n", "yes\n", "DB\n", "db2\n"} {
		if err := confirm(t.Context(), cfg, "", strings.NewReader(typed), screen); cli.ExitCode(err) != cli.ExitRefused {
			t.Errorf("%q: got %v, want refused", typed, err)
		}
	}
	silent, end := io.Pipe()
	defer end.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := confirm(ctx, cfg, "", silent, screen); cli.ExitCode(err) != cli.ExitTimeout {
		t.Errorf("no answer: got %v, want the context's end", err)
	}
}

// Who types the name of the stack must know what for.
func TestTheQuestionSaysWhatIsRemoved(t *testing.T) {
	for want, p := range map[string]*page{
		"Stack db-drill will be made, and removed at the end.":                               {Drill: "db-drill"},
		"No volume of stack db will be removed; its databases are recovered where they are.": {},
		"These volumes of stack db will be removed, and what is in them lost: db_es.":        {Wipe: []stack.Volume{{Name: "db_es"}}},
		"These volumes of stack db will be removed, and what is in them lost: db_es, db_zk.": {Wipe: []stack.Volume{{Name: "db_es"}, {Name: "db_zk"}}},
	} {
		if got := p.question("db"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Whoever says all does not mean those that run jobs on real machines; whoever names them does, and is warned.
func TestADrillCopiesWhatRunsJobsOnlyWhenItIsNamed(t *testing.T) {
	r := &recovery{cfg: &config{drill: true, copied: []string{"all"}}}
	r.found.core = &stack.Stack{Name: "nuvla"}
	for _, name := range coreServices {
		r.found.core.Services = append(r.found.core.Services, stack.Service{Name: name})
	}
	if diff := cmp.Diff([]string{"api", "ui"}, r.copiedServices()); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	r.cfg.copied = []string{"job-executor"}
	if diff := cmp.Diff([]string{"job-executor"}, r.copiedServices()); diff != "" {
		t.Errorf("one that is named (-want +got):\n%s", diff)
	}
}

func TestACopyIsSpokenToAsTheElasticsearchThatItStandsFor(t *testing.T) {
	for address, want := range map[string]string{"localhost:9200": "127.0.0.1:1", "http://es": "http://127.0.0.1:1", "https://es:9200": "https://127.0.0.1:1"} {
		c, err := parse([]string{"-repository-file", file(t, goodRepository), "-es", address}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		got := c.spokenTo("127.0.0.1:1")
		if _, err := cli.Elasticsearch(got); err != nil || got != want {
			t.Errorf("-es %s: %s (%v), want %s", address, got, err, want)
		}
	}
}

func TestAPlanThatEndedBeforeTheStacksWereSeenSaysNothingOfWhatWouldBeDone(t *testing.T) {
	var p page
	_ = p.bad("engine", errors.New("the engine is not a manager of a swarm"))
	if text := p.String(); strings.Contains(text, "no volume") || !strings.Contains(text, "not a manager") {
		t.Errorf("the page says\n%s", text)
	}
}
