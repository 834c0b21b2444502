package snapshot_test

import (
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/snapshot"
)

func TestAnS3ServerWithoutRoomIsSaidWithAHint(t *testing.T) {
	t.Parallel()
	for _, p := range s3Places {
		t.Run(p.name, func(t *testing.T) {
			s3 := testenv.UseS3(t, testenv.S3Options{Keys: testenv.SharedS3(t).Keys(), DataSize: 16 << 20})
			if err := s3.CreateBucket(t.Context(), "small"); err != nil {
				t.Fatal(err)
			}
			b := p.bench(t)
			b.ensure(snapshot.Settings{S3: &snapshot.S3{Bucket: "small", Endpoint: s3.Endpoint(), PathStyleAccess: true}})
			b.do("PUT", "/"+b.index("big"), `{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"enabled":false}}`)
			b.grow(24 << 10)
			_, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Name: "big", Indices: []string{b.index("*")}})
			mustSay(t, err, nuvlaops.ErrPartial, "No space left on device", "make room there")
			if _, err := s3.Exec(t.Context(), "sh", "-c", "cat /dev/zero > /data/small/filler; true"); err != nil {
				t.Fatal(err)
			}
			_, err = b.repo.Verify(t.Context())
			mustSay(t, err, nuvlaops.ErrRepository, "has no room left")
			mustSay(t, b.repo.Delete(t.Context(), "big"), nuvlaops.ErrRepository, "has no room left", "removing snapshots needs some room too")
		})
	}
}
