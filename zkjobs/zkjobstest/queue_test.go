package zkjobstest_test

import (
	"testing"

	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

func TestTheQueueInMemoryConforms(t *testing.T) {
	zkjobstest.Conformance(t, func(*testing.T) *zkjobstest.Rig {
		q := &zkjobstest.Queue{}
		return &zkjobstest.Rig{Rebuilder: q, SetJobs: q.SetJobs, Put: q.Put, Lock: q.Lock, Consume: q.Consume, Entries: q.Entries}
	})
}
