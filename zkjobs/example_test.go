package zkjobs_test

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

// Plan, look, apply.
func ExampleJobQueueRebuilder() {
	queue := &zkjobstest.Queue{}
	queue.SetJobs(
		zkjobs.Job{ID: "job/second", Priority: 999, State: "QUEUED", Created: time.Unix(1767323045, 0)},
		zkjobs.Job{ID: "job/first", Priority: 50, State: "RUNNING", Created: time.Unix(1767323046, 0)},
	)
	var rebuilder zkjobs.JobQueueRebuilder = queue

	ctx := context.Background()
	plan, err := rebuilder.Plan(ctx, zkjobs.PlanOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(plan.ToAdd(), "to add,", plan.Summary.RunAgain, "run again")
	result, err := rebuilder.Apply(ctx, plan, zkjobs.ApplyOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Written, "written, verified:", result.Report.OK())
	// Output:
	// 2 to add, 1 run again
	// 2 written, verified: true
}

// elasticsearchAt makes a client of a real cluster without retries of its own. Any other does as well:
// elasticsearch.NewClient(elasticsearch.Config{Addresses: ..., DisableRetry: true}) of go-elasticsearch, for instance.
func elasticsearchAt(address string) (zkjobs.Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return elastictransport.NewClient(elastictransport.WithURLs(u), elastictransport.WithDisableRetry())
}

// Rebuild the queue of real servers, whose executors and api-server are stopped.
func Example_realServers() {
	ctx := context.Background()
	client, err := elasticsearchAt("http://es:9200")
	if err != nil {
		fmt.Println(err)
		return
	}
	jobs, err := zkjobs.NewDocuments(client, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, err := zkjobs.Connect(ctx, []string{"zk:2181"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	rebuilder, err := zkjobs.New(jobs, conn, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := rebuilder.Plan(ctx, zkjobs.PlanOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan)
	result, err := rebuilder.Apply(ctx, plan, zkjobs.ApplyOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(result.Report)
}

// Addresses come in the forms that ZooKeeper's clients take.
func ExampleParseHosts() {
	hosts, chroot, err := zkjobs.ParseHosts("zk1,zk2:2182/nuvla")
	fmt.Println(hosts, chroot, err)
	// Output: [zk1:2181 zk2:2182] /nuvla <nil>
}
