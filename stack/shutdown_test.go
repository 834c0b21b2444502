package stack_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/nuvla/nuvlaops/stack"
)

// The texts are those of an engine 20.10 that was stopped while it was asked; TestTwoNodes stops one, and sees them at times.
func TestAnEngineThatShutsDownIsWaitedFor(t *testing.T) {
	for _, text := range []string{"rpc error: code = Canceled desc = grpc: the client connection is closing", "rpc error: code = Unknown desc = context canceled"} {
		for _, at := range []string{"/services", "/tasks", "/services/service000", "/services/service000/update"} {
			t.Run(at+": "+text, func(t *testing.T) {
				var failed atomic.Bool
				var updated atomic.Int64
				engine := stoppable(t, 1, &updated)
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/v1.41"+at && failed.CompareAndSwap(false, true) {
						w.Header().Set("Content-Type", "application/json")
						w.WriteHeader(http.StatusInternalServerError)
						_ = json.NewEncoder(w).Encode(map[string]string{"message": text})
						return
					}
					engine.ServeHTTP(w, r)
				}))
				defer server.Close()
				s, err := stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String()})
				must(t, err)
				defer s.Close()
				must(t, s.Stop(t.Context(), "big", stack.StopOptions{}))
				if !failed.Load() || updated.Load() == 0 {
					t.Errorf("the engine failed: %t, was told %d times to stop the service", failed.Load(), updated.Load())
				}
			})
		}
	}
}
