package stack_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops/stack"
)

// between does something between the list of the services and that of their tasks.
func between(t *testing.T, do func()) (host string) {
	t.Helper()
	var once sync.Once
	return inFront(t, func(w http.ResponseWriter, r *http.Request, engine http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/tasks") {
			once.Do(do)
		}
		engine.ServeHTTP(w, r)
	})
}

func TestAServiceThatIsRemovedBetweenTwoLooksIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	must(t, b.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: []string{b.file(dbStack)}, Stopped: true}))
	s, err := stack.NewSwarm(&stack.Options{Host: between(t, func() {
		if _, err := b.api.ServiceRemove(context.Background(), b.stack+"_app", client.ServiceRemoveOptions{}); err != nil {
			t.Error(err)
		}
	})})
	must(t, err)
	defer s.Close()
	must(t, s.Stop(t.Context(), b.stack, stack.StopOptions{}))
	if v := b.look(); v.Service("app") != nil || v.Service("db") == nil {
		t.Errorf("want db alone:\n%s", v)
	}
}
