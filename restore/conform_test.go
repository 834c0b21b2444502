package restore_test

import (
	"testing"

	"github.com/nuvla/nuvlaops/restore/restoretest"
)

func TestRealRestoresConform(t *testing.T) {
	at(t, places, func(t *testing.T, p place) {
		b := p.bench(t)
		b.fill(b.index("job"), 3, 25, 100)
		b.snapshot("one")
		b.fill(b.index("user"), 1, 7, 100)
		b.snapshot("two")
		restoretest.Conformance(t, func(t *testing.T) restoretest.Target {
			b.wipe()
			return restoretest.Target{Restorer: b.repo, Older: "one", Latest: "two", Patterns: b.patterns(),
				Documents: map[string]int64{b.index("job"): 25, b.index("user"): 7},
				Make:      func(t *testing.T, index string) { b.fill(index, 1, 3, 10) },
				Remove:    func(t *testing.T, index string) { b.do("DELETE", "/"+index, "") }}
		})
	})
}
