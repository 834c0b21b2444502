package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/stack"
)

// What will be removed leaves room, also when what wrote it is dead, and how much is not always known.
func TestWhatIsRemovedLeavesRoomForWhatIsRestored(t *testing.T) {
	for _, tt := range []struct {
		name    string
		skip    []string
		volume  int64 // bytes, negative when not known
		room    restore.Room
		alive   bool
		refused bool
	}{
		{"it lives", nil, 60, restore.Room{Available: 40}, true, false},
		{"it is dead", nil, 60, restore.Room{Available: 40}, false, false},
		{"too little", nil, 10, restore.Room{Available: 40}, false, true},
		{"not known", nil, -1, restore.Room{Available: 40}, true, false},
		{"not removed", []string{"wipe"}, 60, restore.Room{Available: 40}, true, true},
		{"the disk is over its watermark", nil, 80, restore.Room{Available: 40, Reserved: 70}, true, true},
		{"it is so until the volume is gone", nil, 90, restore.Room{Available: 40, Reserved: 70}, true, false},
	} {
		r := takenUp(t)
		r.cfg.skip = tt.skip
		r.found = found{alive: tt.alive, wipe: &stack.WipePlan{Volumes: []stack.Volume{{Name: "db_esdata", Bytes: tt.volume}}}}
		r.measured(&sighting{plan: &restore.Plan{Bytes: 60, Room: &tt.room}})
		if err := r.checkDisks(); errors.Is(err, nuvlaops.ErrRefused) != tt.refused {
			t.Errorf("%s: got %v, refused should be %t", tt.name, err, tt.refused)
		}
	}
}

// What is removed leaves room on as many nodes as Elasticsearch runs on: on one, as a rule.
func TestWhatIsRemovedOnAnotherNodeLeavesNoRoom(t *testing.T) {
	at := func(node string, bytes int64) stack.Volume {
		return stack.Volume{Name: "db_esdata", NodeID: node, Bytes: bytes}
	}
	for _, tt := range []struct {
		name    string
		nodes   int // of Elasticsearch
		volumes []stack.Volume
		refused bool
	}{
		{"enough on one", 1, []stack.Volume{at("a", 10), at("b", 30)}, false},
		{"enough on both together", 1, []stack.Volume{at("a", 15), at("b", 15)}, true},
		{"not known of one", 1, []stack.Volume{at("a", 15), at("b", -1)}, false},
		{"of three", 3, []stack.Volume{at("a", 7), at("b", 7), at("c", 7)}, false},
		{"of two, and enough on three", 2, []stack.Volume{at("a", 7), at("b", 7), at("c", 7)}, true},
	} {
		r := takenUp(t)
		r.found = found{alive: true, wipe: &stack.WipePlan{Volumes: tt.volumes}}
		r.measured(&sighting{plan: &restore.Plan{Bytes: 60, Cluster: restore.Cluster{DataNodes: tt.nodes}, Room: &restore.Room{Available: 40}}})
		if err := r.checkDisks(); errors.Is(err, nuvlaops.ErrRefused) != tt.refused {
			t.Errorf("%s: got %v, refused should be %t", tt.name, err, tt.refused)
		}
	}
}

// A job lists and removes volumes; their archive would have to come back through its log.
func TestAnArchiveOfVolumesThatAJobAloneReachesIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	here, far := stack.Volume{Name: "db_zkdata", Node: "manager"}, stack.Volume{Name: "db_esdata", Node: "worker", ByJob: true}
	for _, tt := range []struct {
		name    string
		cfg     config
		volumes []stack.Volume
		refused bool
	}{
		{"by a job", config{keepOld: "/old"}, []stack.Volume{here, far}, true},
		{"through engines", config{keepOld: "/old"}, []stack.Volume{here}, false},
		{"not kept", config{}, []stack.Volume{here, far}, false},
		{"left out", config{keepOld: "/old", from: "wipe"}, []stack.Volume{here, far}, false},
	} {
		r := takenUp(t)
		r.cfg, r.found.wipe = &tt.cfg, &stack.WipePlan{Volumes: tt.volumes}
		err := r.checkReach()
		if errors.Is(err, nuvlaops.ErrRefused) != tt.refused {
			t.Errorf("%s: got %v, refused should be %t", tt.name, err, tt.refused)
		}
		for _, want := range []string{"those on worker", "-engine NODE=ADDRESS", "-keep-old", "nothing was touched"} {
			if tt.refused && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %q is not in %v", tt.name, want, err)
			}
		}
	}
}

func TestWhatTheWipeWouldRefuseIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	dark := []string{"node far (down) may hold volumes of the stack and cannot be looked at"}
	for _, tt := range []struct {
		name    string
		plan    stack.WipePlan
		skip    []string
		refused bool
	}{
		{"a node that is down", stack.WipePlan{Obstacles: dark, Lasting: dark}, nil, true},
		{"what will be stopped", stack.WipePlan{Obstacles: []string{"volume db_esdata is wanted by service db_es"}}, nil, false},
		{"what will not be stopped", stack.WipePlan{Obstacles: []string{"volume db_esdata is wanted by service db_es"}}, []string{"stop-db"}, true},
		{"nothing is removed", stack.WipePlan{Obstacles: dark, Lasting: dark}, []string{"wipe"}, false},
	} {
		r := takenUp(t)
		r.cfg.skip, r.found.wipe, r.found.db = tt.skip, &tt.plan, &stack.Stack{Name: "db"}
		if err := r.checkObstacles(); errors.Is(err, nuvlaops.ErrRefused) != tt.refused {
			t.Errorf("%s: got %v, refused should be %t", tt.name, err, tt.refused)
		}
	}
}
