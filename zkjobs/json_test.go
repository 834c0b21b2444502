package zkjobs_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/zkjobs"
)

func TestDurationsAreSecondsInJSONAndComeBack(t *testing.T) {
	opts := zkjobs.PlanOptions{States: []string{"QUEUED"}, MaxAge: 720 * time.Hour, Settle: -1}
	raw, err := json.Marshal(opts)
	if want := `{"states":["QUEUED"],"max_age_seconds":2592000,"settle_seconds":-1e-9}`; err != nil || string(raw) != want {
		t.Errorf("%s, %v, want %s", raw, err, want)
	}
	var optsBack zkjobs.PlanOptions
	if err := json.Unmarshal(raw, &optsBack); err != nil {
		t.Error(err)
	}
	result := zkjobs.Result{Written: 2, Elapsed: 1500 * time.Millisecond}
	if raw, err = json.Marshal(result); err != nil || string(raw) != `{"written":2,"present":0,"transactions":0,"elapsed_seconds":1.5}` {
		t.Errorf("%s, %v", raw, err)
	}
	var resultBack zkjobs.Result
	if err := json.Unmarshal(raw, &resultBack); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(opts, optsBack) + cmp.Diff(result, resultBack); diff != "" {
		t.Error(diff)
	}
}
