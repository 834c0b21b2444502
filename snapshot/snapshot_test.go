package snapshot_test

import (
	"errors"
	"testing"

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
