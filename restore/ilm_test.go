package restore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
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
	return &http.Response{StatusCode: 200, Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
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
