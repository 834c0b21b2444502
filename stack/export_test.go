package stack

import (
	"context"
	"time"
)

// Watch is a wait that follows no engine: the tests poke it.
type Watch struct{ *watch }

func NewWatch(remote bool) Watch {
	return Watch{&watch{wake: make(chan struct{}, 1), remote: remote, cancel: func() {}}}
}

func (w Watch) Event() { w.poke() }

func (w Watch) Until(ctx context.Context, look func(context.Context) (bool, string, error)) error {
	return w.until(ctx, look)
}

// AnswerWithin is how long the engines of other nodes may take to answer.
func (s *Swarm) AnswerWithin(d time.Duration) { s.answer = d }

func Assess(s Service, now time.Time) Service {
	s.assess(now)
	return s
}

var (
	WriteLines = writeLines
	JoinLines  = joinLines
)
