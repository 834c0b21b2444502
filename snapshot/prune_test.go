package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

// contested is a repository that is listed, and that changes right before a deletion, so many times.
type contested struct {
	*snapshottest.Fake
	times, lists int
}

func (c *contested) List(ctx context.Context, f snapshot.Filter) iter.Seq2[snapshot.Snapshot, error] {
	c.lists++
	return c.Fake.List(ctx, f)
}

func (c *contested) Delete(ctx context.Context, names ...string) error {
	if c.times--; c.times >= 0 {
		return &nuvlaops.Error{Reason: "the repository was changed", Err: nuvlaops.ErrConflict}
	}
	return c.Fake.Delete(ctx, names...)
}

// A list costs a read of each snapshot in the repository: one is made for each plan, and carried out as it is.
func TestACycleListsTheRepositoryOnceForEachOfThreePlansAtMost(t *testing.T) {
	for times, kind := range map[int]error{0: nil, 2: nil, 3: nuvlaops.ErrConflict, 1000: nuvlaops.ErrConflict} {
		repo := &contested{Fake: &snapshottest.Fake{Documents: map[string]int64{"nuvla-job": 1}}, times: times}
		if _, err := repo.Ensure(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}); err != nil {
			t.Fatal(err)
		}
		repo.Add(taken(day0), taken(day0.Add(time.Hour)))
		report, err := snapshot.Cycle(t.Context(), repo, snapshot.CycleOptions{Policy: &snapshot.Policy{Last: 1, MinComplete: 1}})
		if !errors.Is(err, kind) || (kind == nil) != (len(report.Removed) == 2) || repo.lists != min(times+1, 3) {
			t.Errorf("%d times: %v after %d lists, removed %v", times, err, repo.lists, report.Removed)
		}
	}
}

// halting deletes the first of what it is asked to delete, and fails.
type halting struct {
	*snapshottest.Fake
	err error
}

func (h *halting) Delete(ctx context.Context, names ...string) error {
	if err := h.Fake.Delete(ctx, names[0]); err != nil {
		return err
	}
	return h.err
}

func TestWhatIsGoneWhenADeletionFailsIsReported(t *testing.T) {
	broken := errors.New("the connection is gone")
	repo := &halting{Fake: &snapshottest.Fake{Documents: map[string]int64{"nuvla-job": 1}}, err: broken}
	if _, err := repo.Ensure(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}); err != nil {
		t.Fatal(err)
	}
	first := taken(day0)
	for hour := range 60 { // more than one request deletes
		repo.Add(taken(day0.Add(time.Duration(hour) * time.Hour)))
	}
	report, err := snapshot.Cycle(t.Context(), repo, snapshot.CycleOptions{Policy: &snapshot.Policy{Last: 1, MinComplete: 1}})
	if diff := cmp.Diff([]string{first.Name}, report.Removed); diff != "" || !errors.Is(err, broken) {
		t.Errorf("%v, removed: %s", err, diff)
	}
}

// Elasticsearch reads 4,096 bytes of the first line of a request.
func TestNoRequestIsLongerThanElasticsearchReads(t *testing.T) {
	for _, length := range []int{5, 60, 255} {
		var names, deleted []string
		requests := 0
		for i := range 120 {
			names = append(names, fmt.Sprintf("%0*d", length, i))
		}
		repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
			if line := len(r.Method+" HTTP/1.1") + len(r.URL.RequestURI()); line > 4096 {
				t.Errorf("a line of %d bytes", line)
			}
			if r.Method == http.MethodDelete {
				requests++
				deleted = append(deleted, strings.Split(strings.TrimPrefix(r.URL.Path, "/_snapshot/r/"), ",")...)
				return reply(200, `{"acknowledged":true}`)
			}
			var there []string
			for _, name := range append([]string{"another"}, names...) {
				if !slices.Contains(deleted, name) {
					there = append(there, fmt.Sprintf(`{"snapshot":%q,"state":"SUCCESS"}`, name))
				}
			}
			return reply(200, `{"snapshots":[`+strings.Join(there, ",")+`]}`)
		}), "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		if length > 5 { // the names of few short ones are sent, and it is for the server to choose
			var listed []string
			for s, err := range repo.List(t.Context(), snapshot.Filter{Names: names[1:]}) {
				if err != nil {
					t.Fatal(err)
				}
				listed = append(listed, s.Name)
			}
			if diff := cmp.Diff(names[1:], listed); diff != "" {
				t.Errorf("listed of names of %d bytes (-want +got):\n%s", length, diff)
			}
		}
		if err := repo.Delete(t.Context(), append(slices.Clone(names), names[0])...); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(names, deleted); diff != "" {
			t.Errorf("deleted (-want +got):\n%s", diff)
		}
		if requests > 12 { // each rewrites the repository's list of contents
			t.Errorf("%d requests for names of %d bytes", requests, length)
		}
	}
}
