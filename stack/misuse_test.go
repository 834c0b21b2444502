package stack_test

import (
	"errors"
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

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestAnAnswerThatCannotBeWrittenIsAnErrorOfTheSDK(t *testing.T) {
	err := stack.AnswerJob(t.Context(), `{"do":"nothing"}`, full{})
	var e *nuvlaops.Error
	if !errors.As(err, &e) || e.Op != "stack.AnswerJob" {
		t.Errorf("got %#v, want an *Error of stack.AnswerJob", err)
	}
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
