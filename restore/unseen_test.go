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
	b    *bench
	once sync.Once
	back chan struct{} // is closed when the server was started again
	err  error
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
	c.err = errors.Join(c.b.server.Kill(ctx), c.b.server.Start(ctx))
}

// serverKilledUnseen: the server forgets a restore when it dies, and what it has made of it is in no journal yet.
func serverKilledUnseen(t *testing.T, b *bench) {
	b.fill(b.index("big"), 3, 3000, 2000)
	b.fill(b.index("small"), 3, 30, 100)
	b.snapshot("snap")
	b.wipe()
	b.slow()
	plan := b.plan(b.request())
	client := &unseen{Client: b.client, b: b, back: make(chan struct{})}
	report, err := b.open(client, nil).Apply(t.Context(), plan, restore.ApplyOptions{})
	<-client.back
	if client.err != nil {
		t.Fatal(client.err)
	}
	if err != nil || !report.OK() || report.Documents != 3030 || len(b.state()) != 2 {
		t.Errorf("%v\n%s", err, report)
	}
}
