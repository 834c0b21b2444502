package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

// One whole backup; the fake stands for snapshot.New(client, "s3_backup", nil).
func ExampleCycle() {
	repo := &snapshottest.Fake{Name: "s3_backup", Documents: map[string]int64{"nuvla-job": 10_000, "nuvla-user": 42},
		Now: func() time.Time { return time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC) }}
	report, err := snapshot.Cycle(context.Background(), repo, snapshot.CycleOptions{
		Settings: &snapshot.Settings{S3: &snapshot.S3{Bucket: "nuvla-es-backup", Endpoint: "https://sos-ch-dk-2.exo.io"}},
		Policy:   &snapshot.Policy{Hourly: 24, Daily: 7, Weekly: 5, Monthly: 12},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Snapshot.Name, report.Snapshot.State, report.Snapshot.Manifest.Documents)
	// Output: snapshot.2026-01-02t150405z SUCCESS 10042
}

// A snapshot that misses a shard is an error, and is returned beside it.
func ExampleRepo_Create_partial() {
	repo := &snapshottest.Fake{Documents: map[string]int64{"nuvla-job": 10, "nuvla-user": 3},
		FailShard: func(index string) string { return map[string]string{"nuvla-job": "file not found"}[index] }}
	ctx := context.Background()
	if _, err := repo.Ensure(ctx, snapshot.Settings{FS: &snapshot.FS{Location: "/backup"}}); err != nil {
		fmt.Println(err)
		return
	}
	s, err := repo.Create(ctx, snapshot.CreateRequest{Name: "hourly"})
	fmt.Println(errors.Is(err, nuvlaops.ErrPartial), s.State, s.Failures[0].Index)
	// Output: true PARTIAL nuvla-job
}
