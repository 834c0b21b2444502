package stack_test

import (
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/stack"
	"github.com/nuvla/nuvlaops/stack/stacktest"
)

// needsDB is dbStack with the label from which an order is derived.
var needsDB = strings.Replace(dbStack, "replicas: 2, labels: %OWNER%", "replicas: 2, labels: {%OWNED%, org.nuvla.ops.needs: db}", 1)

func TestSwarmKeepsTheContract(t *testing.T) {
	t.Parallel()
	stacktest.Conformance(t, func(t *testing.T) stacktest.World {
		b := newBench(t)
		t.Cleanup(func() { b.removeStack(b.stack + "2") })
		return stacktest.World{Controller: b.Swarm, Stack: b.stack, Deploy: stack.DeployOptions{Files: []string{b.file(needsDB)}},
			Starts: func(t *testing.T, volume string) int { return b.marks(volume) }}
	})
}
