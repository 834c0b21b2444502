package stack_test

import (
	"context"
	"fmt"
	"log"

	"github.com/nuvla/nuvlaops/stack"
	"github.com/nuvla/nuvlaops/stack/stacktest"
)

// controller stands for stack.NewSwarm(nil), so that the example runs anywhere.
func controller() stack.StackController {
	f := stacktest.NewFake()
	f.AddFile("db.yml", stacktest.Service{Name: "es", Replicas: 1, Volumes: []string{"esdata"}}, stacktest.Service{Name: "zk", Replicas: 1})
	return f
}

// Databases are replaced by empty ones, once a snapshot of their data has been seen.
func Example() {
	ctx := context.Background()
	stacks := controller()
	if err := stacks.Deploy(ctx, "db", stack.DeployOptions{Files: []string{"db.yml"}}); err != nil {
		log.Fatal(err)
	}
	err := stacks.Stop(ctx, "db", stack.StopOptions{Groups: [][]string{{"es"}, {"zk"}},
		Gone: func(group []string) { fmt.Println("gone:", group) }})
	if err != nil {
		log.Fatal(err)
	}
	plan, err := stacks.PlanWipe(ctx, "db", stack.WipeOptions{Services: []string{"es"}})
	if err != nil {
		log.Fatal(err)
	}
	seen := func(context.Context) error {
		fmt.Println("is the snapshot complete?")
		return nil
	}
	if err := stacks.Wipe(ctx, plan, seen); err != nil {
		log.Fatal(err)
	}
	err = stacks.Start(ctx, "db", stack.StartOptions{Groups: [][]string{{"es", "zk"}},
		Healthy: func(group []string) { fmt.Println("healthy:", group) }})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// gone: [es]
	// gone: [zk]
	// is the snapshot complete?
	// healthy: [es zk]
}

// Stop and start a real stack, on a manager of the swarm or where DOCKER_HOST names one.
func ExampleNewSwarm() {
	swarm, err := stack.NewSwarm(&stack.Options{Engines: map[string]string{"worker-1": "tcp://worker-1:2376"}})
	if err != nil {
		log.Fatal(err)
	}
	defer swarm.Close()
	ctx := context.Background()
	claim, err := swarm.Claim(ctx, "db", stack.ClaimOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer claim.Release(ctx)
	if err := swarm.Stop(ctx, "db", stack.StopOptions{}); err != nil {
		log.Print(err)
		return
	}
	err = swarm.Start(ctx, "db", stack.StartOptions{
		Probes: map[string]func(context.Context) error{"es": stack.ProbeHTTP("http://es:9200")},
	})
	if err != nil {
		log.Print(err)
	}
}
