package stack_test

import (
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

func TestNoPlanIsRefused(t *testing.T) {
	s, err := stack.NewSwarm(nil)
	must(t, err)
	defer s.Close()
	mustBe(t, s.KeepVolumes(t.Context(), nil, stack.KeepOptions{Suffix: "-kept"}), nuvlaops.ErrInvalid)
	mustBe(t, s.Wipe(t.Context(), nil, stack.Unguarded), nuvlaops.ErrInvalid)
}

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

func TestNamesAndPortsThatAreNoneAreInvalid(t *testing.T) {
	s, err := stack.NewSwarm(nil)
	must(t, err)
	defer s.Close()
	for _, port := range []int{-1, 0, 65536} {
		f, err := s.Forward("a", "b", port)
		if err == nil {
			must(t, f.Close())
		}
		mustBe(t, err, nuvlaops.ErrInvalid)
	}
	_, err = s.ClaimedBy(t.Context(), "")
	mustBe(t, err, nuvlaops.ErrInvalid)
}
