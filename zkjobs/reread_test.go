package zkjobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// interferer does something right before the searches of some numbers are sent.
type interferer struct {
	zkjobs.Client
	searches int
	before   func(search int, pit string)
}

func (f *interferer) Perform(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/_search") {
		raw, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(raw))
		var body struct {
			PIT struct {
				ID string `json:"id"`
			} `json:"pit"`
		}
		if err := json.Unmarshal(raw, &body); err != nil {
			return nil, err
		}
		f.searches++
		f.before(f.searches, body.PIT.ID)
	}
	return f.Client.Perform(req)
}

// someDocs makes n documents, and says what the queue must hold.
func someDocs(n int) (docs map[string]string, want []string) {
	docs = map[string]string{}
	for i := range n {
		id := fmt.Sprintf("%08d", i)
		docs[id] = doc(id, nil)
		want = append(want, "050 job/"+id)
	}
	return docs, want
}

// TestAPointInTimeThatTheServerForgetsIsReadAgain: each time between two pages, so that part of the jobs was handed on.
func TestAPointInTimeThatTheServerForgetsIsReadAgain(t *testing.T) {
	x := newIndex(t, "")
	docs, want := someDocs(20)
	x.add(docs)
	source := func(always bool, policy nuvlaops.RetryPolicy) (*zkjobs.Documents, *interferer) {
		f := &interferer{Client: x.client, before: func(search int, pit string) {
			if always && search%2 == 0 || !always && (search == 3 || search == 5) {
				x.send("DELETE", "/_pit", fmt.Sprintf(`{"id":%q}`, pit))
			}
		}}
		return must[*zkjobs.Documents](t)(zkjobs.NewDocuments(f, &zkjobs.DocumentsOptions{Index: x.name, PageSize: 6, Retry: policy})), f
	}
	q := newQueueOf(t, testenv.ZooKeeper39)
	s, f := source(false, nuvlaops.RetryPolicy{})
	plan := must[*zkjobs.Plan](t)(q.rebuilder(s).Plan(t.Context(), zkjobs.PlanOptions{}))
	if f.searches != 9 || len(plan.Left) != 0 { // 2 pages and a failure, 1 and a failure, 4
		t.Errorf("%d searches, left out %v", f.searches, plan.Left)
	}
	res := must[*zkjobs.Result](t)(q.rebuilder(s).Apply(t.Context(), plan, zkjobs.ApplyOptions{}))
	if diff := cmp.Diff(want, q.ids()); diff != "" || res.Written != 20 {
		t.Errorf("%d written, queue (-want +got):\n%s", res.Written, diff)
	}

	// It ends, and what a reader without a rebuilder gets is an error that is not that of a missing index.
	s, f = source(true, nuvlaops.RetryPolicy{})
	if _, err := q.rebuilder(s).Plan(t.Context(), zkjobs.PlanOptions{}); !errors.Is(err, nuvlaops.ErrUnavailable) || f.searches != 10 {
		t.Errorf("forgotten always: %v after %d searches, want ErrUnavailable after 10", err, f.searches)
	}
	s, f = source(true, nuvlaops.RetryPolicy{MaxAttempts: 1})
	if _, err := q.rebuilder(s).Plan(t.Context(), zkjobs.PlanOptions{}); !errors.Is(err, nuvlaops.ErrUnavailable) || f.searches != 2 {
		t.Errorf("without repetitions: %v after %d searches, want ErrUnavailable after 2", err, f.searches)
	}
	s, _ = source(true, nuvlaops.RetryPolicy{})
	jobs, err := collect(t.Context(), s)
	if len(jobs) != 6 || !errors.Is(err, nuvlaops.ErrUnavailable) || errors.Is(err, nuvlaops.ErrNotFound) {
		t.Errorf("read without a rebuilder: %d jobs, %v, want 6 and ErrUnavailable", len(jobs), err)
	}
}

// TestElasticsearchMayRestartWhileTheJobsAreRead kills the server between two pages and starts it again.
func TestElasticsearchMayRestartWhileTheJobsAreRead(t *testing.T) {
	t.Parallel()
	server := testenv.UseElasticsearch(t, testenv.ElasticsearchOptions{})
	client := must[*es.Transport](t)(es.Dial(es.Access{Addresses: []string{server.URL()}}))
	x := &index{t: t, server: server, client: client, name: "nuvla-job"}
	x.send("PUT", "/"+x.name, `{"settings":{"number_of_replicas":0},"mappings":`+jobMapping(t)+`}`)
	docs, want := someDocs(20)
	x.add(docs)
	started := make(chan error, 1)
	f := &interferer{Client: client, before: func(search int, _ string) {
		if search == 3 {
			if err := server.Kill(t.Context()); err != nil {
				t.Error(err)
			}
			go func() { started <- server.Start(t.Context()) }() // the reader meets a server that is away, starts, and is there again
		}
	}}
	s := must[*zkjobs.Documents](t)(zkjobs.NewDocuments(f, &zkjobs.DocumentsOptions{PageSize: 6, Retry: nuvlaops.RetryPolicy{MaxElapsed: 3 * time.Minute}}))
	q := newQueueOf(t, testenv.ZooKeeper39)
	if res := apply(t, q.rebuilder(s), zkjobs.ApplyOptions{}); res.Written != 20 {
		t.Errorf("result: %+v", res)
	}
	if err := <-started; err != nil {
		t.Errorf("start: %v", err)
	}
	if diff := cmp.Diff(want, q.ids()); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
}

// hangs is a server that never answers the second search.
type hangs struct {
	zkjobs.Client
	searches atomic.Int64
}

func (h *hangs) Perform(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/_search") && h.searches.Add(1) == 2 {
		<-req.Context().Done()
		return nil, context.Cause(req.Context())
	}
	return h.Client.Perform(req)
}

// TestAReaderThatStopsDoesNotWaitForThePageAfter, which was asked for ahead.
func TestAReaderThatStopsDoesNotWaitForThePageAfter(t *testing.T) {
	x := newIndex(t, "")
	docs, _ := someDocs(10)
	x.add(docs)
	s := must[*zkjobs.Documents](t)(zkjobs.NewDocuments(&hangs{Client: x.client}, &zkjobs.DocumentsOptions{Index: x.name, PageSize: 5}))
	ctx := within(t, 10*time.Second)
	for _, err := range s.Jobs(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if ctx.Err() != nil {
		t.Error("it waited until its context ended")
	}
}
