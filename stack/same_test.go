package stack

import (
	"errors"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/volume"

	"github.com/nuvla/nuvlaops"
)

// A name may lead to another volume by now, of another node or another time.
func TestOnlyTheVeryVolumesOfThePlanAreRemoved(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	data, anew := Volume{Name: "db_data", NodeID: "n1", Created: at}, Volume{Name: "db_data", NodeID: "n1", Created: at.Add(time.Second)}
	far, other := Volume{Name: "db_data", NodeID: "n2", Created: at}, Volume{Name: "db_other", NodeID: "n1", Created: at}
	dark := func(id string) []darkNode { return []darkNode{{swarm.Node{ID: id}, "it does not answer"}} }
	for name, c := range map[string]struct {
		plan, now, own []Volume
		dark           []darkNode
		want           error
	}{
		"as planned":                             {[]Volume{data, far}, []Volume{data, far}, []Volume{data, far}, nil, nil},
		"all gone":                               {[]Volume{data, far}, nil, nil, nil, nil},
		"the stack's, and never meant":           {[]Volume{data}, []Volume{data}, []Volume{data, other}, nil, nil},
		"made anew":                              {[]Volume{data}, []Volume{anew}, []Volume{anew}, nil, nuvlaops.ErrConflict},
		"on another node":                        {[]Volume{data}, []Volume{far}, []Volume{far}, nil, nuvlaops.ErrConflict},
		"of another name":                        {[]Volume{data}, []Volume{data, other}, []Volume{data, other}, nil, nuvlaops.ErrConflict},
		"there, and not meant any more":          {[]Volume{data, other}, []Volume{data}, []Volume{data, other}, nil, nuvlaops.ErrConflict},
		"made anew, and not meant any more":      {[]Volume{data, anew}, []Volume{data}, []Volume{data, other}, nil, nil},
		"on a node that is dark now":             {[]Volume{data, far}, []Volume{data}, []Volume{data}, dark("n2"), nuvlaops.ErrRefused},
		"on none of the nodes that are dark":     {[]Volume{data}, []Volume{data}, []Volume{data}, dark("n2"), nil},
		"gone from a node that can be looked at": {[]Volume{data, far}, []Volume{data}, []Volume{data}, dark("n3"), nil},
	} {
		plan, now, w := &WipePlan{Volumes: c.plan}, &WipePlan{Volumes: c.now}, &world{own: c.own}
		err := errors.Join(sameVolumes(plan, now), w.allMeant(plan, now), (&fleet{dark: c.dark}).allReached(plan))
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		there volume.Volume
		want  bool
	}{
		"the very one":     {volume.Volume{Labels: map[string]string{labelStack: "db"}, CreatedAt: at.Format(time.RFC3339)}, true},
		"made anew":        {volume.Volume{Labels: map[string]string{labelStack: "db"}, CreatedAt: anew.Created.Format(time.RFC3339)}, false},
		"of another stack": {volume.Volume{Labels: map[string]string{labelStack: "other"}, CreatedAt: at.Format(time.RFC3339)}, false},
		"of nobody":        {volume.Volume{CreatedAt: at.Format(time.RFC3339)}, false},
	} {
		if got := data.is(&c.there, "db"); got != c.want {
			t.Errorf("%s: taken for the one of the plan: %t", name, got)
		}
	}
}
