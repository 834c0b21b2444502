package es_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/es"
)

// repository answers as 8.11.3 lists a repository of one snapshot an hour, the last one an hour ago: for each page it reads all
// the snapshots that are chosen by name and by from_sort_value.
type repository struct {
	snapshots int
	now       time.Time
	requests  int
	reads     int // of descriptions
	longest   int // line of a request
}

func (r *repository) Perform(req *http.Request) (*http.Response, error) {
	type snapshot struct {
		Name    string   `json:"snapshot"`
		Start   int64    `json:"start_time_in_millis"`
		Indices []string `json:"indices,omitempty"`
	}
	q := req.URL.Query()
	r.requests++
	r.longest = max(r.longest, len("GET "+req.URL.RequestURI()+" HTTP/1.1"))
	named := map[string]bool{}
	for name := range strings.SplitSeq(strings.TrimPrefix(req.URL.Path, "/_snapshot/r/"), ",") {
		named[name] = true
	}
	from, _ := strconv.ParseInt(q.Get("from_sort_value"), 10, 64)
	after, _ := strconv.ParseInt(q.Get("after"), 10, 64)
	desc := q.Get("order") == "desc"
	var all []snapshot
	for i := range r.snapshots {
		s := snapshot{Name: fmt.Sprintf("snapshot.of-a-usual-length-%06d", i), Start: r.now.Add(-time.Duration(r.snapshots-i) * time.Hour).UnixMilli()}
		if !named["*"] && !named[s.Name] || from != 0 && (desc && s.Start > from || !desc && s.Start < from) {
			continue
		}
		if r.reads++; q.Get("index_names") != "false" {
			s.Indices = []string{"nuvla-job"}
		}
		if after == 0 || desc && s.Start < after || !desc && s.Start > after {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b snapshot) int { return cmp.Compare(a.Start, b.Start) })
	if desc {
		slices.Reverse(all)
	}
	next := ""
	if size, _ := strconv.Atoi(q.Get("size")); size > 0 && size < len(all) {
		all = all[:size]
		next = fmt.Sprint(all[size-1].Start)
	}
	raw, err := json.Marshal(map[string]any{"snapshots": all, "next": next})
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(string(raw)))}, err
}

// list takes so many snapshots, all for 0, and says which.
func (r *repository) list(t *testing.T, take int, q es.SnapshotQuery) (names []string) {
	t.Helper()
	for s, err := range (&es.Conn{Client: r}).Snapshots(t.Context(), "r", q) {
		if err != nil {
			t.Fatal(err)
		}
		if s.Repository != "r" || (len(s.Indices) == 0) != q.WithoutIndices {
			t.Errorf("%+v", s)
		}
		if names = append(names, s.Name); len(names) == take {
			break
		}
	}
	return names
}

// A description is an object in a bucket far away.
func TestAListReadsEachSnapshotOnceHoweverManyThereAre(t *testing.T) {
	for name, test := range map[string]struct {
		q     es.SnapshotQuery
		reads int // of each snapshot
	}{
		"oldest first":     {es.SnapshotQuery{WithoutIndices: true}, 1},
		"newest first":     {es.SnapshotQuery{WithoutIndices: true, Descending: true}, 1},
		"with the indices": {es.SnapshotQuery{}, 2},
	} {
		for _, n := range []int{150, 1500, 6000} {
			r := &repository{snapshots: n, now: time.Now()}
			names := r.list(t, 0, test.q)
			if test.q.Descending {
				slices.Reverse(names)
			}
			if len(names) != n || !slices.IsSorted(names) {
				t.Errorf("%s: %d of %d snapshots, or not in their order", name, len(names), n)
			}
			if r.reads > test.reads*n || r.longest > 4096 {
				t.Errorf("%s: %d snapshots cost %d reads in %d requests, the longest line is of %d bytes", name, n, r.reads, r.requests, r.longest)
			}
		}
	}
}

func TestWhoTakesTheNewestSnapshotsReadsNoneOfYearsAgo(t *testing.T) {
	r := &repository{snapshots: 6000, now: time.Now()}
	got := r.list(t, 2, es.SnapshotQuery{WithoutIndices: true, Descending: true})
	want := []string{"snapshot.of-a-usual-length-005999", "snapshot.of-a-usual-length-005998"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r.reads > 200 || r.requests != 1 {
		t.Errorf("%d reads, %d requests", r.reads, r.requests)
	}
}

// The clock of this machine decides what is read first, and nothing else.
func TestTheNewestSnapshotsAreTheNewestWhateverTheClockSays(t *testing.T) {
	for name, now := range map[string]time.Time{"years ahead": time.Now().AddDate(-3, 0, 0), "years behind": time.Now().AddDate(3, 0, 0),
		"no backup for a week": time.Now().AddDate(0, 0, -7)} {
		for _, take := range []int{0, 1} {
			r := &repository{snapshots: 300, now: now}
			got := r.list(t, take, es.SnapshotQuery{WithoutIndices: true, Descending: true})
			if got[0] != "snapshot.of-a-usual-length-000299" || take == 0 && len(slices.Compact(got)) != 300 {
				t.Errorf("%s: %d snapshots, the first is %s", name, len(got), got[0])
			}
		}
	}
}
