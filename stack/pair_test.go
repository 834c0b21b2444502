package stack_test

import (
	"testing"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

// pair is a swarm of two engines of our own, the worker labelled as the node of the databases. Nothing of the machine's own
// engine is touched.
type pair struct{ *testenv.OwnPair }

func newPair(t testing.TB) *pair {
	t.Helper()
	p := &pair{testenv.NewOwnPair(t, (*testenv.OwnEngine).Start)}
	must(t, p.LabelWorker(t, "type", "worker-db"))
	return p
}
