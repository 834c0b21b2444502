package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/runbook"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/stack"
)

// takenUp is a recovery whose journal knows these steps as done.
func takenUp(t *testing.T, done ...string) *recovery {
	t.Helper()
	journal, err := runbook.OpenJournal(filepath.Join(t.TempDir(), "journal"), "k")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = journal.Close() })
	var steps []runbook.Step
	for _, name := range done {
		steps = append(steps, runbook.Step{Name: name, Run: func(context.Context) (string, error) { return "", nil }})
	}
	if _, err := runbook.Run(t.Context(), steps, journal, nil); err != nil {
		t.Fatal(err)
	}
	return &recovery{cfg: &config{db: "db", core: "nuvla"}, screen: cli.NewScreen(io.Discard), now: time.Now, journal: journal}
}

func TestARecoveryWhoseElasticsearchIsGoneBeginsAnewAndKeepsItsClock(t *testing.T) {
	r := takenUp(t, "stop-core", "stop-db", "wipe", "restore")
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	kept := state{Started: began, From: "stop-db", Before: before{Jobs: map[int]int{50: 3}}, Warnings: []string{"one node"}, Touched: true}
	r.state = kept
	r.state.Snapshot, r.state.Seen, r.state.Plan, r.state.Restored, r.state.Kept = &report.Snapshot{Name: "s", UUID: "u"}, time.Now(), &restore.Plan{}, &restore.Report{}, "/old"
	r.now = func() time.Time { return began.Add(time.Hour) }
	r.beginAnew()
	kept.Anew = began.Add(time.Hour)
	if diff := cmp.Diff(kept, r.remembered()); diff != "" || len(r.journal.Records()) > 0 {
		t.Errorf("it still knows %+v and (-want +got):\n%s", r.journal.Records(), diff)
	}
}

// Whoever calls again goes on: the volumes would go once more.
func TestARecoveryGoesOnAsLongAsItsElasticsearchIsThere(t *testing.T) {
	for uuid, anew := range map[string]bool{"this one": false, "another one": true} {
		r := takenUp(t, "stop-core", "wipe")
		r.cfg.repository, r.state = "r", state{Plan: &restore.Plan{Cluster: restore.Cluster{UUID: uuid}}}
		if err := r.talkTo(smallCluster(t)); err != nil {
			t.Fatal(err)
		}
		if r.beginAnewElsewhere(t.Context()); r.done("wipe") == anew || (r.remembered().Plan == nil) != anew {
			t.Errorf("restored into %s: the wipe is done: %t, want begun anew: %t", uuid, r.done("wipe"), anew)
		}
	}
}

// What stands in its way may be gone when the program is called again.
func TestAPlanThatIsRefusedIsNotKept(t *testing.T) {
	for severity, kept := range map[string]bool{restore.SeverityError: false, restore.SeverityWarning: true} {
		r := takenUp(t)
		plan := &restore.Plan{Findings: []restore.Finding{{Severity: restore.SeverityInfo, Text: "ILM runs"}, {Severity: severity, Text: "one node"}}}
		err := errors.Join(r.keepPlan(plan), r.keepPlan(plan))
		if got := r.remembered().Plan; err != nil || (got == plan) != kept || len(r.remembered().Warnings) != 2 {
			t.Errorf("with a finding that is %s: kept %t, want %t, warnings %q, %v", severity, got == plan, kept, r.remembered().Warnings, err)
		}
	}
}

func TestWhatIsLookedForAndProvenAgainDependsOnWhatIsDone(t *testing.T) {
	tests := []struct {
		name        string
		done        []string
		seen        time.Duration // ago; negative: never
		look, again bool
	}{
		{"at the beginning", nil, -1, true, true},
		{"seen by the one that lives", nil, time.Minute, false, true},
		{"taken up long after", []string{"stop-core", "stop-db"}, time.Hour, true, true},
		{"wiped already", []string{"stop-core", "stop-db", "wipe"}, time.Hour, false, true},
		{"the core starts", []string{"stop-core", "stop-db", "wipe", "restore", "queue", "start-core"}, time.Hour, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := takenUp(t, tt.done...)
			if tt.seen >= 0 {
				r.state = state{Snapshot: &report.Snapshot{Name: "s", UUID: "u"}, Seen: time.Now().Add(-tt.seen)}
			}
			look, again := false, false
			for _, s := range r.steps() {
				look = look || s.Name == "look"
				again = again || s.Name == "restore" && s.Again
			}
			if look != tt.look || again != tt.again {
				t.Errorf("looked for: %t, restore proven again: %t; want %t, %t", look, again, tt.look, tt.again)
			}
		})
	}
}

func TestWhatGoesAwayInTheMiddleIsWaitedFor(t *testing.T) {
	seen, repository, database := &report.Snapshot{Name: "s"}, nuvlaops.ErrRepository, nuvlaops.ErrUnavailable
	tests := []struct {
		name  string
		seen  *report.Snapshot // before
		works time.Duration    // before it goes away
		away  time.Duration
		kind  error
		err   error // of another kind
		want  error
	}{
		{"it comes back", seen, 0, 100 * time.Second, repository, nil, nil},
		{"it comes back, away after a while", seen, time.Hour, 100 * time.Second, repository, nil, nil},
		{"it stays away", seen, 0, time.Hour, repository, nil, repository},
		{"it has never been read", nil, 0, 100 * time.Second, repository, nil, repository},
		{"a database comes back", nil, 0, 100 * time.Second, database, nil, nil},
		{"a database stays away", nil, 0, time.Hour, database, nil, database},
		{"something else is wrong", seen, 0, 0, nil, nuvlaops.ErrConflict, nuvlaops.ErrConflict},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recovery{cfg: &config{}, screen: cli.NewScreen(io.Discard), now: time.Now, state: state{Snapshot: tt.seen}}
				began := time.Now().Add(tt.works)
				err := r.patiently(t.Context(), "repository", func(context.Context) error {
					time.Sleep(time.Until(began))
					if time.Since(began) < tt.away {
						return &nuvlaops.Error{Op: "snapshot.Ensure", Err: tt.kind}
					}
					return tt.err
				})
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if waited := time.Since(began); waited > 130*time.Second || (tt.seen == nil && tt.kind == repository || tt.err != nil) && waited > 0 {
					t.Errorf("it waited for %s", waited)
				}
			})
		})
	}
}

// What was archived before the first disaster's wipe is another one's data than what is archived after the second.
func TestASecondDisasterHasAnArchiveOfItsOwn(t *testing.T) {
	r := takenUp(t, "stop-core", "stop-db", "keep-old", "wipe", "restore")
	r.cfg.keepOld = "/old"
	r.state = state{Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Snapshot: &report.Snapshot{Name: "s", UUID: "u"}, Seen: time.Now(), Kept: "/old/first"}
	first := r.keepFolder()
	r.beginAnew()
	if second := r.keepFolder(); first != "/old/db-2026-01-02t030405z" || second == first {
		t.Errorf("archives in %s and then in %s", first, second)
	}
	r.state.Snapshot, r.state.Seen = &report.Snapshot{Name: "s", UUID: "u"}, time.Now()
	if err := r.proven(t.Context()); err == nil {
		t.Error("the second wipe is let pass on the archive of the first")
	}
}

func TestAPlanSaysWhereAnEarlierCallWasEndedAndWhatComesOfIt(t *testing.T) {
	r := takenUp(t, "stop-core", "keep-old", "wipe")
	r.cfg.keepOld = "/old"
	failed := runbook.Step{Name: "restore", Title: "restore", Run: func(context.Context) (string, error) { return "", errors.New("no room") }}
	if _, err := runbook.Run(t.Context(), []runbook.Step{failed}, r.journal, nil); err == nil {
		t.Fatal("want a failure")
	}
	r.state.Started = time.Now()
	r.found.db, r.found.core = &stack.Stack{Name: "db"}, &stack.Stack{Name: "nuvla"}
	r.page.begin(r)
	r.page.end(r)
	text := r.page.String()
	for _, want := range []string{"broken    restore, begun 20", "failed 20", "no room", "    done      ", "(done by the call before)", "(broken off, and gone on with from what is there)"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page:\n%s", want, text)
		}
	}
	if strings.Contains(text, "    archive   the") {
		t.Errorf("the volumes are archived already, and gone:\n%s", text)
	}
}

func TestTheVersionOfASnapshotIsSaidAsWhatItIs(t *testing.T) {
	for version, want := range map[string]string{"8.5.1": "8.5.1", "8500003": "8.11", "8500010": "8.12", "8536000": "one whose index version is 8536000",
		"8.11.0-8.11.4": "8.11.0-8.11.4", "": ""} {
		r := takenUp(t)
		got := r.versions(state{Plan: &restore.Plan{Snapshot: restore.Snapshot{Version: version}}})["Elasticsearch that took the snapshot"]
		if got != want {
			t.Errorf("%q is shown as %q, want %q", version, got, want)
		}
	}
}

func TestAProbeKeepsThePasswordOfItsAddressToItself(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	err := answers(strings.Replace(server.URL, "http://", "http://nuvla:hunter2@", 1))(t.Context())
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("it says %v, want a failure without the password", err)
	}
}

func TestASnapshotThatThisRunHasSeenHoldsUntilItsEnd(t *testing.T) {
	r := takenUp(t)
	if err := r.choose(&restore.Snapshot{Name: "s", UUID: "u"}); err != nil {
		t.Fatal(err)
	}
	r.now = func() time.Time { return time.Now().Add(time.Hour) } // it took that long to archive the volumes
	if err := r.proven(t.Context()); err != nil {
		t.Errorf("the wipe is refused: %v", err)
	}
}

func TestAnotherRepositoryIsAnotherRecovery(t *testing.T) {
	key := func(bucket string) string {
		c := config{settings: snapshot.Settings{S3: &snapshot.S3{Bucket: bucket}}}
		return c.key()
	}
	if key("one") == key("two") {
		t.Error("a recovery is taken up whose snapshot was seen in another repository")
	}
}

func TestWhatWouldNotBeStartedIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	for name, tt := range map[string]struct {
		idle, stopped string // services
		cfg           config
		want          error
	}{
		"all run":                              {"", "", config{}, nil},
		"es was stopped":                       {"es", "es", config{}, nil},
		"es was scaled to nothing":             {"es", "", config{}, nuvlaops.ErrRefused},
		"es, and another one fills the queue":  {"es", "", config{only: onlyZK}, nil},
		"zk, which takes the queue":            {"zk", "", config{only: onlyES}, nuvlaops.ErrRefused},
		"zk, and no queue is filled":           {"zk", "", config{only: onlyES, skip: []string{"queue"}}, nil},
		"api, which is not asked":              {"api", "", config{}, nil},
		"api, which has to answer":             {"api", "", config{api: "http://api"}, nuvlaops.ErrRefused},
		"api, which is started by others then": {"api", "", config{api: "http://api", skip: []string{"start-core"}}, nil},
	} {
		r := takenUp(t)
		tt.cfg.db, tt.cfg.core = "db", "nuvla"
		r.cfg = &tt.cfg
		services := func(names ...string) (out []stack.Service) {
			for _, name := range names {
				v := stack.Service{Name: name, Replicas: 1, Running: 1, Stopped: name == tt.stopped}
				if name == tt.idle {
					v.Replicas, v.Running = 0, 0
				}
				out = append(out, v)
			}
			return out
		}
		r.found.db, r.found.core = &stack.Stack{Name: "db", Services: services(dbServices...)}, &stack.Stack{Name: "nuvla", Services: services(coreServices...)}
		if err := r.checkStacks(t.Context()); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestACoreServiceThatIsNotStartedIsWarnedOf(t *testing.T) {
	r := takenUp(t)
	core := &stack.Stack{Name: "nuvla", Services: []stack.Service{{Name: "api"}, {Name: "job-executor", Stopped: true, Remembered: 5}, {Name: "ui", Replicas: 1}}}
	said, err := r.whatRuns(core)
	if warnings := r.remembered().Warnings; err != nil || said != "2 services run, 6 replicas" || len(warnings) != 1 || !strings.Contains(warnings[0], "remembered: api of stack nuvla") {
		t.Errorf("it says %q and warns %q, %v; want api not counted, and a warning", said, warnings, err)
	}
}

// A service that neither the stack nor its compose file has would be missed when the volumes are gone.
func TestAComposeFileThatLacksADatabaseIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	one := func(name string) stack.Service { return stack.Service{Name: name, Replicas: 1, Running: 1} }
	r := takenUp(t)
	r.stacks = emptyEngine(t)
	r.cfg.dbCompose = file(t, "version: \"3.7\"\nservices:\n  es:\n    image: es\nnetworks:\n  default: {}\n")
	r.found.db = &stack.Stack{Name: "db", Services: []stack.Service{one("es")}}
	r.found.core = &stack.Stack{Name: "nuvla", Services: []stack.Service{one("api"), one("ui"), one("job-executor"), one("job-distributor")}}
	if err := r.checkStacks(t.Context()); !errors.Is(err, nuvlaops.ErrRefused) || !strings.Contains(err.Error(), "no service zk") {
		t.Errorf("got %v, want it refused and zk named", err)
	}
}

func TestThatNoDocumentHasATimeIsSaid(t *testing.T) {
	r := takenUp(t)
	r.cfg.repository = "r"
	if err := r.talkTo(smallCluster(t)); err != nil {
		t.Fatal(err)
	}
	if said, err := r.newest(t.Context()); err != nil || said != "no document says when it was written" {
		t.Errorf("it says %q, %v", said, err)
	}
}

// It is no reason to leave the core stopped.
func TestThatNobodyKnowsWhenTheNewestDocumentWasWrittenIsAWarning(t *testing.T) {
	r := takenUp(t)
	r.cfg.repository = "r"
	if err := r.talkTo(elasticsearchThatSays(t, http.StatusBadRequest, `{"error":{"type":"parsing_exception","reason":"no such thing"},"status":400}`)); err != nil {
		t.Fatal(err)
	}
	if said, err := r.newest(t.Context()); err != nil || said != "it is not known" || len(r.remembered().Warnings) != 1 {
		t.Errorf("it says %q, warns %q, %v", said, r.remembered().Warnings, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.newest(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("ended meanwhile: %v", err)
	}
}

func TestWhatWasLeftOutAsAskedIsNotVerified(t *testing.T) {
	for _, tt := range []struct {
		cfg  config
		want bool
	}{{config{}, false}, {config{skip: []string{"restore"}}, true}, {config{from: "queue"}, true}, {config{from: "queue", only: onlyZK}, false}} {
		r := takenUp(t)
		r.cfg = &tt.cfg
		var records []runbook.Record
		if r.cfg.leftOut("restore") != "" {
			records = []runbook.Record{{Step: "restore", State: runbook.LeftOut}}
		}
		r.finish(records, nil)
		if got := slices.Contains(r.report.NotVerified, "step restore was left out as asked"); got != tt.want {
			t.Errorf("-only %q -skip %v -from %q: not verified %q", tt.cfg.only, tt.cfg.skip, tt.cfg.from, r.report.NotVerified)
		}
	}
}

// It is written to by another cluster, and two that write corrupt it.
func TestARepositoryThatItsFileCallsReadOnlyStaysSo(t *testing.T) {
	r := takenUp(t)
	r.cfg.repository, r.cfg.settings = "r", snapshot.Settings{S3: &snapshot.S3{Bucket: "nuvla-es-backup"}, ReadOnly: true}
	r.state = state{Restored: &restore.Report{Shards: 1, Proven: 1}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { t.Errorf("it sends %s %s", req.Method, req.URL) }))
	defer server.Close()
	if err := r.talkTo(server.URL); err != nil {
		t.Fatal(err)
	}
	if said, err := r.promote(t.Context()); err != nil || len(r.remembered().Warnings) != 1 {
		t.Errorf("it says %q and warns %q, %v", said, r.remembered().Warnings, err)
	}
}

// With a wrong password, all would be stopped for a look that fails as well.
func TestAnElasticsearchThatDeniesIsNotTakenForDead(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		status       int
		refused      bool
	}{
		{"dead, behind a proxy", "no backend", http.StatusBadGateway, false},
		{"another password", `{"error":{"type":"security_exception","reason":"unable to authenticate"},"status":401}`, http.StatusUnauthorized, true},
		{"something else", "<html>", http.StatusOK, true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.answer)
		}))
		defer server.Close()
		r := takenUp(t)
		r.cfg.repository, r.cfg.es = "r", server.URL
		if err := r.talkTo(server.URL); err != nil {
			t.Fatal(err)
		}
		if err := r.lookAtElasticsearch(t.Context()); errors.Is(err, nuvlaops.ErrRefused) != tt.refused {
			t.Errorf("%s: got %v, refused should be %t", tt.name, err, tt.refused)
		}
		r.page.Checks, r.found.db = nil, &stack.Stack{Name: "db", Services: []stack.Service{{Name: "es", Running: 1}}}
		if r.warnOfSilence(); len(r.page.Checks) > 0 == tt.refused {
			t.Errorf("%s: said to be silent: %+v", tt.name, r.page.Checks)
		}
	}
}
