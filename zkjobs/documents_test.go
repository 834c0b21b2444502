package zkjobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
)

var indices atomic.Int64

// index is an index of job documents of its own on a real server.
type index struct {
	t      testing.TB
	server *testenv.Elasticsearch
	client *es.Transport
	name   string
}

// newIndex makes one with the api-server's mapping, or another one.
func newIndex(t testing.TB, mapping string) *index {
	t.Helper()
	server := testenv.SharedElasticsearch(t, "")
	x := &index{t: t, server: server, client: server.Client(), name: fmt.Sprintf("nuvla-job-%d", indices.Add(1))}
	if mapping == "" {
		mapping = jobMapping(t)
	}
	x.send("PUT", "/"+x.name, `{"settings":{"number_of_shards":3,"number_of_replicas":2},"mappings":`+mapping+`}`)
	t.Cleanup(func() {
		_ = es.Send(context.Background(), x.client, esapi.IndicesDeleteRequest{Index: []string{x.name}}, nil)
	})
	return x
}

// jobMapping is the api-server's.
func jobMapping(t testing.TB) string {
	t.Helper()
	return string(must[[]byte](t)(os.ReadFile("testdata/nuvla-job-mapping.json")))
}

func (x *index) send(method, path, body string) {
	x.t.Helper()
	req := must[*http.Request](x.t)(http.NewRequestWithContext(x.t.Context(), method, path, strings.NewReader(body)))
	req.Header.Set("Content-Type", "application/json")
	res := must[*http.Response](x.t)(x.client.Perform(req))
	defer res.Body.Close()
	answer := must[[]byte](x.t)(io.ReadAll(res.Body))
	if res.StatusCode > 299 || bytes.Contains(answer, []byte(`"errors":true`)) {
		x.t.Fatalf("%s %s: %d %.500s", method, path, res.StatusCode, answer)
	}
}

// add indexes documents by their _id, and does not refresh, as the api-server does not.
func (x *index) add(docs map[string]string) {
	x.t.Helper()
	var body strings.Builder
	for id, doc := range docs {
		fmt.Fprintf(&body, "{\"index\":{\"_id\":%q}}\n%s\n", id, doc)
	}
	x.send("POST", "/"+x.name+"/_bulk", body.String())
}

func (x *index) source(opts zkjobs.DocumentsOptions) *zkjobs.Documents {
	x.t.Helper()
	opts.Index = x.name
	return must[*zkjobs.Documents](x.t)(zkjobs.NewDocuments(x.client, &opts))
}

func collect(ctx context.Context, s zkjobs.Source) (map[string]zkjobs.Job, error) {
	jobs := map[string]zkjobs.Job{}
	for job, err := range s.Jobs(ctx) {
		if err != nil {
			return jobs, err
		}
		if _, twice := jobs[job.ID]; twice {
			return jobs, errors.New("twice: " + job.ID)
		}
		jobs[job.ID] = job
	}
	return jobs, nil
}

// doc is a document as the api-server writes it, with more or other fields.
func doc(id string, more map[string]any) string {
	d := map[string]any{"id": "job/" + id, "state": "QUEUED", "execution-mode": "push", "priority": 50, "created": "2026-01-02T03:04:05.006Z",
		"action": "start_deployment", "version": 2, "resource-type": "job", "payload": "{}"}
	for k, v := range more {
		if v == nil {
			delete(d, k)
		} else {
			d[k] = v
		}
	}
	b, _ := json.Marshal(d)
	return string(b)
}

func TestDocumentsBecomeJobs(t *testing.T) {
	x := newIndex(t, "")
	path := []string{"/job/entries/entry-020-0000000123"}
	x.add(map[string]string{
		"plain":     doc("plain", nil),
		"none":      doc("none", map[string]any{"priority": nil, "execution-mode": nil, "version": nil}),
		"tagged":    doc("tagged", map[string]any{"priority": nil, "tags": path, "state": "RUNNING"}),
		"overruled": doc("overruled", map[string]any{"priority": 7, "tags": append([]string{"other"}, path...)}),
		"monitored": doc("monitored", map[string]any{"action": "bulk_update_deployment", "state": "RUNNING", "tags": []string{"monitor"}}),
		"bulk":      doc("bulk", map[string]any{"action": "bulk_update_deployment"}),
		"pull":      doc("pull", map[string]any{"execution-mode": "pull"}),
		"final":     doc("final", map[string]any{"state": "SUCCESS"}),
		"text":      doc("text", map[string]any{"priority": "50"}),
		"high":      doc("high", map[string]any{"priority": 1000}),
		"low":       doc("low", map[string]any{"priority": -1}),
		"new":       doc("new", map[string]any{"version": 3}),
		"noid":      doc("noid", map[string]any{"id": nil}),
		"otherid":   doc("another", nil),
		"null":      `{"id":"job/null","state":"QUEUED","priority":null,"tags":null,"created":null,"action":null,"version":null}`,
		"half":      doc("half", map[string]any{"priority": 50.5}),
		"ahead":     doc("ahead", map[string]any{"created": 999999999999999}),
		"list":      doc("list", map[string]any{"id": []string{"job/list"}}),
		"states":    doc("states", map[string]any{"state": []string{"QUEUED", "SUCCESS"}}),
		"actions":   doc("actions", map[string]any{"action": []string{"bulk", "x"}}),
		"spaced":    doc("spaced", map[string]any{"id": "job/a b"}),
		"tags":      doc("tags", map[string]any{"tags": []any{"/job/entries/entry-0x0-1", 7, true, "/job/entries/entry-003-0000000001"}}),
	})
	jobs, err := collect(t.Context(), x.source(zkjobs.DocumentsOptions{PageSize: 3}))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for id, j := range jobs {
		got[strings.TrimPrefix(id, "job/")] = strings.TrimSpace(fmt.Sprintf("%d %s %s %t %s", j.Priority, j.State, j.Mode, j.Monitored, j.Invalid))
	}
	want := map[string]string{
		"plain": "50 QUEUED push false", "none": "999 QUEUED push false", "tagged": "20 RUNNING push false",
		"overruled": "20 QUEUED push false", "monitored": "50 RUNNING push true", "bulk": "50 QUEUED push false", "pull": "50 QUEUED pull false",
		"text": `999 QUEUED push false priority is not a whole number: "50"`, "high": "999 QUEUED push false priority 1000 is out of range",
		"low": "999 QUEUED push false priority -1 is out of range", "new": "50 QUEUED push false version 3 is newer than executors run",
		"null": "999 QUEUED push false", "half": "999 QUEUED push false priority is not a whole number: 50.5",
		"ahead": "50 QUEUED push false created is not a date: 999999999999999", "list": "50 QUEUED push false id is not a string",
		"states": "50  push false state is not a string", "actions": "50 QUEUED push false action is not a string",
		"spaced": "50 QUEUED push false id is not job/<uuid>", "tags": "3 QUEUED push false",
		"noid": "50 QUEUED push false id is empty", "otherid": `50 QUEUED push false id is not the document's: "job/another"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	// The bad ones stop none of the others.
	q := newQueueOf(t, testenv.ZooKeeper34)
	r := q.rebuilder(x.source(zkjobs.DocumentsOptions{PageSize: 3}))
	plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
	res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{}))
	wantQueue := []string{"003 job/tags", "020 job/overruled", "020 job/tagged", "050 job/bulk", "050 job/plain", "999 job/null", "999 job/none"}
	if diff := cmp.Diff(wantQueue, q.ids()); diff != "" || res.Written != len(wantQueue) {
		t.Errorf("%d written, queue (-want +got):\n%s", res.Written, diff)
	}
	wantLeft := map[zkjobs.Reason]int{zkjobs.LeftInvalid: 12, zkjobs.LeftPull: 1, zkjobs.LeftMonitored: 1}
	if diff := cmp.Diff(wantLeft, plan.Left); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}

// TestACutToElasticsearchLosesNoJob cuts the connection at each request, before it is done, after, and in its reply.
func TestACutToElasticsearchLosesNoJob(t *testing.T) {
	x := newIndex(t, "")
	docs := map[string]string{}
	for i := range 7 {
		id := fmt.Sprintf("%08d", i)
		docs[id] = doc(id, nil)
	}
	x.add(docs)
	read := func(name string, nth int, do testenv.Action) (requests int) {
		p := must[*testenv.Proxy](t)(testenv.NewHTTPProxy(x.server.URL()))
		defer func() { _ = p.Close() }()
		if nth > 0 {
			p.Inject(testenv.Fault{Nth: nth, Do: do})
		}
		client := must[*es.Transport](t)(es.Dial(es.Access{Addresses: []string{p.URL()}}))
		s := must[*zkjobs.Documents](t)(zkjobs.NewDocuments(client, &zkjobs.DocumentsOptions{Index: x.name, PageSize: 3,
			Retry: nuvlaops.RetryPolicy{Initial: time.Millisecond}}))
		if jobs, err := collect(t.Context(), s); err != nil || len(jobs) != len(docs) {
			t.Errorf("request %d cut %s: %d jobs, %v", nth, name, len(jobs), err)
		}
		return len(p.Requests())
	}
	total := read("never", 0, 0)
	if total < 7 { // mapping, refresh, point in time, three pages, its end
		t.Fatalf("only %d requests", total)
	}
	for name, do := range cuts() {
		for nth := 1; nth <= total; nth++ {
			read(name, nth, do)
		}
	}
}

func TestWhoeverStopsReadingLeavesNothingBehind(t *testing.T) {
	x := newIndex(t, "")
	x.add(map[string]string{"a": doc("a", nil), "b": doc("b", nil), "c": doc("c", nil)})
	p := must[*testenv.Proxy](t)(testenv.NewHTTPProxy(x.server.URL()))
	defer func() { _ = p.Close() }()
	client := must[*es.Transport](t)(es.Dial(es.Access{Addresses: []string{p.URL()}}))
	s := must[*zkjobs.Documents](t)(zkjobs.NewDocuments(client, &zkjobs.DocumentsOptions{Index: x.name, PageSize: 1}))
	for range s.Jobs(t.Context()) {
		break
	}
	seen := p.Requests()
	if last := seen[len(seen)-1]; last.Method != http.MethodDelete || last.Path != "/_pit" {
		t.Errorf("the last request is %+v, want the end of the point in time", last)
	}
}

func TestAnIndexThatCannotBeTrustedIsAnError(t *testing.T) {
	for name, tc := range map[string]struct {
		mapping string
		docs    map[string]string
		want    error
	}{
		"state is text":  {`{"properties":{"state":{"type":"text"},"id":{"type":"keyword"},"created":{"type":"date"}}}`, map[string]string{"a": doc("a", nil)}, nuvlaops.ErrInvalid},
		"no mapping yet": {`{}`, nil, nuvlaops.ErrInvalid},
		"no open job":    {"", map[string]string{"a": doc("a", map[string]any{"state": "SUCCESS"})}, nuvlaops.ErrRefused},
		"empty":          {"", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			x := newIndex(t, tc.mapping)
			if tc.docs != nil {
				x.add(tc.docs)
			}
			if _, err := collect(t.Context(), x.source(zkjobs.DocumentsOptions{})); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	missing := &index{t: t, client: testenv.SharedElasticsearch(t, "").Client(), name: "nuvla-nothing"}
	if _, err := collect(t.Context(), missing.source(zkjobs.DocumentsOptions{})); !errors.Is(err, nuvlaops.ErrNotFound) {
		t.Errorf("missing index: got %v, want ErrNotFound", err)
	}
	done := newIndex(t, "")
	done.add(map[string]string{"a": doc("a", map[string]any{"state": "SUCCESS"})})
	if jobs, err := collect(t.Context(), done.source(zkjobs.DocumentsOptions{AllowNone: true})); err != nil || len(jobs) != 0 {
		t.Errorf("AllowNone: got %v, %v", jobs, err)
	}
}

func TestTwelveThousandJobsOfOneMillisecondAreReadAndQueuedInOrder(t *testing.T) {
	const n = 12000 // more than a page may hold
	x := newIndex(t, "")
	docs := map[string]string{}
	var want []string
	for i := range n {
		id := fmt.Sprintf("%08d", i)
		docs[id] = doc(id, nil)
		want = append(want, "050 job/"+id)
		if len(docs) == 4000 {
			x.add(docs)
			clear(docs)
		}
	}
	q := newQueue(t, testenv.SharedZooKeeper(t, "").Addr())
	apply(t, q.rebuilder(x.source(zkjobs.DocumentsOptions{})), zkjobs.ApplyOptions{})
	if diff := cmp.Diff(want, q.ids()); diff != "" {
		t.Errorf("queue (-want +got):\n%.2000s", diff)
	}
}
