package restoretest_test

import (
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/restore/restoretest"
)

func TestFakeConforms(t *testing.T) {
	restoretest.Conformance(t, func(t *testing.T) restoretest.Target {
		f := &restoretest.Fake{Repository: "fake"}
		start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		f.AddSnapshot(restore.Snapshot{Name: "one", UUID: "1", State: "SUCCESS", Start: start, Documents: map[string]int64{"nuvla-a": 1}})
		f.AddSnapshot(restore.Snapshot{Name: "two", UUID: "2", State: "SUCCESS", Start: start.Add(time.Hour), Documents: map[string]int64{"nuvla-a": 2, "nuvla-b": 3, "other": 4}})
		f.AddSnapshot(restore.Snapshot{Name: "three", UUID: "3", State: "PARTIAL", Start: start.Add(2 * time.Hour), Documents: map[string]int64{"nuvla-a": 5}})
		return restoretest.Target{Restorer: f, Older: "one", Latest: "two", Patterns: []string{"nuvla-*"},
			Documents: map[string]int64{"nuvla-a": 2, "nuvla-b": 3},
			Make:      func(_ *testing.T, index string) { f.SetIndex(index, 7) },
			Remove:    func(_ *testing.T, index string) { f.RemoveIndex(index) }}
	})
}
