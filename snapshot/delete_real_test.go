package snapshot_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/snapshot"
)

func TestASnapshotThatCannotBeDescribedIsDeletedToo(t *testing.T) {
	t.Parallel()
	for _, p := range places[1:] {
		t.Run(p.name, func(t *testing.T) {
			b := p.bench(t)
			b.register()
			b.fill(b.index("job"), 5)
			repo, proxy := b.through(nil)
			for _, harm := range []testenv.Fault{{}, {Nth: 1, Do: testenv.CutBefore}} {
				s, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Name: "damaged", Indices: []string{b.index("*")}})
				if err != nil {
					t.Fatal(err)
				}
				file := b.settings().FS.Location + "/snap-" + s.UUID + ".dat"
				if out, err := b.server.Exec(t.Context(), "rm", file); err != nil {
					t.Fatal(out, err)
				}
				if names, err := b.repo.Unreadable(t.Context()); err != nil || !cmp.Equal(names, []string{"damaged"}) {
					t.Fatalf("unreadable are %v, %v", names, err)
				}
				proxy.Reset()
				names := []string{"damaged"}
				if harm.Nth > 0 {
					proxy.Inject(harm)
				} else {
					names = append(names, "never-there")
				}
				if err := repo.Delete(t.Context(), names...); err != nil {
					t.Errorf("Delete %v: %v", names, err)
				}
				if left, err := b.repo.Unreadable(t.Context()); err != nil || len(left) > 0 {
					t.Errorf("Delete %v left %v, %v", names, left, err)
					b.do("DELETE", "/_snapshot/"+b.repo.Name()+"/damaged", "")
				}
			}
		})
	}
}
