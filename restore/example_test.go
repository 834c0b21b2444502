package restore_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/restore/restoretest"
)

func cluster() *restoretest.Fake {
	f := &restoretest.Fake{Repository: "s3_backup"}
	f.AddSnapshot(restore.Snapshot{Name: "snapshot.2026-01-02t150405z", UUID: "u1", State: "SUCCESS",
		Start: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC), Documents: map[string]int64{"nuvla-job": 10000, "nuvla-user": 7}})
	return f
}

// Restore the latest complete snapshot and prove that it came back.
func Example() {
	ctx := context.Background()
	var r restore.Restorer = cluster() // restore.New(client, "s3_backup", nil)

	snapshot, err := r.Choose(ctx, restore.Selector{})
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := r.Plan(ctx, restore.Request{Snapshot: snapshot.Name, Replicas: new(int)})
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := r.Apply(ctx, plan, restore.ApplyOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, i := range report.Indices {
		fmt.Println(i.Target, i.State, *i.Documents)
	}
	// Output:
	// nuvla-job proven 10000
	// nuvla-user proven 7
}

// Restore one index beside the one that is there, and ask it a question.
func ExampleRestorer_rename() {
	ctx := context.Background()
	r := cluster()
	r.SetIndex("nuvla-user", 3)

	plan, err := r.Plan(ctx, restore.Request{Snapshot: "snapshot.2026-01-02t150405z", Indices: []string{"nuvla-user"}, RenamePrefix: "restored-"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := r.Apply(ctx, plan, restore.ApplyOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	report, err := r.Verify(ctx, plan, restore.VerifyOptions{Queries: []restore.Query{{Name: "users", Index: "nuvla-user", Min: 7}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.OK(), r.Documents())
	// Output: true map[nuvla-user:3 restored-nuvla-user:7]
}

// A plan says what stands in the way, and Apply refuses it.
func ExampleRestorer_plan() {
	ctx := context.Background()
	r := cluster()
	r.SetIndex("nuvla-user", 3)

	plan, err := r.Plan(ctx, restore.Request{Snapshot: "snapshot.2026-01-02t150405z"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range plan.Findings {
		fmt.Println(f)
	}
	_, err = r.Apply(ctx, plan, restore.ApplyOptions{})
	fmt.Println(err)
	// Output:
	// error index_exists_open nuvla-user: an open index of this name is there
	// restore.Apply s3_backup/snapshot.2026-01-02t150405z: an open index of this name is there
}

// elasticsearchAt makes a client of a real cluster without retries of its own. Any other does as well:
// elasticsearch.NewClient(elasticsearch.Config{Addresses: ..., DisableRetry: true}) of go-elasticsearch, for instance.
func elasticsearchAt(address string) (restore.Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return elastictransport.NewClient(elastictransport.WithURLs(u), elastictransport.WithDisableRetry())
}

// Try the latest snapshot in a cluster that works: nothing of it is touched.
func ExampleRepo_Drill() {
	client, err := elasticsearchAt("http://es:9200")
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := restore.New(client, "s3_backup", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := r.Drill(context.Background(), restore.DrillOptions{Budget: time.Hour})
	if report != nil {
		fmt.Print(report)
	}
	if err != nil {
		fmt.Println(err)
	}
}

// Follow a restore that another process has begun and left, to its end.
func ExampleRepo_Attach() {
	client, err := elasticsearchAt("http://es:9200")
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := restore.New(client, "s3_backup", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := r.Attach(context.Background(), "snapshot.2026-01-02t150405z", restore.ApplyOptions{})
	switch {
	case errors.Is(err, nuvlaops.ErrNotFound):
		fmt.Println("nobody restores it")
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Print(report)
	}
}
