package restore

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// What replaces others is in two places for a moment, and the journal alone says of what it is: another restore would write over it.
func TestARestoreThatPutsReplacementsIntoTheirPlacesIsFinishedFirst(t *testing.T) {
	limit := ""
	for name, c := range map[string]struct {
		journal *journal
		want    []string
		err     error // of Apply
	}{
		"no journal":                             {nil, []string{}, nil},
		"of another plan that has ended":         {&journal{Plan: "other"}, []string{}, nil},
		"of another plan, with a limit raised":   {&journal{Plan: "other", Limit: &limit}, []string{"warning restore_interrupted"}, nil},
		"of another plan, with ILM stopped":      {&journal{Plan: "other", ILM: true}, []string{"warning restore_interrupted"}, nil},
		"of another plan, in the middle of that": {&journal{Plan: "other", Swapping: true, ILM: true}, []string{"error restore_interrupted"}, nuvlaops.ErrConflict},
		"of this plan, in the middle of that":    {&journal{Plan: "this", Swapping: true}, []string{}, nil},
	} {
		settings := es.ClusterSettings{}
		answer := `{}`
		if c.journal != nil {
			text, err := c.journal.text()
			if err != nil {
				t.Fatal(err)
			}
			quoted, _ := json.Marshal(text)
			settings.Persistent, answer = map[string]string{journalSetting: text}, `{"persistent":{"`+journalSetting+`":`+string(quoted)+`}}`
		}
		r := says{"/_cluster/settings": answer}.repo(t)
		p := &Plan{ID: "this"}
		if err := r.findJournal(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, p.found()); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", name, diff)
		}
		a := &application{Repo: r, plan: p}
		if _, err := a.takeUp(t.Context(), &before{settings: settings}); !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: Apply goes on with %v, want %v", name, err, c.err)
		}
	}
}

// A shard whose files do not hold is not started where the index asks for the comparison, and nowhere else.
func TestChecksumsAreVerifiedWhereTheIndexAsksForThem(t *testing.T) {
	w := world{{planned: PlannedIndex{Target: "a"}, standing: complete}, {planned: PlannedIndex{Target: "b"}, standing: complete}, {planned: PlannedIndex{Target: "c"}, standing: complete}, {planned: PlannedIndex{Target: "d"}, standing: broken}}
	setting := func(value string) string { return `{"settings":{"index.shard.check_on_startup":"` + value + `"}}` }
	r := says{"/a,b,c/_settings/index.shard.check_on_startup": `{"a":` + setting("checksum") + `,"b":` + setting("true") + `,"c":` + setting("false") + `}`}.repo(t)
	for _, checks := range []bool{true, false} {
		var report Report
		if err := r.describeChecks(t.Context(), &Plan{Request: Request{Checksums: checks}}, w, &report); err != nil {
			t.Fatal(err)
		}
		verified, not := strings.Join(report.Verified, "\n"), strings.Join(report.NotVerified, "\n")
		if checks != strings.Contains(verified, "the files of 2 indices were compared") || checks != strings.Contains(not, "the Lucene checksums of 1 index") || checks == strings.Contains(not, "were not read again") {
			t.Errorf("asked for: %t, verified %q, not verified %q", checks, verified, not)
		}
	}
}

// What a call of this plan has begun is taken up. What anybody else has made or restores there is not, by whatever snapshot.
func TestAPlanTakesUpWhatItHasBegunItselfAndNothingElse(t *testing.T) {
	const metadata = `"metadata":{"indices":{"a":{"state":"open","aliases":[],"settings":{"index":{"uuid":"uuid-of-a","number_of_shards":"1","number_of_replicas":"0"}}}}}`
	const routing = `"routing_table":{"indices":{"a":{"shards":{"0":[{"state":"INITIALIZING","primary":true,"shard":0,"recovery_source":{"type":"SNAPSHOT","repository":"r","snapshot":"s"}}]}}}}`
	const running = `"restore":{"snapshots":[{"repository":"r","snapshot":"s","shards":[{"index":{"index_name":"a","index_uuid":"uuid-of-a"},"shard":0,"state":"STARTED"}]}]}`
	const none = `"metadata":{"indices":{}},"routing_table":{"indices":{}},"restore":{"snapshots":[]}`
	for name, c := range map[string]struct {
		state, journal string
		replace        bool
		want           []string
	}{
		"nothing is there":                        {none, "this", false, []string{}},
		"begun by an earlier call":                {metadata + "," + routing + "," + running, "this", false, []string{"info restore_interrupted"}},
		"begun by another plan":                   {metadata + "," + routing + "," + running, "other", false, []string{"error index_exists_open"}},
		"begun by another tool":                   {metadata + "," + routing + "," + running, "", false, []string{"error index_exists_open"}},
		"to be replaced, whoever is restoring it": {metadata + "," + routing + "," + running, "", true, []string{}},
	} {
		p := &Plan{ID: "this", Repository: "r", Snapshot: Snapshot{Name: "s"}, Request: Request{Replace: c.replace}, Indices: []PlannedIndex{{Name: "a", Target: "a", Shards: 1}}}
		settings := `{}`
		if c.journal != "" {
			text, err := (&journal{Plan: c.journal, Indices: beginnings([]string{"uuid-of-a"})}).text()
			quoted, qerr := json.Marshal(text)
			if err = errors.Join(err, qerr); err != nil {
				t.Fatal(err)
			}
			settings = `{"persistent":{"` + journalSetting + `":` + string(quoted) + `}}`
		}
		r := says{"/_cluster/settings": settings, "customs/" + strings.Join(p.names(), ","): `{` + c.state + `}`}
		if err := r.repo(t).findIndices(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, p.found()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
