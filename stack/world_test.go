package stack_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
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
	forward := &httputil.ReverseProxy{FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", "/var/run/docker.sock")
		}}}
	socket := filepath.Join(t.TempDir(), "engine.sock")
	listener, err := net.Listen("unix", socket)
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/tasks") {
			once.Do(do)
		}
		forward.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "unix://" + socket
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
