package stack_test

import (
	"testing"

	"github.com/nuvla/nuvlaops/stack"
)

func TestCloseMayBeCalledAgain(t *testing.T) {
	s, err := stack.NewSwarm(nil)
	must(t, err)
	f, err := s.Forward("a", "b", 1)
	must(t, err)
	for range 2 {
		must(t, f.Close())
		must(t, s.Close())
	}
}
