package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
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
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/stack"
)

// again is the next call with the same journal, later.
func again(t *testing.T, r *recovery, path string, later time.Duration) *recovery {
	t.Helper()
	_ = r.journal.Close()
	journal, err := runbook.OpenJournal(path, "k")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = journal.Close() })
	next := &recovery{cfg: r.cfg, screen: r.screen, now: time.Now, journal: journal}
	next.state.Started = r.state.Started.Add(later)
	return next
}

func TestTheClockRunsOnFromTheFirstCallAndForADrillFromTheLast(t *testing.T) {
	began := time.Now().UTC()
	for drill, want := range map[bool]time.Time{false: began, true: began.Add(time.Hour)} {
		path := filepath.Join(t.TempDir(), "journal")
		first := again(t, &recovery{cfg: &config{drill: drill}, screen: cli.NewScreen(io.Discard), state: state{Started: began}}, path, 0)
		first.goOn()
		stop := runbook.Step{Name: "stop-core", Run: func(context.Context) (string, error) { return "", nil }} // killed before it found anything
		if _, err := runbook.Run(t.Context(), []runbook.Step{stop}, first.journal, nil); err != nil {
			t.Fatal(err)
		}
		second := again(t, first, path, time.Hour)
		second.goOn()
		if got := second.remembered().Started; !got.Equal(want) || second.done("stop-core") == drill {
			t.Errorf("drill %t: it counts from %s, want %s; stop-core is done: %t", drill, got, want, second.done("stop-core"))
		}
	}
}

// What is done stays done in a call without it: the volumes would go once more, and with them what the core has written since.
func TestFromIsFollowedOnceAndEndsWithItsCall(t *testing.T) {
	for _, tt := range []struct {
		was, now string
		done     []string // of wipe and restore
	}{
		{"", "", []string{"wipe", "restore"}},
		{"", "restore", []string{"wipe"}},
		{"restore", "restore", []string{"wipe", "restore"}},
		{"restore", "wipe", nil},
		{"start-core", "", []string{"wipe", "restore"}},
	} {
		r := takenUp(t, "stop-core", "stop-db", "wipe", "restore", "queue")
		r.cfg.from = tt.now
		if err := r.journal.SetState(state{From: tt.was}); err != nil {
			t.Fatal(err)
		}
		r.goOn()
		var done []string
		for _, step := range []string{"wipe", "restore"} {
			if r.done(step) {
				done = append(done, step)
			}
		}
		if diff := cmp.Diff(tt.done, done); diff != "" || r.remembered().From != tt.now {
			t.Errorf("-from %q after -from %q: done (-want +got):\n%s", tt.now, tt.was, diff)
		}
	}
}

// smallCluster has one document in one index.
func smallCluster(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		for part, answer := range map[string]string{
			"/_cluster/state": `{"cluster_name":"c","cluster_uuid":"this one"}`,
			"/_nodes":         `{"nodes":{"n":{"version":"8.11.3","roles":["data"]}}}`,
			"/_stats":         `{"_shards":{"total":1,"successful":1,"failed":0},"indices":{"nuvla-user":{"uuid":"u","primaries":{"docs":{"count":1}}}}}`,
			"/_search":        `{"aggregations":{"updated":{"value":null}}}`,
		} {
			if strings.Contains(req.URL.Path, part) {
				_, _ = io.WriteString(w, answer)
			}
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestWhatWasThereBeforeIsWhatTheFirstCallHasFound(t *testing.T) {
	was := map[string]int64{"nuvla-user": 9}
	for _, tt := range []struct {
		name string
		done []string
		from string
		was  state
		want map[string]int64
	}{
		{"the first call", nil, "", state{}, map[string]int64{"nuvla-user": 1}},
		{"taken up", []string{"stop-core"}, "", state{Before: before{Documents: was}}, was},
		{"nobody could say", []string{"stop-core"}, "", state{}, nil},
		{"begun from a later step", []string{"restore"}, "restore", state{From: "restore"}, nil},
		{"begun again", []string{"stop-core", "wipe"}, "stop-core", state{Before: before{Documents: was}}, was},
		{"after a second disaster", []string{"stop-core", "wipe"}, "", state{Before: before{Documents: was}, Plan: &restore.Plan{}}, was},
	} {
		r := takenUp(t, tt.done...)
		r.cfg.repository, r.cfg.indices, r.cfg.from = "r", []string{"nuvla-*"}, tt.from
		if err := errors.Join(r.journal.SetState(tt.was), r.talkTo(smallCluster(t))); err != nil {
			t.Fatal(err)
		}
		r.goOn()
		r.beginAnewElsewhere(t.Context())
		if err := r.describeElasticsearch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, r.remembered().Before.Documents); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// What stands in the way of the second wipe is found before anything is stopped for it, also where Elasticsearch is slower to answer
// than the engine.
func TestAfterASecondDisasterEverythingIsLookedAtAnew(t *testing.T) {
	cluster, err := url.Parse(smallCluster(t))
	if err != nil {
		t.Fatal(err)
	}
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		time.Sleep(100 * time.Millisecond)
		httputil.NewSingleHostReverseProxy(cluster).ServeHTTP(w, req)
	}))
	t.Cleanup(slow.Close)
	r := takenUp(t, "stop-core", "stop-db", "wipe")
	r.stacks, r.zk = foreignVolume(t), zookeeper{hosts: []string{"127.0.0.1:1"}}
	r.cfg.repository, r.cfg.indices, r.cfg.dbCompose, r.cfg.coreCompose = "r", []string{"nuvla-*"}, databases(t, "node.id==self"), file(t, "version: \"3.7\"\nservices: {api: {image: api}}\n")
	r.state = state{Plan: &restore.Plan{}}
	if err := r.talkTo(slow.URL); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 3*time.Second) // it has no repository
	defer cancel()
	_ = r.preflight(soon)
	if page := r.page.String(); !strings.Contains(page, "is not the stack's own") {
		t.Errorf("it does not say what stands in the way of the wipe:\n%s", page)
	}
}

// A call that was told to leave the wipe out has done what comes after it on the old volumes.
func TestWhatWasDoneOnTheOldVolumesIsDoneAgain(t *testing.T) {
	r := takenUp(t, "stop-core", "stop-db", "repository", "promote")
	r.stacks = emptyEngine(t)
	if _, err := r.wipe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !r.done("stop-db") || r.done("repository") || r.done("promote") {
		t.Errorf("done: %+v, want what comes after the wipe to be done again", r.journal.Records())
	}
}

// Somebody may have stopped or removed what an earlier call has started: what it has done is not taken for granted.
func TestTheDatabasesAreSeenToRunByEachCall(t *testing.T) {
	r := takenUp(t, stepNames...)
	for _, s := range r.steps() {
		if want := slices.Contains([]string{"deploy-db", "start-es", "start-zk"}, s.Name); s.Again != want {
			t.Errorf("%s: done again %t, want %t", s.Name, s.Again, want)
		}
	}
}

// Who is told that no snapshot is good may start the stacks, and call again later.
func TestWhatWasStartedAgainBeforeTheWipeIsStoppedAgain(t *testing.T) {
	for _, tt := range []struct {
		done, skip []string
		want       bool
	}{
		{[]string{"stop-core", "stop-db"}, nil, true},
		{[]string{"stop-core", "stop-db", "wipe"}, nil, false},
		{[]string{"stop-core", "stop-db"}, []string{"wipe"}, false},
	} {
		r := takenUp(t, tt.done...)
		r.cfg.skip = tt.skip
		r.found.db, r.found.core = &stack.Stack{Name: "db"}, &stack.Stack{Name: "nuvla"}
		r.page.end(r)
		if steps := r.steps(); steps[0].Again != tt.want || steps[1].Again != tt.want || (len(r.page.Stop) == 2) != tt.want {
			t.Errorf("done %v, -skip %v: stopped again %t and %t, want %t; the page says %v", tt.done, tt.skip, steps[0].Again, steps[1].Again, tt.want, r.page.Stop)
		}
	}
}

// The archive that an earlier call has made is older than what was written since.
func TestVolumesThatWereWrittenToSinceAreArchivedAgain(t *testing.T) {
	const index = 7 // of the service, see foreignVolume
	for _, tt := range []struct {
		name    string
		es      stack.Service
		stopped map[string]uint64
		again   bool
	}{
		{"it runs", stack.Service{Name: "es", ID: "es", Version: index, Replicas: 1, Running: 1}, map[string]uint64{"es": index, "zk": index}, true},
		{"as it was stopped", stack.Service{Name: "es", ID: "es", Version: index}, map[string]uint64{"es": index, "zk": index}, false},
		{"stopped by hand", stack.Service{Name: "es", ID: "es", Version: index}, map[string]uint64{"es": index - 2, "zk": index}, true},
		{"deployed anew", stack.Service{Name: "es", ID: "es", Version: index}, map[string]uint64{"old": index, "zk": index}, true},
		{"nobody knows", stack.Service{Name: "es", ID: "es", Version: index}, nil, false},
	} {
		r := takenUp(t, "stop-core", "stop-db", "keep-old")
		r.stacks, r.cfg.keepOld = foreignVolume(t), "/old"
		r.state = state{Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Kept: "/old/first", Stopped: tt.stopped}
		r.found.db = &stack.Stack{Name: "db", Services: []stack.Service{tt.es, {Name: "zk", ID: "zk", Version: index}}}
		first := r.keepFolder()
		if err := r.checkArchive(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.stopDB(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r.done("keep-old") == tt.again || (r.keepFolder() != first) != tt.again || (r.remembered().Kept == "") != tt.again {
			t.Errorf("%s: archived %t, %+v", tt.name, r.done("keep-old"), r.remembered())
		}
		if diff := cmp.Diff(map[string]uint64{"es": index, "zk": index}, r.remembered().Stopped); diff != "" {
			t.Errorf("%s: what was stopped (-want +got):\n%s", tt.name, diff)
		}
	}
}

// A folder that is too full, or volumes that nothing reaches, would be found out when both stacks are stopped.
func TestTheRoomOfAnArchiveThatIsMadeAgainIsLookedAtBeforeAnythingIsTouched(t *testing.T) {
	for stopped, again := range map[uint64]bool{5: true, 7: false} { // see foreignVolume
		r := takenUp(t, "stop-core", "stop-db", "keep-old")
		r.stacks, r.cfg.keepOld = foreignVolume(t), t.TempDir()
		r.state = state{Started: time.Now(), Kept: "/old/first", Stopped: map[string]uint64{"es": stopped, "zk": 7}}
		_ = r.checkEngine(t.Context()) // a stack that lacks services is refused
		looked := slices.ContainsFunc(r.page.Checks, func(c check) bool { return c.Name == "-keep-old" && strings.Contains(c.Text, "are free") })
		if looked != again || r.comes("keep-old") != again {
			t.Errorf("stopped at version %d: %+v; archived %t", stopped, r.page.Checks, r.done("keep-old"))
		}
	}
}

// -from lets steps run again, and knows nothing of what was written since.
func TestVolumesThatWereWrittenToSinceAreArchivedAgainWithFrom(t *testing.T) {
	for _, from := range []string{"stop-core", "stop-db", "keep-old", "wipe"} {
		for version, again := range map[uint64]bool{5: false, 7: true} {
			r := takenUp(t, "stop-core", "stop-db", "keep-old")
			first := state{Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Kept: "/old/first", Stopped: map[string]uint64{"es": 5}}
			if err := r.remember(func(st *state) { *st = first }); err != nil {
				t.Fatal(err)
			}
			r.cfg.keepOld, r.cfg.from = "/old", from
			r.goOn()
			r.found.db = &stack.Stack{Name: "db", Services: []stack.Service{{Name: "es", ID: "es", Version: version}}}
			folder := r.keepFolder()
			if err := r.checkArchive(); err != nil {
				t.Fatal(err)
			}
			if st := r.remembered(); (st.Kept == "") != again || (r.keepFolder() != folder) != again || st.Stopped["es"] != version {
				t.Errorf("-from %s, version %d: archived %t, %+v", from, version, r.done("keep-old"), st)
			}
		}
	}
}

// zooKeeperThatAnswers says that it serves, and nothing else.
func zooKeeperThatAnswers(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			_, _ = io.WriteString(conn, "Mode: standalone\n")
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

// What is meant for the databases of the stack would go into whatever answers at -es and -zk.
func TestADatabaseThatOutlivesItsStackIsNotTakenForTheStacks(t *testing.T) {
	for _, tt := range []struct {
		name    string
		es, zk  string
		found   found
		only    string
		refused string
	}{
		{"both are the stack's", "http://127.0.0.1:1", "127.0.0.1:1", found{alive: true, queue: true}, "", ""},
		{"another Elasticsearch", smallCluster(t), "127.0.0.1:1", found{alive: true}, "", "-es"},
		{"another ZooKeeper", "http://127.0.0.1:1", zooKeeperThatAnswers(t), found{alive: true, queue: true}, "", "-zk"},
		{"the other one is not recovered", smallCluster(t), "127.0.0.1:1", found{alive: true}, onlyZK, ""},
		{"it is the throw-away one that boots", smallCluster(t), "127.0.0.1:1", found{}, "", ""},
	} {
		r := takenUp(t)
		r.stacks, r.found, r.zk = swarmOf(t, map[string]string{"/networks": "[]", "/secrets": "[]", "/configs": "[]"}), tt.found, zookeeper{hosts: []string{tt.zk}}
		r.found.db, r.cfg.only, r.cfg.repository = &stack.Stack{Name: "db"}, tt.only, "r"
		if err := r.talkTo(tt.es); err != nil {
			t.Fatal(err)
		}
		if _, err := r.stopDB(t.Context()); errors.Is(err, nuvlaops.ErrRefused) != (tt.refused != "") || err != nil && !strings.Contains(err.Error(), tt.refused) {
			t.Errorf("%s: %v, want it refused for %q", tt.name, err, tt.refused)
		}
	}
}

// A call that was killed has removed the service of its throw-away one, whose container ends a moment later.
func TestAThrowAwayElasticsearchThatIsEndingIsWaitedFor(t *testing.T) {
	asked := 0
	ends := func(context.Context) bool { asked++; return asked < 3 }
	if stillAnswers(t.Context(), time.Minute, ends) || asked != 3 {
		t.Errorf("it is taken for another one after %d questions, want it waited for", asked)
	}
	if stays := func(context.Context) bool { return true }; !stillAnswers(t.Context(), 300*time.Millisecond, stays) {
		t.Error("one that stays is taken for one that ends")
	}
}

// What an earlier call has removed stays removed, also where its steps are to be done again.
func TestWhatWasWipedOnceIsNotCalledUntouchedWhenItIsBegunAnew(t *testing.T) {
	for name, begin := range map[string]func(*recovery){
		"by -from":                func(r *recovery) { r.cfg.from = "stop-core"; r.goOn() },
		"after a second disaster": func(r *recovery) { r.goOn(); r.beginAnew() },
	} {
		for _, done := range [][]string{{"stop-core"}, {"stop-core", "wipe"}} {
			r := takenUp(t, done...)
			begin(r)
			if r.done("stop-core") {
				t.Fatalf("%s: it is not begun anew", name)
			}
			r.state.Snapshot = &report.Snapshot{Name: "s", UUID: "u", Started: time.Now()}
			r.finish(nil, errors.New("no snapshot"))
			if wiped := len(done) > 1; r.report.Untouched == wiped {
				t.Errorf("%s after %v: untouched %t", name, done, r.report.Untouched)
			}
		}
	}
}
