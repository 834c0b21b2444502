package stack

import (
	"strings"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops"
)

// reporter makes Progress of one call, serially.
type reporter struct {
	mu    sync.Mutex
	to    func(nuvlaops.Progress)
	p     nuvlaops.Progress
	began time.Time
	now   func() time.Time
}

func newReporter(op, stack, phase string, groups [][]string, to func(nuvlaops.Progress), now func() time.Time) *reporter {
	total := 0
	for _, g := range groups {
		total += len(g)
	}
	return &reporter{to: to, began: now(), now: now,
		p: nuvlaops.Progress{Op: op, Phase: phase, Resource: stack, Total: int64(total), Unit: "services"}}
}

// say reports a remark, about services if there are any.
func (r *reporter) say(message string, services []string) {
	if len(services) > 0 {
		message += ": " + strings.Join(services, ", ")
	}
	r.send(0, message)
}

// done counts services and reports them.
func (r *reporter) done(services []string) {
	r.send(int64(len(services)), strings.Join(services, ", "))
}

func (r *reporter) send(n int64, message string) {
	if r.to == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n == 0 && message == r.p.Message {
		return
	}
	r.p.Done += n
	r.p.Message, r.p.Elapsed = message, r.now().Sub(r.began)
	r.to(r.p)
}
