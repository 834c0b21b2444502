package zkjobs_test

import (
	"context"
	"fmt"
	"time"

	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

// Plan, look, apply. Against real servers the rebuilder comes from zkjobs.New, with zkjobs.NewDocuments and
// zkjobs.Connect.
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

// Addresses come in the forms that ZooKeeper's clients take.
func ExampleParseHosts() {
	hosts, chroot, err := zkjobs.ParseHosts("zk1,zk2:2182/nuvla")
	fmt.Println(hosts, chroot, err)
	// Output: [zk1:2181 zk2:2182] /nuvla <nil>
}
