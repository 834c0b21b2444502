package main

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/stack"
)

// emptyEngine is a manager of a swarm in which nothing is but the services of the databases, stopped.
func emptyEngine(t *testing.T) *stack.Swarm {
	return swarmOf(t, map[string]string{"/services": "[" + stoppedService("es", "") + "," + stoppedService("zk", "") + "]", "/tasks": "[]", "/networks": "[]"})
}

// stoppedService is one of stack db, with these mounts, as an engine answers.
func stoppedService(name, mounts string) string {
	return `{"ID":"` + name + `","Version":{"Index":7},"Spec":{"Name":"db_` + name + `","Labels":{"com.docker.stack.namespace":"db"},"Mode":{"Replicated":{"Replicas":0}},
		"TaskTemplate":{"ContainerSpec":{"Mounts":[` + mounts + `]}}}}`
}

// dataMount is that of the stack's own volume db_esdata.
const dataMount = `{"Type":"volume","Source":"db_esdata","Target":"/data","VolumeOptions":{"Labels":{"com.docker.stack.namespace":"db"}}}`

// swarmOf is a manager of a swarm in which there is what it answers.
func swarmOf(t *testing.T, answers map[string]string) *stack.Swarm {
	t.Helper()
	all := map[string]string{"/info": `{"Swarm":{"NodeID":"self","ControlAvailable":true}}`, "/nodes": `[{"ID":"self"}]`, "/services": "[]",
		"/containers/json": "[]", "/volumes": "{}", "/version": `{"ApiVersion":"1.41"}`} // the last is for the docker program
	maps.Copy(all, answers)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		answer, known := all[strings.TrimPrefix(req.URL.Path, "/v1.41")]
		if !known && (strings.Contains(req.URL.Path, "/volumes/") || strings.Contains(req.URL.Path, "/services/")) {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	swarm, err := stack.NewSwarm(&stack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = swarm.Close() })
	return swarm
}

// The volumes went, and the program was killed before it could note that.
func TestWhereNoVolumeIsNothingIsRestored(t *testing.T) {
	r := takenUp(t)
	r.stacks = emptyEngine(t)
	r.state = state{Plan: &restore.Plan{}, Restored: &restore.Report{}, Jobs: &report.Jobs{}, Newest: time.Now()}
	if _, err := r.wipe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := r.remembered(); st.Plan != nil || st.Restored != nil || st.Jobs != nil || !st.Newest.IsZero() {
		t.Errorf("it still knows %+v", st)
	}
}

// With -from, a recovery archives and removes again what it has restored itself.
func TestWhatIsWipedAgainIsArchivedAgain(t *testing.T) {
	r := takenUp(t)
	r.stacks, r.cfg.keepOld = emptyEngine(t), "/old"
	r.state = state{Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Snapshot: &report.Snapshot{Name: "s", UUID: "u"}, Seen: time.Now(), Kept: "/old/first"}
	first := r.keepFolder()
	if _, err := r.wipe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second := r.keepFolder(); second == first {
		t.Errorf("the second archive would be in %s, and be taken for made", second)
	}
	if err := r.proven(t.Context()); err == nil {
		t.Error("the second wipe is let pass on the archive of the first")
	}
}

// foreignVolume is a manager of a swarm whose database stack mounts a volume that somebody has made by hand.
func foreignVolume(t *testing.T) *stack.Swarm {
	return swarmOf(t, map[string]string{"/services": "[" + stoppedService("es", dataMount) + "," + stoppedService("zk", "") + "]",
		"/tasks": "[]", "/networks": "[]", "/volumes/db_esdata": `{"Name":"db_esdata","Driver":"local"}`})
}

func TestWhatStandsInTheWayOfTheWipeEndsItAlsoWhereNoVolumeIsPlanned(t *testing.T) {
	r := takenUp(t)
	r.stacks = foreignVolume(t)
	if said, err := r.wipe(t.Context()); !errors.Is(err, nuvlaops.ErrRefused) {
		t.Errorf("it says %q, %v; want it refused, since the database would come back to that volume", said, err)
	}
}

// What cannot be looked at now is not in the archive, and the wipe may see it a moment later.
func TestNothingIsCalledArchivedWhileVolumesMayBeOutOfSight(t *testing.T) {
	r := takenUp(t)
	r.stacks, r.cfg.keepOld = foreignVolume(t), t.TempDir()
	if said, err := r.keepVolumes(t.Context()); !errors.Is(err, nuvlaops.ErrRefused) || r.remembered().Kept != "" {
		t.Errorf("it says %q, %v; want it refused", said, err)
	}
	r.cfg.skip = []string{"wipe"} // as the preflight says
	if said, err := r.keepVolumes(t.Context()); err != nil || r.remembered().Kept != "" {
		t.Errorf("nothing is removed, and it says %q, %v; archived is %q", said, err, r.remembered().Kept)
	}
}

// An archive of files that a database writes to can be of no use, and would be believed in.
func TestVolumesInUseAreNotArchivedAlsoWhereNoneIsRemoved(t *testing.T) {
	r := takenUp(t)
	running := strings.Replace(stoppedService("es", dataMount), `"Replicas":0`, `"Replicas":1`, 1)
	r.stacks = swarmOf(t, map[string]string{"/services": "[" + running + "," + stoppedService("zk", "") + "]",
		"/tasks": "[]", "/networks": "[]", "/volumes": `{"Volumes":[{"Name":"db_esdata","Driver":"local","Labels":{"com.docker.stack.namespace":"db"}}]}`,
		"/volumes/db_esdata": `{"Name":"db_esdata","Driver":"local","Labels":{"com.docker.stack.namespace":"db"}}`})
	r.cfg.keepOld, r.cfg.skip = t.TempDir(), []string{"stop-db", "wipe"}
	if said, err := r.keepVolumes(t.Context()); !errors.Is(err, nuvlaops.ErrRefused) || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("it says %q, %v; want it refused", said, err)
	}
}

// A node with volumes may have come back since the call that has archived those that it saw.
func TestWhatIsSeenSinceTheArchiveIsArchivedBeforeTheWipe(t *testing.T) {
	for _, done := range [][]string{{"stop-core", "stop-db", "keep-old"}, {"stop-core", "stop-db", "keep-old", "wipe"}} {
		r := takenUp(t, done...)
		r.cfg.keepOld = "/old"
		for _, s := range r.steps() {
			if want := !r.done("wipe"); s.Name == "keep-old" && s.Again != want {
				t.Errorf("done %v: archived again %t, want %t", done, s.Again, want)
			}
		}
	}
}
