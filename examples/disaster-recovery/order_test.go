package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/stack"
)

// graph is what each step waits for; with an exclamation mark those that are run also when an earlier call has done them.
func graph(r *recovery) map[string]string {
	out := map[string]string{}
	for _, s := range r.steps() {
		name := s.Name
		if s.Again {
			name += "!"
		}
		out[name] = strings.Join(s.After, " ")
		if s.Run == nil {
			out[name] += " (nothing to run)"
		}
	}
	return out
}

// What waits for nothing runs beside all else.
func TestEachStepWaitsForWhatItNeeds(t *testing.T) {
	first := map[string]string{"stop-core!": "", "stop-db!": "", "look!": "", "keep-old!": "stop-db look", "wipe": "keep-old", "deploy-db!": "wipe", "start-es!": "deploy-db", "start-zk!": "deploy-db",
		"repository": "start-es", "restore!": "repository stop-core", "newest!": "restore", "queue!": "restore start-zk", "promote": "restore queue", "start-core": "queue newest"}
	change := func(changes ...string) map[string]string {
		out := map[string]string{}
		for k, v := range first {
			out[k] = v
		}
		for i := 0; i < len(changes); i += 3 {
			delete(out, changes[i])
			if changes[i+1] != "" {
				out[changes[i+1]] = changes[i+2]
			}
		}
		return out
	}
	seen := state{Snapshot: &report.Snapshot{Name: "s", UUID: "u"}, Seen: time.Now()}
	for name, tt := range map[string]struct {
		cfg  config
		was  state
		done []string
		want map[string]string
	}{
		"the first call":       {config{keepOld: "/old"}, state{}, nil, first},
		"the snapshot is seen": {config{keepOld: "/old"}, seen, nil, change("look!", "", "", "keep-old!", "keep-old!", "stop-db")},
		"nothing is archived":  {config{}, state{}, nil, change("keep-old!", "", "", "wipe", "wipe", "stop-db look")},
		"the queue alone":      {config{only: onlyZK}, state{}, nil, change("look!", "", "", "keep-old!", "", "", "wipe", "wipe", "stop-db")},
		"wiped already": {config{}, state{}, []string{"wipe"}, change("look!", "", "", "keep-old!", "", "", "wipe", "wipe", "stop-db",
			"stop-core!", "stop-core", "", "stop-db!", "stop-db", "")},
		"the core has been started": {config{}, state{}, []string{"wipe", "start-core"}, change("look!", "", "", "keep-old!", "", "", "wipe", "wipe", "stop-db",
			"stop-core!", "stop-core", "", "stop-db!", "stop-db", "", "restore!", "restore", "repository stop-core", "newest!", "newest", "restore", "queue!", "queue", "restore start-zk")},
		"a drill": {config{drill: true, production: "db"}, state{}, nil, change("look!", "", "", "keep-old!", "", "", "wipe", "wipe", "stop-db", "stop-db!", "stop-db!", "copy", "", "copy", "")},
	} {
		r := takenUp(t, tt.done...)
		tt.cfg.db, tt.cfg.core = "db", "nuvla"
		r.cfg, r.state = &tt.cfg, tt.was
		if diff := cmp.Diff(tt.want, graph(r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What an earlier call has archived is that of volumes that are gone; what runs now are the new ones.
func TestWhatIsArchivedStaysSoWhereItsVolumesAreGone(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  config
		done []string
	}{
		"wiped already":           {config{keepOld: "/old"}, []string{"stop-db", "keep-old", "wipe"}},
		"not to be wiped":         {config{keepOld: "/old", skip: []string{"wipe"}}, []string{"stop-db", "keep-old"}},
		"nothing is to be kept":   {config{}, []string{"stop-db"}},
		"nothing is archived yet": {config{keepOld: "/old"}, nil},
	} {
		r := takenUp(t, tt.done...)
		tt.cfg.db, tt.cfg.core = "db", "nuvla"
		r.cfg, r.state = &tt.cfg, state{Started: time.Now(), Kept: "/old/first"}
		r.found.db = &stack.Stack{Name: "db", Services: []stack.Service{{Name: "es", ID: "es", Replicas: 1, Running: 1}}}
		folder := r.keepFolder()
		if err := r.checkArchive(); err != nil || r.keepFolder() != folder || r.remembered().Kept != "/old/first" || len(r.page.Checks) > 0 {
			t.Errorf("%s: archived in %s, and then in %s, %+v, %v", name, folder, r.keepFolder(), r.page.Checks, err)
		}
	}
}

func TestWhereNoVolumeIsTheArchiveIsWhole(t *testing.T) {
	r := takenUp(t)
	r.stacks, r.cfg.keepOld = emptyEngine(t), t.TempDir()
	if _, err := r.keepVolumes(t.Context()); err != nil || r.remembered().Kept != r.keepFolder() || len(r.remembered().Warnings) > 0 {
		t.Errorf("archived in %q, want %q, and nothing to be warned of in %q, %v", r.remembered().Kept, r.keepFolder(), r.remembered().Warnings, err)
	}
}

// They are what the room is reckoned with, and what an operator reads of what is removed.
func TestTheSizesOfVolumesAreReadWhereTheEngineSaysThem(t *testing.T) {
	const volume = `{"Name":"db_esdata","Driver":"local","Labels":{"com.docker.stack.namespace":"db"}}`
	for usage, want := range map[string]int64{`{"VolumeUsage":{"Items":[{"Name":"db_esdata","UsageData":{"Size":5}}]},"Volumes":[{"Name":"db_esdata","UsageData":{"Size":5}}]}`: 5, "no JSON": -1} {
		for _, done := range [][]string{nil, {"wipe"}} {
			r := takenUp(t, done...)
			r.stacks = swarmOf(t, map[string]string{"/services": "[" + stoppedService("es", dataMount) + "," + stoppedService("zk", "") + "]", "/tasks": "[]", "/networks": "[]",
				"/volumes": `{"Volumes":[` + volume + `]}`, "/volumes/db_esdata": volume, "/system/df": usage})
			if err := r.checkVolumes(t.Context()); err != nil || len(r.found.wipe.Volumes) != 1 {
				t.Fatalf("%+v, %v", r.found.wipe, err)
			}
			if done != nil {
				want = -1 // of no interest any more
			}
			if got := r.found.wipe.Volumes[0].Bytes; got != want {
				t.Errorf("%s, done %v: %d bytes, want %d", usage, done, got, want)
			}
		}
	}
}

func TestAStackIsDescribedAsItIs(t *testing.T) {
	s := &stack.Stack{Name: "db", Services: []stack.Service{
		{Name: "zk", Replicas: 3, Running: 2, Networks: []string{"net"}},
		{Name: "es", Stopped: true, Remembered: 1, Networks: []string{"net", "backend"}, Secrets: []string{"key"}}}}
	for want, missing := range map[string][]string{
		"es stopped (1), zk 2/3; network backend, net; secrets key":                                          nil,
		"es stopped (1), zk 2/3, deployed from the compose file: api, ui; network backend, net; secrets key": {"api", "ui"},
	} {
		if got := describeStack(s, missing); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := describeStack(&stack.Stack{Services: []stack.Service{{Name: "es"}}}, nil); got != "es 0/0" {
		t.Errorf("got %q", got)
	}
}
