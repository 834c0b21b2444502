package stack_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nuvla/nuvlaops/stack"
)

// An engine that has made a task while its service was scaled down, and has forgotten it: a real one does so too seldom.
func TestStopRemindsAnOrchestratorThatHasForgottenATask(t *testing.T) {
	var updated atomic.Int64
	engine := stoppable(t, 0, &updated)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/tasks") && updated.Load() == 0 {
			_, _ = io.WriteString(w, `[{"ID":"t","ServiceID":"service000","NodeID":"self","Slot":1,"DesiredState":"running","Status":{"State":"running"}}]`)
			return
		}
		engine.ServeHTTP(w, r)
	}))
	defer server.Close()
	s, err := stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String()})
	must(t, err)
	defer s.Close()
	must(t, s.Stop(t.Context(), "big", stack.StopOptions{}))
	if n := updated.Load(); n != 1 {
		t.Errorf("%d updates, want one", n)
	}
}
