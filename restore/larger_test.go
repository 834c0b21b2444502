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
			b.fill(b.index("a"), 1, 300, 100)
			take(b, "whole")
			b.fill(b.index("b"), 1, 50, 100)
			take(b, "more")
			if s := choose(restore.Selector{}); s.Name != "more" || s.Larger != nil {
				t.Errorf("%s tells of %v, and is the largest", s.Name, s.Larger)
			}
			b.wipe()
			b.fill(b.index("a"), 1, 1, 100)
			take(b, "nothing")
			take(b, "again")
			s := choose(restore.Selector{})
			if s.Name != "again" || s.Larger == nil || s.Larger.Name == "nothing" || s.Larger.Start.IsZero() || !strings.Contains(s.Larger.String(), s.Larger.Name) {
				t.Fatalf("%s tells of %v, want one of those that hold 300 documents and more", s.Name, s.Larger)
			}
			if l := s.Larger; name == "with a manifest" && (l.Name != "more" || l.Documents != 350 || l.LatestDocuments != 1) {
				t.Errorf("it tells of %+v, want the most documents", l)
			}
			for _, other := range []restore.Selector{{Name: "again"}, {Before: s.Larger.Start}} {
				if s := choose(other); s.Larger != nil {
					t.Errorf("%s, chosen by %+v, tells of %v", s.Name, other, s.Larger)
				}
			}
		})
	}
}
