package restore_test

import (
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/restore"
)

// After a server has lost its data, what is backed up is complete, the latest, and next to nothing.
func TestTheLatestSnapshotTellsOfALargerOneOfTheWeekBefore(t *testing.T) {
	for name, take := range map[string]func(*bench, string){
		"with a manifest": (*bench).snapshot,
		"by curl": func(b *bench, name string) {
			b.do("PUT", "/_snapshot/"+b.repository()+"/"+name+"?wait_for_completion=true", `{"indices":"`+b.index("*")+`","feature_states":["none"]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := places[1].bench(t)
			choose := func(sel restore.Selector) *restore.Snapshot {
				t.Helper()
				s, err := b.repo.Choose(t.Context(), sel)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			// Of two that begin in the same tick of the server's clock, the one of the greater name is the later one.
			b.fill(b.index("a"), 1, 300, 100)
			take(b, "1-whole")
			b.fill(b.index("b"), 1, 50, 100)
			take(b, "2-more")
			if s := choose(restore.Selector{}); s.Name != "2-more" || s.Larger != nil {
				t.Errorf("%s tells of %v, and is the largest", s.Name, s.Larger)
			}
			b.do("DELETE", "/"+b.index("b"), "")
			take(b, "3-fewer")
			b.wipe()
			b.fill(b.index("a"), 1, 1, 100)
			take(b, "4-nothing")
			b.fill(b.index("c"), 1, 10, 100)
			take(b, "5-little")
			b.do("DELETE", "/"+b.index("c"), "")
			take(b, "6-again")
			s := choose(restore.Selector{})
			if s.Name != "6-again" || s.Larger == nil || s.Larger.Name != "3-fewer" || s.Larger.Start.IsZero() || !strings.Contains(s.Larger.String(), s.Larger.Name) {
				t.Fatalf("%s tells of %v, want the last of those that hold 300 documents and more: it is the one to restore", s.Name, s.Larger)
			}
			if l := s.Larger; name == "with a manifest" && (l.Documents != 300 || l.LatestDocuments != 1) {
				t.Errorf("it tells of %+v, want its documents", l)
			}
			for _, other := range []restore.Selector{{Name: "6-again"}, {Before: choose(restore.Selector{Name: "1-whole"}).Start}} {
				if s := choose(other); s.Larger != nil {
					t.Errorf("%s, chosen by %+v, tells of %v", s.Name, other, s.Larger)
				}
			}
		})
	}
}
