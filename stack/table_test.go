package stack_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/stack"
)

func TestTableShowsWhatAnOperatorLooksFor(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	s := &stack.Stack{Name: "db",
		Services: []stack.Service{
			{Name: "es", Image: "nuvla/es:8", Replicas: 1, Health: stack.HealthFailing, Error: "task: non-zero exit (137)",
				Networks: []string{"nuvla-backend"}, Secrets: []string{"s3_access_key", "s3_secret_key"}, Tasks: []stack.Task{
					{ID: "t0", Slot: 1, Node: "one", State: "shutdown", Wanted: "shutdown", Since: at},
					{ID: "t1", Slot: 1, Node: "one", State: "failed", Wanted: "shutdown", Since: at, Error: "task: non-zero exit (137)"},
					{ID: "t2", Slot: 1, Node: "two", State: "ready", Wanted: "ready", Since: at.Add(time.Second)}}},
			{Name: "agent", Image: "agent:1", Global: true, Running: 1, Replicas: 1, Health: stack.HealthHealthy,
				Networks: []string{"nuvla-backend"}, Secrets: []string{"s3_access_key"},
				Tasks: []stack.Task{{ID: "abcdefghijklmnop", Node: "one", State: "running", Wanted: "running", Since: at}}},
			{Name: "zk", Image: "zookeeper:3", Stopped: true, Remembered: 3, Health: stack.HealthStopped},
		},
		Volumes: []stack.Volume{{Name: "db_esdata", Node: "one", Bytes: 70_200_000, Services: []string{"es"}}, {Name: "db_old", Node: "two", Bytes: -1}},
	}
	want := `
SERVICE  REPLICAS  IMAGE        STATE
es       0/1       nuvla/es:8   failing: task: non-zero exit (137)
agent    1/1       agent:1      healthy
zk       0/0       zookeeper:3  stopped, remembers 3 replicas

TASK                    NODE  STATE    SINCE                 ERROR
es.1                    one   failed   2026-01-02T15:04:05Z  task: non-zero exit (137)
es.1                    two   ready    2026-01-02T15:04:06Z
agent.abcdefghijklmnop  one   running  2026-01-02T15:04:05Z

VOLUME     NODE  SIZE      USED BY
db_esdata  one   66.9 MiB  es
db_old     two   -

NETWORK        USED BY
nuvla-backend  es agent

SECRET         USED BY
s3_access_key  es agent
s3_secret_key  es
`
	var got strings.Builder
	for line := range strings.Lines(s.String()) {
		got.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	if diff := cmp.Diff(want, "\n"+got.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// Identifiers may begin alike: those of the pods of one ReplicaSet do.
func TestTasksWithoutASlotAreToldApartByTheirWholeIdentifier(t *testing.T) {
	s := &stack.Stack{Name: "nuvla", Services: []stack.Service{{Name: "executor", Tasks: []stack.Task{
		{ID: "job-executor-7c6b8-x2k4q", State: "running", Wanted: "running"},
		{ID: "job-executor-7c6b8-p9w1z", State: "running", Wanted: "running"},
	}}}}
	for _, task := range s.Services[0].Tasks {
		if got := s.String(); !strings.Contains(got, "executor."+task.ID+" ") {
			t.Errorf("%s is not in:\n%s", task.ID, got)
		}
	}
}

func TestHealthIsWhatTheTasksShow(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	running := func(ago time.Duration) stack.Task {
		return stack.Task{State: "running", Wanted: "running", Since: now.Add(-ago)}
	}
	failed := stack.Task{State: "failed", Wanted: "shutdown", Error: "no such luck", Since: now.Add(-time.Minute)}
	pending := stack.Task{State: "pending", Wanted: "running", Error: "no suitable node", Since: now.Add(-time.Minute)}
	ended := stack.Task{State: "shutdown", Wanted: "shutdown", Since: now.Add(-time.Second)}
	for _, c := range []struct {
		name  string
		is    stack.Service
		want  stack.Health
		error string
	}{
		{"runs for a while, after a failure", stack.Service{Replicas: 1, Running: 1, Tasks: []stack.Task{failed, running(time.Minute)}}, stack.HealthHealthy, ""},
		{"has just come up", stack.Service{Replicas: 1, Running: 1, Tasks: []stack.Task{running(time.Millisecond)}}, stack.HealthStarting, ""},
		{"one is missing", stack.Service{Replicas: 2, Running: 1, Tasks: []stack.Task{running(time.Minute)}}, stack.HealthStarting, ""},
		{"no node for it", stack.Service{Replicas: 1, Tasks: []stack.Task{ended, pending}}, stack.HealthStarting, "no suitable node"},
		{"failed and restarts", stack.Service{Replicas: 1, Tasks: []stack.Task{failed, {State: "ready", Wanted: "ready"}}}, stack.HealthFailing, "no such luck"},
		{"given up", stack.Service{Replicas: 1, Tasks: []stack.Task{failed}}, stack.HealthFailing, "no such luck"},
		{"scaled to nothing", stack.Service{Tasks: []stack.Task{failed, ended}}, stack.HealthStopped, ""},
		{"global, stopped", stack.Service{Global: true, Stopped: true}, stack.HealthStopped, ""},
		{"global, without a node yet", stack.Service{Global: true}, stack.HealthStarting, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := stack.Assess(c.is, now)
			if got.Health != c.want || got.Error != c.error {
				t.Errorf("%s with error %q, want %s with %q", got.Health, got.Error, c.want, c.error)
			}
		})
	}
}
