package restore_test

import (
	"errors"
	"net/http"
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

// Elasticsearch takes a pattern for a name, and answers with what it matches.
func TestANameThatIsAPatternChoosesNothing(t *testing.T) {
	one := answersAll{http.StatusOK, `{"snapshots":[{"snapshot":"one","uuid":"u","state":"SUCCESS","shards":{"total":0,"failed":0,"successful":0}}]}`}
	repo, err := restore.New(one, "r", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Choose(t.Context(), restore.Selector{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"o*", "one,two", "_all", "-two", "one?verbose=false"} {
		sel := restore.Selector{Name: name}
		if s, err := repo.Choose(t.Context(), sel); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("Choose %s: %+v, %v, want ErrInvalid", name, s, err)
		}
		if _, err := repo.Drill(t.Context(), restore.DrillOptions{Select: sel}); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("Drill of %s: %v, want ErrInvalid", name, err)
		}
		if _, err := repo.Plan(t.Context(), restore.Request{Snapshot: name}); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("Plan of %s: %v, want ErrInvalid", name, err)
		}
	}
}
