package snapshot_test

import (
	"fmt"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

// A snapshot that its own run has judged not to hold what was there does not become a good one by being adopted.
func TestAnAdoptedSnapshotThatMissesACountedIndexIsNoGoodOne(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.register()
	b.fill(b.index("job"), 1)
	b.fill(b.index("lost"), 1)
	// What an earlier call has counted, and a snapshot that does not hold all of it.
	b.do("PUT", "/_snapshot/"+b.repo.Name()+"/s?wait_for_completion=true", fmt.Sprintf(`{"indices":[%q],"feature_states":["none"],"metadata":
		{"taken_by":"nuvlaops","run_id":"run","documents_prefix":"","documents":"%s=1 %s=1","documents_total":"2","documents_indices":"2","documents_digest":"d"}}`,
		b.index("job"), b.index("job"), b.index("lost")))
	req := snapshot.CreateRequest{Name: "s", RunID: "run", Indices: []string{b.index("*")}}
	_, err := b.repo.Create(t.Context(), req)
	mustSay(t, err, nuvlaops.ErrVerification, b.index("lost")+" is not in the snapshot")
	b.do("DELETE", "/"+b.index("lost"), "") // as if it had been deleted while the snapshot ran
	if s, err := b.repo.Create(t.Context(), req); err != nil || !s.Complete() {
		t.Errorf("%+v, %v", s, err)
	}
}
