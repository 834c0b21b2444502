package restore_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/restore"
)

// unseen kills the server, and starts it again, when a restore has made its indices. Nothing is seen of it before: looks at
// running restores wait for that.
type unseen struct {
	restore.Client
	b      *bench
	once   sync.Once
	struck func()        // is called when it is killed
	back   chan struct{} // is closed when the server was started again
	err    error
}

func (c *unseen) Perform(req *http.Request) (*http.Response, error) {
	switch {
	case strings.HasSuffix(req.URL.Path, "/_restore"):
		c.once.Do(func() { go c.strike(context.WithoutCancel(req.Context())) })
	case req.URL.Path == "/_cluster/state/customs":
		select {
		case <-c.back:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	return c.Client.Perform(req)
}

func (c *unseen) strike(ctx context.Context) {
	defer close(c.back)
	for len(c.b.state()) < 2 && ctx.Err() == nil {
		time.Sleep(2 * time.Millisecond)
	}
	c.err = c.b.server.Kill(ctx)
	c.struck()
	c.err = errors.Join(c.err, c.b.server.Start(ctx))
}

// serverKilledUnseen: the server forgets a restore when it dies, and what it has made of it is in no journal yet. The call that
// has sent it goes on by itself; when that ends with the server, another one takes it up, or cleans it up.
func serverKilledUnseen(t *testing.T, b *bench, then string) {
	b.fill(b.index("big"), 3, 3000, 2000)
	b.fill(b.index("small"), 3, 30, 100)
	b.snapshot("snap")
	b.wipe()
	b.slow()
	plan := b.plan(b.request())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := &unseen{Client: b.client, b: b, struck: func() {}, back: make(chan struct{})}
	if then != "goes on" {
		client.struck = cancel
	}
	report, err := b.open(client, nil).Apply(ctx, plan, restore.ApplyOptions{})
	<-client.back
	if client.err != nil {
		t.Fatal(client.err)
	}
	if then != "goes on" && err == nil {
		t.Fatal("the first call ended well although it was cancelled")
	}
	b.do("GET", "/_cluster/health?wait_for_no_initializing_shards=true&timeout=60s", "")
	switch then {
	case "is applied again":
		report, err = b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	case "is attached to":
		report, err = b.repo.Attach(t.Context(), "snap", restore.ApplyOptions{})
	case "is abandoned":
		if report, err = b.repo.Abandon(t.Context(), "snap"); err != nil || report.Proven < 3*len(b.state()) {
			t.Errorf("%v, %d indices are there\n%s", err, len(b.state()), report)
		}
		return
	}
	if err != nil || !report.OK() || report.Documents != 3030 || len(b.state()) != 2 {
		t.Errorf("%v\n%s", err, report)
	}
}
