package stack_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

// inFront stands before the engine: serve gets each request, and may hand it on.
func inFront(t *testing.T, serve func(w http.ResponseWriter, r *http.Request, engine http.Handler)) (host string) {
	t.Helper()
	engine := &httputil.ReverseProxy{FlushInterval: -1,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		Transport:    &http.Transport{DialContext: dialEngine}}
	socket := filepath.Join(t.TempDir(), "engine.sock")
	listener, err := net.Listen("unix", socket)
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, engine) })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "unix://" + socket
}

// dialEngine connects to the engine that the tests use.
func dialEngine(ctx context.Context, _, _ string) (net.Conn, error) {
	api, err := client.New(client.FromEnv)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	return api.Dialer()(ctx)
}

// loseReplies stands before the engine: every other request that changes something is carried out, and its reply is lost.
func loseReplies(t *testing.T) (host string, lost func() int) {
	var mu sync.Mutex
	changes, count := 0, 0
	host = inFront(t, func(w http.ResponseWriter, r *http.Request, engine http.Handler) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			engine.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		changes++
		lose := changes%2 == 1
		if lose {
			count++
		}
		mu.Unlock()
		if lose {
			w = discard{}
		}
		engine.ServeHTTP(w, r)
		if lose {
			panic(http.ErrAbortHandler)
		}
	})
	return host, func() int { mu.Lock(); defer mu.Unlock(); return count }
}

// discard is a reply that nobody gets.
type discard struct{}

func (d discard) Header() http.Header         { return http.Header{} }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func TestLostRepliesDoubleNothingAndLoseNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(dbStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	host, lost := loseReplies(t)
	s, err := stack.NewSwarm(&stack.Options{Host: host, Retry: nuvlaops.RetryPolicy{Initial: 10 * time.Millisecond}})
	must(t, err)
	defer s.Close()
	must(t, s.Stop(t.Context(), b.stack, stack.StopOptions{Groups: [][]string{{"app"}, {"db"}}}))
	for name, want := range map[string]int{"app": 2, "db": 1} {
		if v := b.look().Service(name); !v.Stopped || v.Remembered != want || b.containers(b.stack+"_"+name) != 0 {
			t.Errorf("after stop: %+v, want it stopped with %d remembered and no container", v, want)
		}
	}
	plan, err := s.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
	must(t, err)
	must(t, s.Wipe(t.Context(), plan, stack.Unguarded))
	must(t, s.Start(t.Context(), b.stack, stack.StartOptions{Groups: [][]string{{"db"}, {"app"}}}))
	if v := b.look().Service("app"); v.Running != 2 || b.marks(b.stack+"_data") != 1 {
		t.Errorf("after start: %+v, %d starts on the volume; want 2 running and 1", v, b.marks(b.stack+"_data"))
	}
	if n := lost(); n < 3 {
		t.Errorf("%d replies lost: this test shows too little", n)
	}
}
