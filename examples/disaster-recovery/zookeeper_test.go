package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/stack"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// called is the recovery that the program makes of these flags.
func called(t *testing.T, args ...string) *recovery {
	t.Helper()
	cfg, err := parse(append([]string{"-repository-file", file(t, goodRepository)}, args...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r := takenUp(t)
	r.cfg, r.zk = cfg, cfg.zookeeper
	return r
}

// putJobs puts three jobs on the queue.
func putJobs(t *testing.T, z zookeeper) {
	t.Helper()
	conn, err := z.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	queue, err := zkjobs.NewQueue(conn, nil)
	if err == nil {
		err = queue.Put(t.Context(), 100, "job/1", "job/2", "job/3")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// seen is what the plan says about ZooKeeper.
func seen(t *testing.T, r *recovery) string {
	t.Helper()
	_ = r.lookAtZooKeeper(t.Context())
	if len(r.page.Checks) != 1 {
		t.Fatalf("checks: %+v, want one", r.page.Checks)
	}
	return r.page.Checks[0].Text
}

func TestZooKeeperIsReachedAtItsChroot(t *testing.T) {
	t.Parallel()
	address := testenv.UseZooKeeper(t, testenv.ZooKeeperOptions{}).Addr()
	putJobs(t, called(t, "-zk", address+"/nuvla").zk)
	for addresses, want := range map[string]string{
		address + "/nuvla":                  "it answers; 3 entries on the queue",
		"127.0.0.1:1," + address + "/nuvla": "it answers; 3 entries on the queue",
		"127.0.0.1:1 " + address:            "it answers; 0 entries on the queue",
		"127.0.0.1:1,localhost:2/nuvla":     "no answer from 127.0.0.1:1,localhost:2/nuvla",
	} {
		if got := seen(t, called(t, "-zk", addresses)); got != want {
			t.Errorf("-zk %q: %q, want %q", addresses, got, want)
		}
	}
}

func TestZooKeeperIsReachedByTLS(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	address := testenv.UseSecureZooKeeper(t, a)
	cert, key := a.Issue("nuvlaops")
	ours := []string{"-zk", address}
	for flag, content := range map[string]string{"-zk-ca": a.PEM, "-zk-cert": cert, "-zk-key": key} {
		path := filepath.Join(t.TempDir(), flag)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		ours = append(ours, flag, path)
	}
	r := called(t, ours...)
	putJobs(t, r.zk)
	if got, want := seen(t, r), "it answers; 3 entries on the queue"; got != want {
		t.Errorf("with our certificate: %q, want %q", got, want)
	}
	if err := r.zk.serves(t.Context()); err != nil {
		t.Errorf("with our certificate: %v", err)
	}
	for name, args := range map[string][]string{"its authority is not the system's": {"-zk-tls"}, "it wants TLS": nil} {
		if got, want := seen(t, called(t, append(args, "-zk", address)...)), "no answer from "+address; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// A platform whose databases do not listen where the flags say was stopped and wiped without a word about it.
func TestADatabaseThatRunsAndDoesNotAnswerIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		args  []string
		there found
		want  int
	}{
		{"both run, none answers", nil, found{}, 2},
		{"both run and answer", nil, found{alive: true, queue: true}, 0},
		{"ZooKeeper is left alone", []string{"-only", "elasticsearch"}, found{alive: true}, 0},
	} {
		r := called(t, append(tt.args, "-es", "http://127.0.0.1:1", "-zk", "127.0.0.1:1")...)
		r.found = tt.there
		r.found.db = &stack.Stack{Name: "db", Services: []stack.Service{{Name: "es", Running: 1}, {Name: "zk", Running: 1}}}
		r.warnOfSilence()
		if got := len(r.page.Checks); got != tt.want {
			t.Errorf("%s: %+v, want %d warnings", tt.name, r.page.Checks, tt.want)
		}
		r.page.Checks, r.found.db = nil, &stack.Stack{Name: "db", Services: []stack.Service{{Name: "es"}, {Name: "zk"}}}
		if r.warnOfSilence(); len(r.page.Checks) > 0 {
			t.Errorf("%s, and neither runs: %+v, want no warning", tt.name, r.page.Checks)
		}
	}
	r := takenUp(t, "stop-core", "stop-db", "wipe", "deploy-db") // which started them itself, a moment ago
	r.found.db = &stack.Stack{Name: "db", Services: []stack.Service{{Name: "es", Running: 1}, {Name: "zk", Running: 1}}}
	if r.warnOfSilence(); len(r.page.Checks) > 0 {
		t.Errorf("taken up after the wipe: %+v, want no warning", r.page.Checks)
	}
}

func TestAnAddressWithoutAnAnswerIsNamedWithItsFlag(t *testing.T) {
	if got := unheard(context.DeadlineExceeded, "-zk", "localhost:2181"); !errors.Is(got, context.DeadlineExceeded) || !strings.Contains(got.Error(), "localhost:2181, correct -zk") {
		t.Errorf("%v", got)
	}
	if got := unheard(nuvlaops.ErrBusy, "-zk", "localhost:2181"); got != nuvlaops.ErrBusy || unheard(nil, "-zk", "") != nil {
		t.Errorf("%v", got)
	}
}

// One that is dead and not recovered would be missed when the documents are restored.
func TestTheDocumentsAloneAreRecoveredBesideAZooKeeperThatAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		args    []string
		refused bool
	}{
		{"the documents alone", []string{"-only", "elasticsearch"}, true},
		{"without the queue", []string{"-only", "elasticsearch", "-skip", "queue"}, false},
		{"both", nil, false},
	} {
		r := called(t, append(tt.args, "-zk", "127.0.0.1:1")...)
		if err := r.lookAtZooKeeper(t.Context()); errors.Is(err, nuvlaops.ErrRefused) != tt.refused {
			t.Errorf("%s: got %v, refused should be %t", tt.name, err, tt.refused)
		}
	}
}
