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
	engine := fakeEngine(t, 1, 1, new(atomic.Int64))
	var updated atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := strings.TrimPrefix(r.URL.Path, "/v1.41"); {
		case path == "/events":
			<-r.Context().Done()
		case path == "/tasks" && updated.Load() == 0:
			_, _ = io.WriteString(w, `[{"ID":"t","ServiceID":"service000","NodeID":"self","Slot":1,"DesiredState":"running","Status":{"State":"running"}}]`)
		case path == "/services/service000":
			writeService(w, 0)
		case path == "/services/service000/update":
			updated.Add(1)
			_, _ = io.WriteString(w, `{}`)
		default:
			engine.ServeHTTP(w, r)
		}
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
