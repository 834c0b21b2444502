package restore_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// The original is deleted, and what replaces it has no other place yet: to abandon that, or to begin another restore, would lose
// both of them.
func TestAReplacementOnItsWayIntoItsPlaceIsFinishedAndNothingElse(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 2, 40, 200)
	b.snapshot("snap")
	b.wipe()
	b.fill(b.index("a"), 2, 3, 200)
	var asked atomic.Bool
	client := denied{b.client, func(r *http.Request) bool {
		clones := strings.Contains(r.URL.Path, "/_clone/")
		if clones {
			asked.Store(true)
		}
		return clones
	}}
	if _, err := b.open(client, nil).Apply(t.Context(), b.plan(b.replacing()), restore.ApplyOptions{}); !asked.Load() || !errors.Is(err, nuvlaops.ErrDenied) {
		t.Fatalf("a clone was asked for: %t, %v, want it refused", asked.Load(), err)
	}
	if _, there := b.state()[b.index("a")]; there {
		t.Fatalf("the original is there still: %v", b.state())
	}
	if _, err := b.repo.Abandon(t.Context(), "snap"); !errors.Is(err, nuvlaops.ErrRefused) {
		t.Errorf("abandoned: %v, want ErrRefused", err)
	}
	b.otherRefused("on its way")
	b.nothingLost("on its way")
	other := b.request()
	other.RenamePrefix = "copy-"
	if _, err := b.repo.Apply(t.Context(), b.plan(other), restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrRefused) {
		t.Errorf("another plan was applied: %v", err)
	}
	report, err := b.repo.Attach(t.Context(), "snap", restore.ApplyOptions{})
	if err != nil || !report.OK() || report.Documents != 40 || len(b.state()) != 1 {
		t.Fatalf("attached: %v\n%s\n%v", err, report, b.state())
	}
	if _, err := b.repo.Apply(t.Context(), b.plan(other), restore.ApplyOptions{}); err != nil {
		t.Errorf("another plan, when all is done: %v", err)
	}
}
