package restore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// ilm answers for index lifecycle management, which the assembled server does not have, as 8.11 does; the rest goes to the
// real server.
type ilm struct {
	restore.Client
	mu     sync.Mutex
	mode   string
	global string   // its mode after a restore of the global state, which brings the snapshot's; empty leaves it
	during []string // its modes when a restore of indices was sent
	policy string   // that each template and each index names; empty for none
	there  string   // the policy that is there
}

func (c *ilm) Perform(req *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasSuffix(req.URL.Path, "/_restore") {
		raw, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(raw))
		if !bytes.Contains(raw, []byte(`"include_global_state":true`)) {
			c.during = append(c.during, c.mode)
		} else if c.global != "" {
			defer func() { c.mode = c.global }()
		}
	}
	body := `{"acknowledged":true}`
	switch path := req.Method + req.URL.Path; {
	case c.policy != "" && strings.Contains(path, "/_simulate_index/"):
		return answer(`{"template":{"settings":{"index":{"lifecycle":{"name":"` + c.policy + `"}}}},"overlapping":[]}`), nil
	case c.policy != "" && path == "GET/_cluster/state/metadata":
		return answer(`{"metadata":{"index_lifecycle":{"policies":{"` + c.there + `":{"modified_date":1}}}}}`), nil
	case c.policy != "" && strings.HasPrefix(path, "GET/_cluster/state/metadata,routing_table"):
		return c.withPolicy(req)
	}
	switch req.Method + req.URL.Path {
	case "GET/_ilm/status":
		body = `{"operation_mode":"` + c.mode + `"}`
		if c.mode == "STOPPING" {
			c.mode = "STOPPED"
		}
	case "POST/_ilm/stop":
		c.mode = "STOPPING"
	case "POST/_ilm/start":
		c.mode = "RUNNING"
	default:
		c.mu.Unlock()
		defer c.mu.Lock()
		return c.Client.Perform(req)
	}
	return answer(body), nil
}

func answer(body string) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// withPolicy lets each index name the policy, since the assembled server does not take the setting.
func (c *ilm) withPolicy(req *http.Request) (*http.Response, error) {
	res, err := c.Client.Perform(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return answer(strings.ReplaceAll(string(raw), `"settings":{"index":{`, `"settings":{"index":{"lifecycle":{"name":"`+c.policy+`"},`)), err
}

func TestILMPolicyThatIsNotThereIsSaidBeforeOfATemplateAndAfterwardsOfAnIndex(t *testing.T) {
	b := places[1].bench(t)
	stream := b.index("ts")
	b.do("PUT", "/_index_template/"+b.id, `{"index_patterns":["`+stream+`*"],"priority":500,"data_stream":{},"template":{"settings":{"number_of_replicas":0}}}`)
	b.do("POST", "/"+stream+"/_doc?op_type=create&refresh", `{"@timestamp":"2026-01-01T00:00:00Z"}`)
	b.do("POST", "/"+stream+"/_rollover", "")
	b.fill(b.index("a"), 1, 10, 100)
	b.snapshot("snap")
	req := b.request()
	req.RenamePrefix = "copy-"
	for there, want := range map[string]bool{"keep-a-year": false, "other": true} {
		client := &ilm{Client: b.client, mode: "RUNNING", policy: "keep-a-year", there: there}
		repo := b.open(client, nil)
		plan, err := repo.Plan(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(codes(plan, restore.SeverityWarning), restore.CodePolicy); got != want {
			t.Errorf("found before: %t, want %t\n%s", got, want, plan)
		}
		if !want {
			continue
		}
		report, err := repo.Apply(t.Context(), plan, restore.ApplyOptions{})
		if err != nil {
			t.Fatalf("%v\n%s", err, report)
		}
		if !strings.Contains(report.String(), "ILM policy keep-a-year is not there") || !strings.Contains(report.String(), "on: copy-"+stream+", copy-"+b.index("a")+"\n") {
			t.Errorf("not said afterwards:\n%s", report)
		}
	}
}

func TestILMAndLimitArePutBackAsTheyWereByThisCallOrTheNext(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 3, 1500, 2000)
	b.snapshot("snap")
	b.setLimit("21mb")
	client := &ilm{Client: b.client, mode: "RUNNING"}
	repo := b.open(client, nil)
	state := func() []string { return []string{client.mode, b.limit()} }

	b.wipe()
	plan, err := repo.Plan(t.Context(), b.request())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"RUNNING", "21mb"}, state()); d != "" {
		t.Errorf("after a restore (-want +got):\n%s", d)
	}

	b.wipe()
	b.slow()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := repo.Apply(ctx, plan, restore.ApplyOptions{Progress: func(nuvlaops.Progress) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	if d := cmp.Diff([]string{"STOPPED", "21mb"}, state()); d != "" {
		t.Errorf("after a cancelled call, with the restore going on (-want +got):\n%s", d)
	}
	if _, err := b.open(client, nil).Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"RUNNING", "21mb"}, state()); d != "" {
		t.Errorf("after the next call (-want +got):\n%s", d)
	}
	for _, mode := range client.during {
		if mode != "STOPPED" {
			t.Errorf("a restore was sent while ILM was %s", mode)
		}
	}
}

func TestLimitIsPutBackWhereILMMayNotBeStoppedOrStarted(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.snapshot("snap")
	b.wipe()
	client := denied{&ilm{Client: b.client, mode: "RUNNING"}, func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/_ilm/") && r.Method == "POST" }}
	if _, err := b.open(client, nil).Apply(t.Context(), b.plan(b.request()), restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrDenied) {
		t.Errorf("Apply: %v, want ErrDenied", err)
	}
	if got := b.limit(); got != "" {
		t.Errorf("limit is %q, want none as before", got)
	}
	if report, err := b.drill(restore.DrillOptions{}); err != nil {
		t.Errorf("a drill, when nothing is left to put back: %v\n%s", err, report)
	}
}

func TestILMStaysStoppedWhenALookFailsAndTheRestoreGoesOn(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 3, 2000, 2000)
	b.snapshot("snap")
	b.wipe()
	b.slow()
	client := &ilm{Client: b.client, mode: "RUNNING"}
	blind := denied{client, func(r *http.Request) bool { return r.URL.Path == "/_recovery" }}
	plan, err := b.open(client, nil).Plan(t.Context(), b.request())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.open(blind, nil).Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrDenied) || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("Apply: %v, want ErrDenied, and that the restore goes on", err)
	}
	if client.mode != "STOPPED" {
		t.Errorf("ILM is %s while the restore goes on", client.mode)
	}
	report, err := b.open(client, nil).Attach(t.Context(), "snap", restore.ApplyOptions{})
	if err != nil || report.Documents != 2000 || client.mode != "RUNNING" || b.limit() != "" {
		t.Errorf("Attach: %v, ILM %s, limit %q\n%s", err, client.mode, b.limit(), report)
	}
}

func TestILMStaysStoppedWhenAShardHasFailedAndTheOthersGoOn(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("bad"), 1, 10, 100)
	b.fill(b.index("big"), 3, 2000, 2000)
	b.do("PUT", "/"+b.index("bad")+"/_settings", `{"index.routing.allocation.require.box":"nowhere"}`)
	b.snapshot("snap")
	b.wipe()
	b.slow()
	client := &ilm{Client: b.client, mode: "RUNNING"}
	if report, err := b.open(client, nil).Apply(t.Context(), b.plan(b.request()), restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrVerification) || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("Apply: %v, want ErrVerification, and that the restore goes on\n%s", err, report)
	}
	if client.mode != "STOPPED" {
		t.Errorf("ILM is %s while the other index is being restored", client.mode)
	}
	if report, err := b.open(client, nil).Abandon(t.Context(), "snap"); err != nil || client.mode != "RUNNING" {
		t.Errorf("Abandon: %v, ILM %s\n%s", err, client.mode, report)
	}
}

func TestILMIsStartedAgainWhenOnlyAnotherRestoreOfTheSnapshotGoesOn(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 1, 2000, 2000)
	b.snapshot("snap")
	b.wipe()
	b.slow()
	b.do("POST", "/_snapshot/"+b.repository()+"/snap/_restore", `{"indices":"`+b.index("*")+`","feature_states":["none"],"rename_pattern":"(.+)","rename_replacement":"other-$1"}`)
	client := &ilm{Client: b.client, mode: "RUNNING"}
	refusing := denied{client, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/_restore") }}
	if report, err := b.open(refusing, nil).Apply(t.Context(), b.plan(b.request()), restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrDenied) || strings.Contains(err.Error(), "goes on") {
		t.Errorf("Apply: %v, want ErrDenied alone\n%s", err, report)
	}
	if client.mode != "RUNNING" {
		t.Errorf("ILM is %s, although nothing of ours is being restored", client.mode)
	}
}
