package main

import (
	"context"
	"iter"

	"github.com/nuvla/nuvlaops/zkjobs"
)

// queue is the job queue as the seeding uses it: it puts jobs there and asks where they stand.
type queue struct {
	*zkjobs.Queue
	conn *zkjobs.Conn
}

// openQueue connects to ZooKeeper. The caller closes the connection.
func openQueue(ctx context.Context, addr string) (*queue, error) {
	conn, err := zkjobs.Connect(ctx, []string{addr}, nil)
	if err != nil {
		return nil, err
	}
	q, err := zkjobs.NewQueue(conn, nil)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &queue{q, conn}, nil
}

// paths returns where each of the jobs stands on the queue, by its id.
func (q *queue) paths(ctx context.Context, jobs []*job) (map[string]string, error) {
	rebuilder, err := zkjobs.New(source(jobs), q.conn, nil)
	if err != nil {
		return nil, err
	}
	plan, err := rebuilder.Plan(ctx, zkjobs.PlanOptions{})
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, j := range plan.Jobs {
		if j.Entry != "" {
			paths[j.ID] = plan.Path + "/entries/" + j.Entry
		}
	}
	return paths, nil
}

// source yields the seeded jobs to the rebuilder, which compares them with the queue.
type source []*job

func (s source) Jobs(context.Context) iter.Seq2[zkjobs.Job, error] {
	return func(yield func(zkjobs.Job, error) bool) {
		for _, j := range s {
			if !yield(zkjobs.Job{ID: j.name(), Priority: j.priority, Created: j.created, State: j.source["state"].(string), Mode: "push"}, nil) {
				return
			}
		}
	}
}
