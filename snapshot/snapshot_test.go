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

func TestARepositoryWithoutAClientOrANameIsRefused(t *testing.T) {
	_, noClient := snapshot.New(nil, "r", nil)
	_, nilClient := snapshot.New((*es.Transport)(nil), "r", nil)
	_, noName := snapshot.New(new(es.Transport), "a,b", nil)
	for _, err := range []error{noClient, nilClient, noName} {
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
