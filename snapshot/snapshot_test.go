package snapshot_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/snapshot"
)

func TestStatesAreThoseThatElasticsearchIsAskedFor(t *testing.T) {
	want := []string{es.StateInProgress, es.StateSuccess, es.StatePartial, es.StateFailed, es.StateIncompatible}
	got := []string{snapshot.InProgress, snapshot.Success, snapshot.Partial, snapshot.Failed, snapshot.Incompatible}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnlySuccessWithAllShardsIsComplete(t *testing.T) {
	all := snapshot.Shards{Total: 3, Successful: 3}
	for name, s := range map[string]snapshot.Snapshot{
		"a failed shard":      {State: snapshot.Success, Shards: snapshot.Shards{Total: 3, Successful: 3, Failed: 1}},
		"a failure":           {State: snapshot.Success, Shards: all, Failures: []snapshot.Failure{{Index: "a"}}},
		"a shard not counted": {State: snapshot.Success, Shards: snapshot.Shards{Total: 3, Successful: 2}},
		"partial":             {State: snapshot.Partial, Shards: all},
		"running":             {State: snapshot.InProgress},
	} {
		if s.Complete() {
			t.Errorf("%s: it is complete", name)
		}
	}
	if !(snapshot.Snapshot{State: snapshot.Success, Shards: all}).Complete() {
		t.Error("it is not complete")
	}
}

func TestARepositoryWithoutAClientOrANameIsRefused(t *testing.T) {
	_, noClient := snapshot.New(nil, "r", nil)
	_, nilClient := snapshot.New((*es.Transport)(nil), "r", nil)
	_, noName := snapshot.New(new(es.Transport), "a,b", nil)
	_, noTime := snapshot.New(new(es.Transport), "r", &snapshot.Options{VerifyTimeout: -1})
	_, noRetry := snapshot.New(new(es.Transport), "r", &snapshot.Options{Retry: nuvlaops.RetryPolicy{MaxAttempts: -1}})
	for _, err := range []error{noClient, nilClient, noName, noTime, noRetry} {
		if !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%v, want ErrInvalid", err)
		}
	}
}

func TestDurationsAreSecondsInJSONAndComeBack(t *testing.T) {
	plan := snapshot.Plan{Policy: snapshot.Policy{Last: 2, Within: 90 * time.Minute}}
	step := snapshot.CycleStep{Name: "create", Ended: true, Took: 1500 * time.Millisecond}
	raw, err := json.Marshal(plan)
	var planBack snapshot.Plan
	if err != nil || !strings.Contains(string(raw), `"policy":{"last":2,"within_seconds":5400}`) || json.Unmarshal(raw, &planBack) != nil {
		t.Errorf("%s, %v", raw, err)
	}
	if raw, err = json.Marshal(step); err != nil || string(raw) != `{"name":"create","ended":true,"took_seconds":1.5}` {
		t.Errorf("%s, %v", raw, err)
	}
	var stepBack snapshot.CycleStep
	if err := json.Unmarshal(raw, &stepBack); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(plan, planBack) + cmp.Diff(step, stepBack); diff != "" {
		t.Error(diff)
	}
}
