// Package zkjobstest helps to test what uses package zkjobs: jobs without Elasticsearch, a job queue in memory, and what
// every implementation of zkjobs.JobQueueRebuilder must do.
package zkjobstest

import (
	"context"
	"iter"

	"github.com/nuvla/nuvlaops/zkjobs"
)

// Jobs is a zkjobs.Source over a slice.
type Jobs []zkjobs.Job

// Jobs yields them.
func (j Jobs) Jobs(ctx context.Context) iter.Seq2[zkjobs.Job, error] {
	return func(yield func(zkjobs.Job, error) bool) {
		for _, job := range j {
			if ctx.Err() != nil {
				yield(zkjobs.Job{}, context.Cause(ctx))
				return
			}
			if !yield(job, nil) {
				return
			}
		}
	}
}
