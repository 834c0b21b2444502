package stack_test

import (
	"testing"

	"github.com/nuvla/nuvlaops/stack"
	"github.com/nuvla/nuvlaops/stack/stacktest"
)

func TestSwarmKeepsTheContract(t *testing.T) {
	t.Parallel()
	stacktest.Conformance(t, func(t *testing.T) stacktest.World {
		b := newBench(t)
		t.Cleanup(func() { b.removeStack(b.stack + "2") })
		return stacktest.World{Controller: b.Swarm, Stack: b.stack, Deploy: stack.DeployOptions{Files: []string{b.file(dbStack)}},
			Starts: func(t *testing.T, volume string) int { return b.marks(volume) }}
	})
}
