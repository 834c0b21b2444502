package stack_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nuvla/nuvlaops/stack"
)

// The texts are those of an engine 20.10 that was stopped while it was asked; TestTwoNodes stops one, and sees them at times.
func TestAnEngineThatShutsDownIsWaitedFor(t *testing.T) {
	for _, text := range []string{"rpc error: code = Canceled desc = grpc: the client connection is closing", "rpc error: code = Unknown desc = context canceled"} {
		for _, at := range []string{"/services", "/tasks", "/services/service000", "/services/service000/update"} {
			t.Run(at+": "+text, func(t *testing.T) {
				engine := fakeEngine(t, 1, 1, new(atomic.Int64))
				var failed, updated atomic.Bool
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					path := strings.TrimPrefix(r.URL.Path, "/v1.41")
					if path == at && failed.CompareAndSwap(false, true) {
						w.Header().Set("Content-Type", "application/json")
						w.WriteHeader(http.StatusInternalServerError)
						_ = json.NewEncoder(w).Encode(map[string]string{"message": text})
						return
					}
					switch path {
					case "/events":
						<-r.Context().Done()
					case "/services/service000":
						writeService(w, 1)
					case "/services/service000/update":
						updated.Store(true)
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
				if !failed.Load() || !updated.Load() {
					t.Errorf("the engine failed: %t, was told to stop the service: %t", failed.Load(), updated.Load())
				}
			})
		}
	}
}
