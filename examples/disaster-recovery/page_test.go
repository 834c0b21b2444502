package main

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/stack"
)

// planned is a recovery that has looked at all.
func planned(t *testing.T, done ...string) *recovery {
	t.Helper()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := takenUp(t, done...)
	r.now = func() time.Time { return began.Add(time.Hour) }
	seven := int64(7)
	r.cfg.keepOld, r.cfg.skip, r.cfg.es = "/old", []string{"promote"}, "http://es"
	r.state = state{Started: began, Seen: began, Snapshot: &report.Snapshot{Repository: "s3_backup", Name: "s", UUID: "u", Started: began.Add(-time.Hour)}}
	r.found = found{alive: true, db: &stack.Stack{Name: "db", Services: []stack.Service{{Name: "zk"}, {Name: "es"}, {Name: "exporter"}}},
		core: &stack.Stack{Name: "nuvla", Services: []stack.Service{{Name: "ui"}, {Name: "api"}}},
		wipe: &stack.WipePlan{Volumes: []stack.Volume{{Name: "db_esdata", Node: "manager", Bytes: 2048}, {Name: "db_zkdata", Node: "worker", Bytes: -1}},
			Kept: []stack.Kept{{Service: "es", Mount: stack.Mount{Target: "/conf"}, Why: "a bind mount"}}}}
	r.page.begin(r)
	r.page.measured(&restore.Plan{Shards: 3, Bytes: 1024, Indices: []restore.PlannedIndex{{Documents: &seven}, {}}})
	r.page.note("Elasticsearch", "it answers")
	r.page.good("engine", "it manages a swarm")
	return r
}

// Whoever types the name of the stack has read this.
func TestThePageSaysAllThatWillBeDone(t *testing.T) {
	r := planned(t)
	_ = r.page.bad("volumes", errors.New("one\ntwo"))
	r.page.end(r)
	want := `
PLAN OF THE RECOVERY, 2026-01-02T04:04:05Z

  what is there
    ok  engine         it manages a swarm
    NO  volumes        one; two
    -   Elasticsearch  it answers

  what will be done
    stop      stack db: es, zk
    stop      stack nuvla: api, ui
    remove    volume db_esdata on manager, 2.0 KiB
    remove    volume db_zkdata on worker, size not known
    archive   the volumes to /old, before they are removed
    keep      /conf of service es: a bind mount
    restore   snapshot s of s3_backup, taken 2026-01-02T02:04:05Z (2h0m0s ago)
              seen through: the Elasticsearch that lives
              2 indices, 3 primaries, 1.0 KiB, 7 documents
    queue     the open jobs of the snapshot, counted when it is restored

  the steps (side by side where they can)
    stop-core   stop stack nuvla
    stop-db     stop es, zk of stack db
    look        look for the snapshot through a throw-away Elasticsearch
    keep-old    archive the volumes to /old
    wipe        remove the volumes of es, zk of stack db
    deploy-db   deploy what is missing of stack db
    start-es    start Elasticsearch
    start-zk    start ZooKeeper
    repository  register the repository, read-only, and find the snapshot
    restore     restore the snapshot and verify it
    newest      find the newest document that came back
    queue       rebuild the job queue and verify it
    promote     (left out, as -skip says)
    start-core  start stack nuvla
`
	if diff := cmp.Diff(want, r.page.String()); diff != "" || r.page.Ready {
		t.Errorf("ready: %t (-want +got):\n%s", r.page.Ready, diff)
	}
}

func TestThePageSaysWhatAnEarlierCallHasDone(t *testing.T) {
	r := planned(t, "wipe")
	r.cfg.only, r.cfg.core, r.found.core.Name = onlyES, "db", "db"
	r.found.wipe = nil
	r.page.end(r)
	want := `
PLAN OF THE RECOVERY, 2026-01-02T04:04:05Z

  an earlier call is taken up
    began     2026-01-02T03:04:05Z
    done      wipe

  what is there
    ok  engine         it manages a swarm
    -   Elasticsearch  it answers

  what will be done
    stop      stack db: api, es, ui
    remove    no volume
    archive   the volumes to /old, before they are removed
    restore   snapshot s of s3_backup, taken 2026-01-02T02:04:05Z (2h0m0s ago)
              seen through: the Elasticsearch that lives
              2 indices, 3 primaries, 1.0 KiB, 7 documents
    queue     the open jobs of the snapshot, counted when it is restored

  the steps (side by side where they can)
    stop-core   stop all of stack db but es, zk
    stop-db     stop es of stack db
    keep-old    archive the volumes to /old
    wipe        remove the volumes of es of stack db (done by the call before)
    deploy-db   deploy what is missing of stack db
    start-es    start Elasticsearch
    start-zk    (nothing to do: only elasticsearch is recovered)
    repository  register the repository, read-only, and find the snapshot
    restore     restore the snapshot and verify it
    newest      find the newest document that came back
    queue       rebuild the job queue and verify it
    promote     (left out, as -skip says)
    start-core  start all of stack db but es, zk
`
	if diff := cmp.Diff(want, r.page.String()); diff != "" || !r.page.Ready {
		t.Errorf("ready: %t (-want +got):\n%s", r.page.Ready, diff)
	}
}

func TestThePageOfADrillPromisesThatProductionIsOnlyRead(t *testing.T) {
	r := planned(t)
	r.cfg.drill, r.cfg.production, r.cfg.db, r.cfg.copied, r.cfg.skip, r.cfg.keepOld = true, "db", "db-drill", []string{"all"}, nil, ""
	r.page = page{}
	r.page.begin(r)
	r.page.good("engine", "it manages a swarm")
	r.page.end(r)
	want := `
PLAN OF THE DRILL, 2026-01-02T04:04:05Z

  what is there
    ok  engine  it manages a swarm

  what will be done
    copy      the databases, as stack db-drill on a network of its own; production is only read
    copy      of the core: api, ui, on the same network
    remove    that copy, whatever the end is

  the steps (side by side where they can)
    stop-core   (not in a drill: the core is production's)
    copy        copy the databases of stack db
    stop-db     stop es, zk of stack db-drill
    wipe        remove the volumes of es, zk of stack db-drill
    deploy-db   deploy what is missing of stack db-drill
    start-es    start Elasticsearch
    start-zk    start ZooKeeper
    repository  register the repository, read-only, and find the snapshot
    restore     restore the snapshot and verify it
    newest      find the newest document that came back
    queue       rebuild the job queue and verify it
    promote     (not in a drill: the repository is production's, and stays read-only in the copy)
    start-core  start stack nuvla-drill
`
	if diff := cmp.Diff(want, r.page.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An operator who is told of the wrong one looks for the snapshot in the wrong place.
func TestThePageSaysWhichElasticsearchShowsTheSnapshot(t *testing.T) {
	seen := state{Snapshot: &report.Snapshot{Name: "s", UUID: "u"}, Seen: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for _, tt := range []struct {
		want     string
		cfg      config
		found    found
		measured bool
		was      state
		done     []string
	}{
		{"the Elasticsearch of the copy, once it serves", config{drill: true}, found{}, true, state{}, nil},
		{"", config{only: onlyZK}, found{alive: true}, true, state{}, nil},
		{"the Elasticsearch that lives", config{}, found{alive: true}, true, seen, nil},
		{"an earlier call, 2026-01-02T03:04:05Z", config{}, found{alive: true}, false, seen, nil},
		{"a throw-away Elasticsearch, for this plan; a recovery starts one as well", config{}, found{aside: true}, true, seen, nil},
		{"the Elasticsearch that is restored into", config{}, found{aside: true}, false, state{}, []string{"wipe"}},
		{"a throw-away Elasticsearch, in step look: before that, no volume is removed", config{}, found{}, false, state{}, nil},
		{"nothing yet", config{skip: []string{"look"}}, found{}, false, state{}, nil},
	} {
		r := takenUp(t, tt.done...)
		r.cfg, r.found, r.state, r.now = &tt.cfg, tt.found, tt.was, func() time.Time { return seen.Seen }
		if tt.measured {
			r.page.measured(&restore.Plan{})
		}
		if got := r.seenThrough(); got != tt.want {
			t.Errorf("it says %q, want %q", got, tt.want)
		}
	}
}

func TestAFolderThatIsTooFullForTheArchiveIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		bytes []int64
		done  []string
		state string
	}{
		"room enough":      {[]int64{1, 2}, nil, "ok"},
		"too little":       {[]int64{1, 1 << 62}, nil, "refused"},
		"not known of one": {[]int64{-1, 1 << 62}, nil, "note"},
		"archived already": {[]int64{1, 1 << 62}, []string{"keep-old"}, ""},
	} {
		r := takenUp(t, tt.done...)
		r.cfg.keepOld, r.found.wipe = t.TempDir(), &stack.WipePlan{}
		for _, n := range tt.bytes {
			r.found.wipe.Volumes = append(r.found.wipe.Volumes, stack.Volume{Bytes: n})
		}
		err := r.checkRoom(t.Context())
		state := ""
		if len(r.page.Checks) > 0 {
			state = r.page.Checks[0].State
		}
		if state != tt.state || errors.Is(err, nuvlaops.ErrRefused) != (tt.state == "refused") {
			t.Errorf("%s: %+v, %v, want %q", name, r.page.Checks, err, tt.state)
		}
	}
}
