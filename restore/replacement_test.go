package restore

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// The journal knows the clone by the beginning of its UUID, and its mark tells it until then.
func TestAReplacementIsJudgedByWhatIsInItsPlaceAndBesideIt(t *testing.T) {
	p := &Plan{ID: "id", Snapshot: Snapshot{Name: "s"}, Request: Request{Replace: true}}
	planned := PlannedIndex{Name: "i", Target: "i", Shards: 2, Replaces: "original"}
	snap, disk := es.Source{Type: "SNAPSHOT", Repository: "r", Snapshot: "s"}, es.Source{Type: existingStore}
	started, lost := es.Primary{State: "STARTED"}, es.Primary{State: "UNASSIGNED", Source: disk, Status: "no_valid_shard_copy"}
	stuck, starts := es.Primary{State: "UNASSIGNED", Source: disk, Status: "deciders_no", Attempts: 5}, es.Primary{State: "INITIALIZING"}
	index := func(uuid string, primaries ...es.Primary) *es.IndexState {
		s := &es.IndexState{UUID: uuid, Open: true, Shards: len(primaries), Replicas: "1", Primaries: map[int]es.Primary{}}
		for i, x := range primaries {
			s.Primaries[i] = x
		}
		return s
	}
	closed, marked := index("clone-uuid", started, started), index("clone-uuid", started, started)
	closed.Open, marked.Aliases = false, []string{p.mark(planned)}
	for name, tt := range map[string]struct {
		there, next *es.IndexState
		known       string
		want        standing
		cloned      bool
		pending     int
	}{
		"nothing is restored":                          {index("original", started, started), nil, "", absent, false, 0},
		"it is being restored":                         {index("original", started, started), index("next-uuid", started, es.Primary{State: "INITIALIZING", Source: snap}), "", underway, false, 0},
		"it is restored beside":                        {index("original", started, started), index("next-uuid", started, started), "", beside, false, 0},
		"it is restored beside, the original is gone":  {nil, index("next-uuid", started, started), "", beside, false, 0},
		"its clone is in the journal":                  {index("clone-uuid", started, started), nil, "clone-uu", complete, true, 0},
		"its clone is marked":                          {marked, index("next-uuid", started, started), "", complete, true, 0},
		"somebody else's is there":                     {index("clone-uuid", started, started), index("next-uuid", started, started), "other-uu", beside, false, 0},
		"its clone starts":                             {index("clone-uuid", started, starts), nil, "clone-uu", underway, true, 1},
		"its clone starts from the first":              {index("clone-uuid", starts, started), nil, "clone-uu", underway, true, 0},
		"its clone is closed":                          {closed, nil, "clone-uu", foreign, true, 0},
		"its clone has lost a primary":                 {index("clone-uuid", started, lost), nil, "clone-uu", foreign, true, 1},
		"its clone has lost one, and can be made anew": {index("clone-uuid", started, lost), index("next-uuid", started, started), "clone-uu", beside, true, 1},
		"its clone cannot be started":                  {index("clone-uuid", started, stuck), index("next-uuid", started, started), "clone-uu", foreign, true, 1},
	} {
		states := map[string]es.IndexState{}
		if tt.there != nil {
			states["i"] = *tt.there
		}
		if tt.next != nil {
			states[p.working(planned)] = *tt.next
		}
		recoveries := map[string][]es.Recovery{p.working(planned): {{Shard: 0, Source: snap}, {Shard: 1, Source: snap}}}
		x := inspected{planned: planned, shards: 2}
		x.judgeReplacement(p, states, recoveries, nil, tt.known, "r")
		if x.standing != tt.want || x.cloned != tt.cloned || x.leftover != (tt.next != nil) || x.marked != (tt.there == marked) || tt.cloned && x.pending != tt.pending {
			t.Errorf("%s: standing %d, cloned %t, leftover %t, marked %t, pending %d, want %d, %t and %d", name, x.standing, x.cloned, x.leftover, x.marked, x.pending, tt.want, tt.cloned, tt.pending)
		}
	}
}

// What is deleted is what the plan has seen, and nothing else.
func TestOnlyTheIndexThatThePlanHasSeenIsReplaced(t *testing.T) {
	for name, tt := range map[string]struct {
		request Request
		stream  string
		x       inspected
		want    error
	}{
		"as seen":                         {Request{Replace: true}, "", inspected{occupant: "seen"}, nil},
		"gone meanwhile":                  {Request{Replace: true}, "", inspected{}, nil},
		"another one":                     {Request{Replace: true}, "", inspected{occupant: "other"}, nuvlaops.ErrConflict},
		"its own clone":                   {Request{Replace: true}, "", inspected{occupant: "clone", cloned: true}, nil},
		"read-only by now":                {Request{Replace: true}, "", inspected{occupant: "seen", readOnly: true}, nuvlaops.ErrConflict},
		"of a data stream":                {Request{Replace: true}, "ts", inspected{occupant: "other"}, nil},
		"of a plan that replaces nothing": {Request{}, "", inspected{occupant: "other"}, nil},
	} {
		tt.x.planned = PlannedIndex{Name: "i", Target: "i", Stream: tt.stream, Replaces: "seen"}
		a := &application{plan: &Plan{Request: tt.request, Indices: []PlannedIndex{tt.x.planned}}, journal: &journal{}}
		if err := a.untouched(world{tt.x}); !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	seen := func(replaces ...string) []PlannedIndex {
		var out []PlannedIndex
		for _, uuid := range replaces {
			out = append(out, PlannedIndex{Replaces: uuid})
		}
		return out
	}
	for name, tt := range map[string]struct{ was, now, want []string }{
		"the same":               {[]string{"aaaaaaaa-1", "bbbbbbbb-2"}, []string{"aaaaaaaa-1", "bbbbbbbb-2"}, []string{"aaaaaaaa-1", "bbbbbbbb-2"}},
		"another one":            {[]string{"aaaaaaaa-1", "bbbbbbbb-2"}, []string{"aaaaaaaa-1", "cccccccc-3"}, []string{"aaaaaaaa-1", ""}},
		"one that was not there": {[]string{"", "bbbbbbbb-2"}, []string{"aaaaaaaa-1", "bbbbbbbb-2"}, []string{"", "bbbbbbbb-2"}},
		"none was replaced":      {nil, []string{"aaaaaaaa-1"}, []string{"aaaaaaaa-1"}},
	} {
		p := &Plan{Indices: seen(tt.now...)}
		p.seenBy(&journal{Replaced: beginnings(tt.was)})
		if diff := cmp.Diff(seen(tt.want...), p.Indices); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What stands in a journal is kept across calls, of each index the beginning of its UUID.
func TestAJournalKeepsWhatItKnowsOfEachIndex(t *testing.T) {
	j := &journal{}
	steps := []struct {
		uuids []string
		news  bool
		want  []string
	}{
		{[]string{"", ""}, false, []string{"", ""}},
		{[]string{expected, "bbbbbbbbbb"}, true, []string{"", "bbbbbbbb"}},
		{[]string{"", ""}, false, []string{"", "bbbbbbbb"}},
		{[]string{"aaaaaaaaaa", ""}, true, []string{"aaaaaaaa", "bbbbbbbb"}},
		{[]string{"aaaaaaaaaa", "bbbbbbbbbb"}, false, []string{"aaaaaaaa", "bbbbbbbb"}},
		{[]string{"aaaaaaaaaa", "cccccccccc"}, true, []string{"aaaaaaaa", "cccccccc"}},
	}
	for i, s := range steps {
		if got := j.remember(s.uuids); got != s.news || j.expectsAny() != (i == 1 || i == 2) || j.expects(0) != (i == 1 || i == 2) {
			t.Errorf("step %d: news %t, want %t; expects %t", i, got, s.news, j.expectsAny())
		}
		if diff := cmp.Diff(s.want, []string{j.uuid(0), j.uuid(1)}); diff != "" || j.uuid(2) != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
	if among(j.Indices, "cccccccc-more") != "cccccccc" || among(j.Indices, "dddddddd") != "" || among("", "") != "" {
		t.Errorf("%q has others than it should", j.Indices)
	}
	limit := ""
	for want, j := range map[bool][]*journal{true: {{Limit: &limit}, {ILM: true}}, false: {{}, {Started: time.Now(), Swapping: true}}} {
		for _, j := range j {
			if j.pending() != want {
				t.Errorf("%+v: something is to be put back: %t", j, j.pending())
			}
		}
	}
}
