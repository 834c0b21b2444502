package restore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// At night the Elasticsearch that showed the snapshots may be gone again with the refusal: it says itself what there was.
func TestARefusalNamesTheNewestSnapshots(t *testing.T) {
	at(t, places[:1], func(t *testing.T, p place) {
		b := p.bench(t)
		b.fill(b.index("job"), 1, 3, 10)
		b.snapshot("one")
		b.snapshot("two")
		for want, sel := range map[string]restore.Selector{
			"the newest that are there: two (SUCCESS), one (SUCCESS)": {Name: "tow"},
			"2 began later; the newest: two (began 2":                 {Before: time.Now().Add(-time.Hour)},
			"two (not among those to choose from)":                    {Among: []string{"x"}},
		} {
			if _, err := b.repo.Choose(t.Context(), sel); !errors.Is(err, nuvlaops.ErrNotFound) || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: got %v, want ErrNotFound and %q", sel, err, want)
			}
		}
	})
}
