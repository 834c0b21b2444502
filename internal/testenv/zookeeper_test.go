package testenv_test

import (
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

func TestZooKeeperKeepsDataThroughAKill(t *testing.T) {
	for _, version := range []string{testenv.ZooKeeper34, testenv.ZooKeeper39} {
		t.Run(version, func(t *testing.T) {
			server := testenv.UseZooKeeper(t, testenv.ZooKeeperOptions{Version: version})
			conn := connect(t, server.Addr())
			if _, err := conn.Create("/kept", []byte("x"), 0, zk.WorldACL(zk.PermAll)); err != nil {
				t.Fatal(err)
			}
			if err := server.Kill(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := server.Mode(t.Context()); err == nil {
				t.Error("a killed server serves")
			}
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			data, _, err := connect(t, server.Addr()).Get("/kept")
			if err != nil || string(data) != "x" {
				t.Errorf("after the kill: %q, %v", data, err)
			}
			if mode, err := server.Mode(t.Context()); mode != "standalone" {
				t.Errorf("mode %q, %v", mode, err)
			}
		})
	}
}

func TestZooKeeperEnsembleOutlivesItsLeader(t *testing.T) {
	servers := testenv.UseZooKeeperEnsemble(t, 3, testenv.ZooKeeperOptions{Version: testenv.ZooKeeper39})
	modes := func() (out []string) {
		for _, s := range servers {
			mode, err := s.Mode(t.Context())
			if err != nil {
				mode = "down"
			}
			out = append(out, mode)
		}
		return out
	}
	before := modes()
	if diff := cmp.Diff([]string{"follower", "follower", "leader"}, slices.Sorted(slices.Values(before))); diff != "" {
		t.Fatalf("modes (-want +got):\n%s", diff)
	}
	if err := servers[slices.Index(before, "leader")].Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		now := slices.Sorted(slices.Values(modes()))
		if slices.Equal(now, []string{"down", "follower", "leader"}) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no new leader: %v", now)
		}
	}
}

// connect returns a connection with a session.
func connect(t *testing.T, addr string) *zk.Conn {
	t.Helper()
	conn, events, err := zk.Connect([]string{addr}, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return conn
			}
		case <-time.After(20 * time.Second):
			t.Fatal("no session in 20 s")
		}
	}
}

type silent struct{}

func (silent) Printf(string, ...any) {}
