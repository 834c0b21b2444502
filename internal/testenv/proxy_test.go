package testenv_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

func TestHTTPProxyHarmsByRule(t *testing.T) {
	const page = "a reply of some length"
	isPut := func(r testenv.Request) bool { return r.Method == "PUT" && r.Path == "/it" }
	tests := []struct {
		name  string
		fault testenv.Fault
		// of four PUTs: what the client sees of each, and how many reach the server
		want    []string
		reached int
	}{
		{"none", testenv.Fault{Match: isPut, Nth: 99}, []string{"200", "200", "200", "200"}, 4},
		{"cut before", testenv.Fault{Match: isPut, Nth: 2, Do: testenv.CutBefore}, []string{"200", "cut", "200", "200"}, 3},
		{"reply lost", testenv.Fault{Match: isPut, Nth: 2, Do: testenv.CutAfter}, []string{"200", "cut", "200", "200"}, 4},
		{"half a reply", testenv.Fault{Match: isPut, Do: testenv.CutMidway}, []string{"200 half", "200", "200", "200"}, 4},
		{"hang", testenv.Fault{Match: isPut, Nth: 3, Do: testenv.Hang}, []string{"200", "200", "late", "200"}, 3},
		{"answer", testenv.Fault{Match: isPut, Nth: 3, Times: -1, Do: testenv.Answer}, []string{"200", "200", "502", "502"}, 2},
		{"twice", testenv.Fault{Match: isPut, Times: 2, Do: testenv.Answer, Status: 429, Body: "{}"}, []string{"429", "429", "200", "200"}, 2},
		{"another path", testenv.Fault{Match: func(r testenv.Request) bool { return r.Path == "/else" }, Times: -1}, []string{"200", "200", "200", "200"}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var reached atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); string(body) != "body" {
					t.Errorf("the server got %q", body)
				}
				reached.Add(1)
				_, _ = io.WriteString(w, page)
			}))
			defer server.Close()
			proxy := newProxy(t, testenv.NewHTTPProxy, server.URL)
			proxy.Inject(tt.fault)
			client := &http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			var got []string
			for range 4 {
				got = append(got, put(client, proxy.URL()+"/it?q=1", page))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("what the client saw (-want +got):\n%s", diff)
			}
			if int(reached.Load()) != tt.reached {
				t.Errorf("%d requests reached the server, want %d", reached.Load(), tt.reached)
			}
			if seen := proxy.Requests(); len(seen) != 4 || seen[3] != (testenv.Request{N: 4, Method: "PUT", Path: "/it"}) {
				t.Errorf("requests: %v", seen)
			}
		})
	}
}

func put(client *http.Client, url, page string) string {
	req, err := http.NewRequest(http.MethodPut, url, strings.NewReader("body"))
	if err != nil {
		return err.Error()
	}
	res, err := client.Do(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "late"
	case err != nil:
		return "cut"
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	status := fmt.Sprint(res.StatusCode)
	if err != nil && len(body) > 0 && strings.HasPrefix(page, string(body)) {
		return status + " half"
	}
	return status
}

func TestProxyLeavesNoGoroutine(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	before := runtime.NumGoroutine()
	proxy, err := testenv.NewHTTPProxy(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy.Inject(testenv.Fault{Nth: 2, Times: -1, Do: testenv.Hang})
	client := &http.Client{Transport: &http.Transport{}}
	var calls sync.WaitGroup
	for range 5 {
		calls.Go(func() { put(client, proxy.URL(), "") })
	}
	for len(proxy.Requests()) < 5 {
		time.Sleep(time.Millisecond)
	}
	if err := proxy.Close(); err != nil {
		t.Error(err)
	}
	calls.Wait()
	client.CloseIdleConnections()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
	if _, err := net.Dial("tcp", proxy.Addr()); err == nil {
		t.Error("a closed proxy accepts")
	}
}

func TestZooKeeperProxyLosesRepliesByOperation(t *testing.T) {
	server := testenv.SharedZooKeeper(t, "")
	direct := connect(t, server.Addr())
	acl := zk.WorldACL(zk.PermAll)
	tests := []struct {
		name string
		do   testenv.Action
		done bool // on the server, although the client got an error
	}{
		{"before", testenv.CutBefore, false},
		{"after", testenv.CutAfter, true},
		{"midway", testenv.CutMidway, true},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			proxy := newProxy(t, testenv.NewZooKeeperProxy, server.Addr())
			conn := connect(t, proxy.Addr())
			one, two := fmt.Sprintf("/proxy-%d-a", i), fmt.Sprintf("/proxy-%d-b", i)
			if _, err := conn.Create(one, nil, 0, acl); err != nil {
				t.Fatal(err)
			}
			proxy.Inject(testenv.Fault{Do: tt.do, Match: func(r testenv.Request) bool { return r.Method == "create" && r.Path == two }})
			if _, err := conn.Create(two, nil, 0, acl); !errors.Is(err, zk.ErrConnectionClosed) {
				t.Errorf("create through the fault: %v", err)
			}
			if done, _, err := direct.Exists(two); err != nil || done != tt.done {
				t.Errorf("done is %t, %v; want %t", done, err, tt.done)
			}
			if ok, _, err := conn.Exists(one); !ok || err != nil { // the client has connected again
				t.Errorf("after the fault: %t, %v", ok, err)
			}
		})
	}
}

func TestTCPProxyCountsConnections(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	proxy := newProxy(t, testenv.NewTCPProxy, server.Listener.Addr().String())
	proxy.Inject(testenv.Fault{Nth: 2}, testenv.Fault{Nth: 3, Do: testenv.CutAfter}, testenv.Fault{Nth: 4, Do: testenv.Hang})
	client := &http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	var got []string
	for range 5 {
		got = append(got, put(client, proxy.URL(), ""))
	}
	if diff := cmp.Diff([]string{"200", "cut", "cut", "late", "200"}, got); diff != "" {
		t.Errorf("what the client saw (-want +got):\n%s", diff)
	}
}

func newProxy(t *testing.T, kind func(string) (*testenv.Proxy, error), target string) *testenv.Proxy {
	t.Helper()
	proxy, err := kind(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	return proxy
}
