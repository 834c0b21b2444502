package snapshot_test

import (
	"errors"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

func TestACheckReadsTheListsOfFilesOfEachShardAndMissesWhatIsLost(t *testing.T) {
	for _, p := range places[1:] {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := p.bench(t)
			b.register()
			b.fill(b.index("job"), 30)
			s, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Name: "s", Indices: []string{b.index("*")}})
			if err != nil {
				t.Fatal(err)
			}
			if nodes, err := b.repo.Verify(t.Context()); err != nil || len(nodes) != 1 {
				t.Errorf("%v, %v", nodes, err)
			}
			c, err := b.repo.Check(t.Context(), "s")
			if err != nil || c.Shards != 3 || c.Files < 3 || c.Bytes == 0 || c.Bytes != c.Snapshot.Bytes || c.Snapshot.UUID != s.UUID {
				t.Fatalf("%+v, %v", c, err)
			}
			lists := b.settings().FS.Location + "/indices/*/1/snap-*.dat"
			if out, err := b.server.Exec(t.Context(), "sh", "-c", "ls "+lists+" && rm "+lists); err != nil {
				t.Fatal(out, err)
			}
			_, err = b.repo.Check(t.Context(), "s")
			mustSay(t, err, nuvlaops.ErrVerification, "a list of files is gone", "/1/snap-")
			if _, err := b.repo.Check(t.Context(), "nobody"); !errors.Is(err, nuvlaops.ErrNotFound) {
				t.Errorf("no such snapshot: %v", err)
			}
		})
	}
	_, err := places[1].bench(t).repo.Verify(t.Context())
	mustSay(t, err, nuvlaops.ErrNotFound, "not registered")
}
