package restore_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

func TestOptionsAreNotValidWithoutAPlan(t *testing.T) {
	for _, o := range []restore.VerifyOptions{{}, {Queries: []restore.Query{{Name: "jobs", Index: "nuvla-job"}}}} {
		if err := o.Validate(nil); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestVerifySaysWhatWasAndWasNotVerified(t *testing.T) {
	at(t, []place{places[0], places[2]}, func(t *testing.T, p place) {
		b := p.bench(t)
		b.fill(b.index("a"), 2, 400, 2000)
		b.fill(b.index("b"), 1, 7, 10)
		b.snapshot("snap")
		b.wipe()
		req := b.request()
		req.Checksums = true
		plan := b.plan(req)
		if d := cmp.Diff([]string{restore.CodeChecksums}, codes(plan, restore.SeverityInfo)); d != "" {
			t.Errorf("what the plan says (-want +got):\n%s", d)
		}
		if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := b.checksWhenOpened(b.index("a")); got != "checksum" {
			t.Errorf("the server checks %q when it opens a shard, want checksum", got)
		}
		seven := int64(7)
		report, err := b.repo.Verify(t.Context(), plan, restore.VerifyOptions{
			Documents: map[string]restore.DocumentRange{b.index("a"): {Min: 390, Max: 410}},
			Queries: []restore.Query{
				{Name: "small numbers", Index: b.index("*"), Query: json.RawMessage(`{"range":{"n":{"lt":5}}}`), Min: 10},
				{Name: "all of b", Index: b.index("b"), Min: 7, Max: &seven},
			}})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"the primaries of 2 indices are started and were recovered from " + b.repository() + "/snap",
			"the documents of 1 index are exactly as many as in the snapshot's manifest",
			"the documents of 1 index are as many as before the snapshot, as after it, or in between",
			"the files of 2 indices were compared with their Lucene checksums when the shards were opened",
			"query small numbers finds 10 documents in " + b.index("*") + ", wanted at least 10",
			"query all of b finds 7 documents in " + b.index("b") + ", wanted exactly 7",
		}
		if d := cmp.Diff(want, report.Verified); d != "" {
			t.Errorf("verified (-want +got):\n%s", d)
		}
		if d := cmp.Diff([]string{"replicas are not waited for"}, report.NotVerified); d != "" {
			t.Errorf("not verified (-want +got):\n%s", d)
		}
		raw, err := json.Marshal(report)
		var read restore.Report
		if err != nil || json.Unmarshal(raw, &read) != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(report, &read); d != "" {
			t.Errorf("report as JSON (-want +got):\n%s", d)
		}
		if text := report.String(); !strings.Contains(text, "400 documents of 390 to 410\n") || !strings.Contains(text, "not verified: replicas") {
			t.Errorf("report:\n%s", text)
		}
		b.misses(t, plan)
	})
}

// misses holds Verify against what is not in the snapshot, and against what makes no sense.
func (b *bench) misses(t *testing.T, plan *restore.Plan) {
	t.Helper()
	report, err := b.repo.Verify(t.Context(), plan, restore.VerifyOptions{Queries: []restore.Query{
		{Name: "gone", Index: b.index("a"), Query: json.RawMessage(`{"term":{"n":-1}}`), Min: 1}}})
	if !errors.Is(err, nuvlaops.ErrVerification) || len(report.Failures) != 1 || !strings.Contains(err.Error(), "query gone finds 0 documents") {
		t.Errorf("a query that finds nothing: %v, %v", err, report)
	}
	few := int64(1)
	for name, opts := range map[string]restore.VerifyOptions{
		"no name":          {Queries: []restore.Query{{Index: "*"}}},
		"no JSON":          {Queries: []restore.Query{{Name: "x", Index: "*", Query: json.RawMessage(`{`)}}},
		"not in the plan":  {Queries: []restore.Query{{Name: "x", Index: "other"}}},
		"more than most":   {Queries: []restore.Query{{Name: "x", Index: "*", Min: 2, Max: &few}}},
		"a range reversed": {Documents: map[string]restore.DocumentRange{"a": {Min: 2, Max: 1}}},
	} {
		if _, err := b.repo.Verify(t.Context(), plan, opts); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// checksWhenOpened is what the server checks when it opens a shard of an index. How long that took is no witness: small
// files take less than the millisecond that the server counts in.
func (b *bench) checksWhenOpened(index string) any {
	b.t.Helper()
	settings := b.do("GET", "/"+index+"/_settings?flat_settings=true", "")[index].(map[string]any)["settings"].(map[string]any)
	return settings["index.shard.check_on_startup"]
}

func TestVerifyNamesTheQueriesThatCouldNotBeAsked(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 3, 10)
	b.fill(b.index("b"), 1, 3, 10)
	b.snapshot("snap")
	b.wipe()
	plan := b.plan(b.request())
	if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	b.do("DELETE", "/"+b.index("b"), "")
	report, err := b.repo.Verify(t.Context(), plan, restore.VerifyOptions{Queries: []restore.Query{{Name: "both", Index: "*", Min: 6}, {Name: "one", Index: b.index("a"), Min: 3}}})
	if !errors.Is(err, nuvlaops.ErrVerification) || len(report.Failures) != 1 {
		t.Fatalf("%v, %v, want the missing index alone", err, report)
	}
	if text := report.String(); !strings.Contains(text, "query both was not asked: "+b.index("b")+" is not proven") || !strings.Contains(text, "query one finds 3") {
		t.Errorf("report:\n%s", text)
	}
}

func TestReportOfARestoreThatWasRefusedIsNotOK(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.snapshot("snap")
	b.wipe()
	client := denied{b.client, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/_restore") }}
	report, err := b.open(client, nil).Apply(t.Context(), b.plan(b.request()), restore.ApplyOptions{})
	if !errors.Is(err, nuvlaops.ErrDenied) || report == nil || report.OK() {
		t.Errorf("%v, want ErrDenied and a report that is not OK\n%s", err, report)
	}
}

// What a lost node held is not counted, and is no fault of the snapshot: nobody is to restore another one for it.
func TestAPrimaryThatIsLostRightBeforeTheCountIsToldAsLost(t *testing.T) {
	for _, shards := range []int{1, 3} { // an index of which nothing is left, or a part
		b := places[1].bench(t)
		b.fill(b.index("a"), shards, 30, 100)
		b.fill(b.index("b"), 1, 30, 100)
		b.snapshot("snap")
		b.wipe()
		client := &before{Client: b.client, like: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/_stats/docs") },
			do: func() { b.losePrimary(b.index("a")) }}
		report, err := b.open(client, nil).Apply(t.Context(), b.plan(b.request()), restore.ApplyOptions{})
		if !errors.Is(err, nuvlaops.ErrVerification) || !strings.Contains(err.Error(), "has lost a primary") || strings.Contains(err.Error(), "another snapshot") || report.OK() {
			t.Errorf("%d shards: %v\n%s", shards, err, report)
		}
	}
}

// partial answers the first count of a query for one of two shards, as while a node is lost whose shards have copies.
type partial struct {
	restore.Client
	asked int
}

func (c *partial) Perform(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/_count") {
		if c.asked++; c.asked == 1 {
			return &http.Response{StatusCode: 200, Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}},
				Body: io.NopCloser(strings.NewReader(`{"count":1,"_shards":{"total":2,"successful":1,"failed":1}}`))}, nil
		}
	}
	return c.Client.Perform(req)
}

func TestAQueryThatNotEachShardHasAnsweredIsAskedAgain(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 2, 30, 100)
	b.snapshot("snap")
	b.wipe()
	plan := b.plan(b.request())
	if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	client := &partial{Client: b.client}
	report, err := b.open(client, nil).Verify(t.Context(), plan, restore.VerifyOptions{Queries: []restore.Query{{Name: "all", Index: b.index("a"), Min: 30}}})
	if err != nil || client.asked != 2 {
		t.Errorf("asked %d times, %v\n%s", client.asked, err, report)
	}
}

// A query that an index cannot be asked is none that another try answers.
func TestAQueryThatAnIndexRefusesIsAskedOnceAndTheReasonIsSaid(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 30, 100) // where n is a number
	b.do("POST", "/"+b.index("b")+"/_doc?refresh", `{"n":"seven"}`)
	b.snapshot("snap")
	b.wipe()
	plan := b.plan(b.request())
	if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	asked := 0
	client := &before{Client: b.client, like: func(r *http.Request) bool { asked += strings.Count(r.URL.Path, "/_count"); return false }}
	report, err := b.open(client, &restore.Options{Retry: nuvlaops.RetryPolicy{MaxAttempts: 3}}).Verify(t.Context(), plan, restore.VerifyOptions{
		Queries: []restore.Query{{Name: "sevens", Index: b.index("*"), Query: json.RawMessage(`{"term":{"n":"seven"}}`), Min: 1}}})
	if !errors.Is(err, nuvlaops.ErrInvalid) || asked != 1 || !strings.Contains(err.Error(), "sevens") || !strings.Contains(err.Error(), "For input string") {
		t.Errorf("asked %d times, %v\n%s", asked, err, report)
	}
}
