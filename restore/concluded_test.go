package restore

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
)

// What is written here is what somebody at night believes.
func TestTheReportSaysWhatHoldsAndWhatDoesNot(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	var w world
	p, counts := &Plan{Repository: "r", Snapshot: Snapshot{Name: "s"}, Request: Request{}.withDefaults()}, []string{}
	index := func(name string, expected, counted *int64, change func(*inspected)) {
		x := inspected{planned: PlannedIndex{Name: name, Target: name, Shards: 1, Documents: expected}, standing: complete, shards: 1, proven: 1}
		if change != nil {
			change(&x)
		}
		p.Indices, w = append(p.Indices, x.planned), append(w, x)
		if counted != nil {
			counts = append(counts, fmt.Sprintf(`%q:{"uuid":"u","primaries":{"docs":{"count":%d}}}`, name, *counted))
		}
	}
	index("exact", n(10), n(10), nil)
	index("exact2", n(0), n(0), func(x *inspected) { x.later = true })
	index("within", n(10), n(7), nil)
	index("near", n(100), n(99), func(x *inspected) { x.cloned = true })
	index("grown", n(10), n(20), nil)
	index("unknown", nil, n(3), nil)
	index("fewer", n(100), n(50), nil)
	index("more-than-given", n(10), n(20), nil)
	index("emptied", n(5), n(0), nil)
	index("uncounted", n(1), nil, nil)
	index("broken", n(1), nil, func(x *inspected) {
		x.standing, x.proven, x.failures = broken, 0, []Failure{{Index: "broken", Shard: 0, Reason: "a file is lost"}}
	})
	index("absent", n(1), nil, func(x *inspected) { x.standing, x.proven = absent, 0 })
	index("removed", n(1), nil, func(x *inspected) { x.standing, x.shards, x.proven = removed, 0, 0 })
	missed := "/_cluster/health/fewer,more-than-given,emptied,uncounted"
	r := says{"/_stats/docs": `{"_shards":{"total":10,"successful":10,"failed":0},"indices":{` + strings.Join(counts, ",") + `}}`, missed: `{"indices":{}}`,
		"/_count": `{"count":4,"_shards":{"total":1,"successful":1,"failed":0}}`}
	what := verification{restored: true, VerifyOptions: VerifyOptions{
		Documents: map[string]DocumentRange{"within": {Min: 5, Max: 8}, "more-than-given": {Min: 10, Max: 10}},
		Queries: []Query{{Name: "good", Index: "exact", Min: 4, Max: n(4)}, {Name: "few", Index: "exact", Min: 5}, {Name: "many", Index: "exact", Max: n(3)},
			{Name: "at least", Index: "exact", Min: 1}, {Name: "of what is lost", Index: "*", Min: 1}},
	}}
	report := p.report(time.Now())
	err := r.repo(t).conclude(t.Context(), p, w, report, what)
	if !errors.Is(err, nuvlaops.ErrVerification) || !strings.Contains(err.Error(), "a file is lost (and 7 more failures)") || report.OK() {
		t.Errorf("%v, OK %t", err, report.OK())
	}
	got := map[string][]string{"verified": report.Verified, "not verified": report.NotVerified}
	for _, f := range report.Failures {
		got["failed"] = append(got["failed"], f.String())
	}
	want := map[string][]string{
		"verified": {
			"the primaries of 8 indices are started and were recovered from r/s",
			"1 index cloned from what was recovered from r/s beside what is replaced; all primaries are started",
			"the primaries of 1 index are started, from a disk or from another copy since a node was restarted or lost, or a shard was moved; their UUIDs are those that the restore gave them",
			"the documents of 2 indices are exactly as many as in the snapshot's manifest",
			"the documents of 1 index are as many as before the snapshot, as after it, or in between",
			"the documents of 1 index are nearly as many as in the snapshot's manifest; they may have been written to meanwhile",
			"the documents of 1 index are more than in the snapshot's manifest, which was counted before it; they were added meanwhile",
			"query good finds 4 documents in exact, wanted exactly 4",
			"query at least finds 4 documents in exact, wanted at least 1",
		},
		"not verified": {
			"1 index of data streams were proven by an earlier call, and have been deleted since, as ILM does by age: removed",
			"the documents of 1 index: the snapshot's manifest does not have them",
			"the files of the shards were not read again: Elasticsearch compared each with its checksum while it copied it",
			"query of what is lost was not asked: broken is not proven",
			"replicas are not waited for",
		},
		"failed": {
			"broken[0]: a file is lost",
			"absent: the index is not there",
			"fewer: 50 documents where the snapshot's manifest has 100",
			"more-than-given: 20 documents where the snapshot's manifest has 10",
			"emptied: 0 documents where the snapshot's manifest has 5",
			"uncounted: its documents could not be counted",
			"exact: query few finds 4 documents in exact, wanted at least 5",
			"exact: query many finds 4 documents in exact, wanted 0 to 3",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if report.Documents != 209 || report.Shards != 12 || report.Proven != 10 {
		t.Errorf("%d documents, %d of %d shards proven", report.Documents, report.Proven, report.Shards)
	}
	within, err := json.Marshal(report.Indices[2])
	if err != nil || string(within) != `{"name":"within","target":"within","state":"proven","shards":1,"proven":1,"documents":7,"expected":5,"expected_max":8}` {
		t.Errorf("%s, %v", within, err)
	}
	r[missed] = `{"indices":{"fewer":{"status":"red"},"emptied":{"status":"yellow"}}}`
	var e *nuvlaops.Error
	if err := r.repo(t).conclude(t.Context(), p, w, p.report(time.Now()), what); !errors.As(err, &e) || e.Resource != "fewer" || !strings.Contains(e.Reason, "has lost a primary before its documents were counted") {
		t.Errorf("a node was lost before the count: %v", err)
	}
}
