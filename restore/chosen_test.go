package restore_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// shelf answers as a repository does that has these snapshots, the newest first: of states and ages that no test can wait for.
type shelf []shelved

type shelved struct {
	name, state string
	age         time.Duration
	failed      int
	bytes       int64
}

func (s shelf) Perform(req *http.Request) (*http.Response, error) {
	all := []map[string]any{}
	asked, q := path.Base(req.URL.Path), req.URL.Query()
	from, _ := strconv.ParseInt(q.Get("from_sort_value"), 10, 64)
	for _, x := range s {
		start := tonight.Add(-x.age).UnixMilli()
		outside := from > 0 && (q.Get("order") == "asc" && start < from || q.Get("order") == "desc" && start > from)
		if !outside && (asked == "*" || slices.Contains(strings.Split(asked, ","), x.name)) {
			all = append(all, map[string]any{"snapshot": x.name, "uuid": "uuid-" + x.name, "state": x.state, "start_time_in_millis": start, "indices": []string{"a"},
				"shards": map[string]int{"total": 3, "successful": 3 - x.failed, "failed": x.failed}, "index_details": map[string]any{"a": map[string]any{"shard_count": 3, "size_in_bytes": x.bytes}}})
		}
	}
	if q.Get("order") == "asc" {
		slices.Reverse(all)
	}
	body, err := json.Marshal(map[string]any{"snapshots": all})
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}}, Body: io.NopCloser(strings.NewReader(string(body)))}, err
}

var tonight = time.Date(2026, 3, 9, 2, 0, 0, 0, time.UTC)

const aDay = 24 * time.Hour

func TestTheLatestOfThoseThatAreWholeIsChosen(t *testing.T) {
	s := shelf{{"running", "IN_PROGRESS", 0, 0, 0}, {"lacking", "SUCCESS", time.Hour, 1, 9}, {"partial", "PARTIAL", 2 * time.Hour, 1, 9},
		{"whole", "SUCCESS", 3 * time.Hour, 0, 9}, {"failed", "FAILED", 4 * time.Hour, 3, 0}, {"old", "SUCCESS", 5 * time.Hour, 0, 9}}
	repo, err := restore.New(s, "r", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sel  restore.Selector
		want string
		err  error
		says string
	}{
		{restore.Selector{}, "whole", nil, ""},
		{restore.Selector{Before: tonight.Add(-3 * time.Hour)}, "whole", nil, ""},
		{restore.Selector{Before: tonight.Add(-3*time.Hour - 1)}, "old", nil, ""},
		{restore.Selector{Among: []string{"partial", "old"}}, "old", nil, ""},
		{restore.Selector{AllowPartial: true}, "whole", nil, ""}, // of those that are named alone
		{restore.Selector{Before: tonight.Add(-5*time.Hour - 1)}, "", nuvlaops.ErrNotFound, "0 are not complete, 6 began later; the newest: running (began 2026-03-09T02:00:00Z), lacking (began "},
		{restore.Selector{Among: []string{"partial", "running"}}, "", nuvlaops.ErrNotFound,
			"2 are not complete, 0 began later, 4 are not among the 2 to choose from; the newest: running (IN_PROGRESS), lacking (not among those to choose from), partial (PARTIAL)"},
		{restore.Selector{Name: "whole"}, "whole", nil, ""},
		{restore.Selector{Name: "whole", Before: tonight.Add(-3 * time.Hour), Among: []string{"whole"}}, "whole", nil, ""},
		{restore.Selector{Name: "whole", Before: tonight.Add(-4 * time.Hour)}, "", nuvlaops.ErrNotFound, "later than asked for"},
		{restore.Selector{Name: "whole", Among: []string{"old"}}, "", nuvlaops.ErrNotFound, "not among the 1"},
		{restore.Selector{Name: "running"}, "", nuvlaops.ErrBusy, "wait for its end"},
		{restore.Selector{Name: "running", AllowPartial: true}, "", nuvlaops.ErrBusy, ""},
		{restore.Selector{Name: "partial"}, "", nuvlaops.ErrPartial, "PARTIAL, 2 of 3 shards"},
		{restore.Selector{Name: "partial", AllowPartial: true}, "partial", nil, ""},
		{restore.Selector{Name: "lacking"}, "", nuvlaops.ErrPartial, ""},
		{restore.Selector{Name: "failed", AllowPartial: true}, "", nuvlaops.ErrPartial, ""},
	} {
		got, err := repo.Choose(t.Context(), c.sel)
		if !errors.Is(err, c.err) || c.err == nil && (err != nil || got.Name != c.want) || c.err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q or %v that says %q", c.sel, err, c.want, c.err, c.says)
		}
	}
	if s, err := repo.Choose(t.Context(), restore.Selector{}); err != nil || s.Larger != nil {
		t.Errorf("it tells of %v, which is no larger, %v", s.Larger, err)
	}
}

// What was more than a week ago may have been removed on purpose.
func TestALargerSnapshotCountsWithinAWeek(t *testing.T) {
	for name, c := range map[string]struct {
		before shelf
		want   string
	}{
		"twice as large":              {shelf{{"a", "SUCCESS", aDay, 0, 20}}, ""},
		"more than twice":             {shelf{{"a", "SUCCESS", aDay, 0, 21}}, "a"},
		"more than twice, not whole":  {shelf{{"a", "PARTIAL", aDay, 1, 90}}, ""},
		"a week before":               {shelf{{"a", "SUCCESS", 7 * aDay, 0, 21}}, "a"},
		"more than a week before":     {shelf{{"a", "SUCCESS", 7*aDay + time.Second, 0, 21}}, ""},
		"the newest of the large":     {shelf{{"little", "SUCCESS", aDay, 0, 11}, {"a", "SUCCESS", 2 * aDay, 0, 80}, {"b", "SUCCESS", 3 * aDay, 0, 100}}, "a"},
		"one that is not half of it":  {shelf{{"little", "SUCCESS", aDay, 0, 50}, {"b", "SUCCESS", 3 * aDay, 0, 100}}, "b"},
		"the largest is too long ago": {shelf{{"a", "SUCCESS", aDay, 0, 20}, {"b", "SUCCESS", 8 * aDay, 0, 100}}, ""},
	} {
		repo, err := restore.New(append(shelf{{"latest", "SUCCESS", 0, 0, 10}}, c.before...), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := repo.Choose(t.Context(), restore.Selector{})
		if err != nil {
			t.Fatal(err)
		}
		var want *restore.Larger
		for _, x := range c.before {
			if x.name == c.want {
				want = &restore.Larger{Name: x.name, Start: tonight.Add(-x.age), Bytes: x.bytes, LatestBytes: 10}
			}
		}
		if diff := cmp.Diff(want, s.Larger); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
