package snapshot_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

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
