package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

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

// What a policy keeps and removes, and why, before anything is removed.
func ExamplePlanPrune() {
	ctx := context.Background()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	repo := &snapshottest.Fake{Documents: map[string]int64{"nuvla-job": 10}, Now: func() time.Time { return now }}
	if _, err := repo.Ensure(ctx, snapshot.Settings{FS: &snapshot.FS{Location: "/backup"}}); err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		now = now.Add(time.Hour)
		if _, err := repo.Create(ctx, snapshot.CreateRequest{}); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Those that were pinned afterwards are known by snapshot.WithMarks(repo, path) alone.
	plan, err := snapshot.PlanPrune(ctx, repo, snapshot.Policy{Daily: 7, MinComplete: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range plan.Decisions {
		fmt.Println(d.Name, d.Keep, strings.Join(d.Reasons, ", "))
	}
	removed, err := snapshot.Prune(ctx, repo, plan)
	fmt.Println(len(removed), "removed", err)
	// Output:
	// snapshot.2026-01-01t130000z false no rule keeps it
	// snapshot.2026-01-01t140000z false no rule keeps it
	// snapshot.2026-01-01t150000z true the newest complete one, daily 2026-01-01
	// 2 removed <nil>
}

// Take a snapshot of a real cluster and list what is there, newest first. Any client does that repeats nothing itself:
// elasticsearch.NewClient(elasticsearch.Config{Addresses: ..., DisableRetry: true}) of go-elasticsearch, for instance.
func Example_realServer() {
	ctx := context.Background()
	client, err := elastictransport.NewClient(elastictransport.WithURLs(&url.URL{Scheme: "http", Host: "es:9200"}), elastictransport.WithDisableRetry())
	if err != nil {
		fmt.Println(err)
		return
	}
	repo, err := snapshot.New(client, "s3_backup", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := repo.Create(ctx, snapshot.CreateRequest{}); err != nil {
		fmt.Println(err)
		return
	}
	for s, err := range repo.List(ctx, snapshot.Filter{NewestFirst: true}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(s.Name, s.State, s.Start, s.Shards.Successful)
	}
}
