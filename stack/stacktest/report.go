package stacktest

import (
	"strings"

	"github.com/nuvla/nuvlaops"
)

// reporter makes the Progress of one call.
type reporter struct {
	to func(nuvlaops.Progress)
	p  nuvlaops.Progress
}

func newReporter(op, stack, phase string, groups [][]string, to func(nuvlaops.Progress)) *reporter {
	r := &reporter{to: to, p: nuvlaops.Progress{Op: op, Phase: phase, Resource: stack, Unit: "services"}}
	for _, g := range groups {
		r.p.Total += int64(len(g))
	}
	return r
}

func (r *reporter) done(services []string) {
	if r.to == nil || len(services) == 0 {
		return
	}
	r.p.Done += int64(len(services))
	r.p.Message = strings.Join(services, ", ")
	r.to(r.p)
}
