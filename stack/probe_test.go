package stack_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops/stack"
)

func TestProbesSayWhetherAServerServes(t *testing.T) {
	status := func(code int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(server.Close)
		return server.URL
	}
	zookeeper := func(answer string) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = io.ReadFull(conn, make([]byte, len("srvr")))
				_, _ = io.WriteString(conn, answer)
				_ = conn.Close()
			}
		}()
		return listener.Addr().String()
	}
	for _, c := range []struct {
		name  string
		probe func(context.Context) error
		says  string // "" when it serves
	}{
		{"HTTP 200", stack.ProbeHTTP(status(200)), ""},
		{"HTTP 408, as of Elasticsearch that is red", stack.ProbeHTTP(status(408)), "HTTP 408"},
		{"HTTP, nobody there", stack.ProbeHTTP("http://127.0.0.1:1/"), "refused"},
		{"ZooKeeper with a mode", stack.ProbeZooKeeper(zookeeper("Zookeeper version: 3.4.13\nMode: standalone\n")), ""},
		{"ZooKeeper without a quorum", stack.ProbeZooKeeper(zookeeper("This ZooKeeper instance is not currently serving requests\n")), "does not serve"},
		{"ZooKeeper, nobody there", stack.ProbeZooKeeper("127.0.0.1:1"), "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.probe(t.Context())
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("probe says %v, want %q", err, c.says)
			}
		})
	}
}

func TestAProbeOfAServerThatNeverAnswersEndsWithItsContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	must(t, err)
	defer listener.Close()
	for name, probe := range map[string]func(context.Context) error{
		"HTTP":      stack.ProbeHTTP("http://" + listener.Addr().String()),
		"ZooKeeper": stack.ProbeZooKeeper(listener.Addr().String()),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := probe(ctx); err == nil {
			t.Errorf("%s: no error", name)
		}
		cancel()
	}
}

func TestAProbeKeepsThePasswordOfItsAddressToItself(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for _, url := range []string{strings.Replace(server.URL, "http://", "http://elastic:hunter2@", 1), "http://elastic:hunter2@127.0.0.1:port/"} {
		if err := stack.ProbeHTTP(url)(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("probe says %v, want a failure without the password", err)
		}
	}
}

func TestAProbeWhoseReplyIsLostLeavesNoContainer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	host, lost := loseReplies(t)
	s, err := stack.NewSwarm(&stack.Options{Host: host})
	must(t, err)
	defer s.Close()
	if err := s.ProbeFrom("none", b.image, "/testservice", "ok")(t.Context()); err == nil || lost() == 0 {
		t.Fatalf("the probe says %v, %d replies were lost: this test shows nothing", err, lost())
	}
	list, err := b.api.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", "org.nuvla.ops.probe=none")})
	must(t, err)
	for _, c := range list.Items {
		t.Errorf("container %v is left", c.Names)
		_, _ = b.api.ContainerRemove(t.Context(), c.ID, client.ContainerRemoveOptions{Force: true})
	}
}
