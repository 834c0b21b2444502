package testenv

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// Main is for TestMain: it runs the tests, removes everything that they made, and exits. Tests need it for the Shared
// servers only: what the others make is removed by themselves, and by any of them on SIGINT and SIGTERM. The functions after
// are called when the tests have ended, or are told to.
func Main(m *testing.M, after ...func()) {
	own().onSignal(after...)
	code := m.Run()
	for _, do := range after {
		do()
	}
	own().holdOn()
	ctx, cancel := context.WithTimeout(context.Background(), removalTime)
	defer cancel()
	if err := own().removeOwn(ctx, true); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// UseElasticsearch starts a server for one test and closes it at the test's end.
func UseElasticsearch(t testing.TB, opts ElasticsearchOptions) *Elasticsearch {
	t.Helper()
	return use(t, func(ctx context.Context) (*Elasticsearch, error) { return StartElasticsearch(ctx, opts) })
}

// UseZooKeeper starts a server for one test and closes it at the test's end.
func UseZooKeeper(t testing.TB, opts ZooKeeperOptions) *ZooKeeper {
	t.Helper()
	return use(t, func(ctx context.Context) (*ZooKeeper, error) { return StartZooKeeper(ctx, opts) })
}

// UseZooKeeperEnsemble starts an ensemble for one test and closes it at the test's end.
func UseZooKeeperEnsemble(t testing.TB, n int, opts ZooKeeperOptions) []*ZooKeeper {
	t.Helper()
	return use(t, func(ctx context.Context) (together[*ZooKeeper], error) { return StartZooKeeperEnsemble(ctx, n, opts) })
}

// UseElasticsearchCluster starts a cluster for one test and closes it at the test's end.
func UseElasticsearchCluster(t testing.TB, nodes ...ElasticsearchOptions) []*Elasticsearch {
	t.Helper()
	return use(t, func(ctx context.Context) (together[*Elasticsearch], error) {
		return StartElasticsearchCluster(ctx, nodes...)
	})
}

// UseS3 starts a server for one test and closes it at the test's end.
func UseS3(t testing.TB, opts S3Options) *S3 {
	t.Helper()
	return use(t, func(ctx context.Context) (*S3, error) { return StartS3(ctx, opts) })
}

// UseSwarm joins or makes the engine's swarm for one test and closes it at the test's end.
func UseSwarm(t testing.TB) *Swarm {
	t.Helper()
	return use(t, StartSwarm)
}

// UseVolume makes a volume for one test, whose servers must be asked for after it, and removes it at the test's end.
func UseVolume(t testing.TB) string {
	t.Helper()
	return string(use(t, func(ctx context.Context) (volume, error) {
		name, err := NewVolume(ctx)
		return volume(name), err
	}))
}

type closer interface{ Close(context.Context) error }

type together[T closer] []T

func (s together[T]) Close(ctx context.Context) (err error) {
	for _, it := range s {
		if closeErr := it.Close(ctx); closeErr != nil {
			err = closeErr
		}
	}
	return err
}

type volume string

func (v volume) Close(ctx context.Context) error { return RemoveVolume(ctx, string(v)) }

// use fails the test, and never skips it, when something cannot be started: the error says what to do.
func use[T closer](t testing.TB, start func(context.Context) (T, error)) T {
	t.Helper()
	own().onSignal()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	it, err := start(ctx)
	own().holdOn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		own().holdOn()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := it.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return it
}

// shared holds the servers of a test binary, each started by the test that needs it first. A server that did not start is
// not tried again: its error goes to every test that wants it.
type shared struct {
	mu      sync.Mutex
	keys    S3Keys
	servers map[string]func() (any, error)
}

func share[T any](t testing.TB, name string, start func(context.Context) (T, error)) T {
	t.Helper()
	p := own()
	p.onSignal()
	p.shared.mu.Lock()
	get := p.shared.servers[name]
	if get == nil {
		// It outlives this test, so it must not start on the test's context.
		get = sync.OnceValues(func() (any, error) {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			return start(ctx)
		})
		if p.shared.servers == nil {
			p.shared.servers = map[string]func() (any, error){}
		}
		p.shared.servers[name] = get
	}
	p.shared.mu.Unlock()
	it, err := get()
	p.holdOn()
	if err != nil {
		t.Fatal(err)
	}
	return it.(T)
}

// sharedKeys are random, and the same for all shared servers.
func (p *process) sharedKeys() S3Keys {
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	if p.shared.keys == (S3Keys{}) {
		p.shared.keys = NewS3Keys()
	}
	return p.shared.keys
}

// SharedElasticsearch returns the test binary's server of this version ("" for Elasticsearch811), which the first call
// starts and Main closes. The keys of SharedS3 are in its keystore. Use names of your own in it, and never stop it.
func SharedElasticsearch(t testing.TB, version string) *Elasticsearch {
	t.Helper()
	if version == "" {
		version = Elasticsearch811
	}
	return share(t, "elasticsearch "+version, func(ctx context.Context) (*Elasticsearch, error) {
		return StartElasticsearch(ctx, ElasticsearchOptions{Version: version, S3: own().sharedKeys()})
	})
}

// SharedZooKeeper returns the test binary's server of this version ("" for ZooKeeper34). Use a path of your own in it, and
// never stop it.
func SharedZooKeeper(t testing.TB, version string) *ZooKeeper {
	t.Helper()
	if version == "" {
		version = ZooKeeper34
	}
	return share(t, "zookeeper "+version, func(ctx context.Context) (*ZooKeeper, error) {
		return StartZooKeeper(ctx, ZooKeeperOptions{Version: version})
	})
}

// SharedS3 returns the test binary's S3 server. Use a bucket of your own in it, and never stop it.
func SharedS3(t testing.TB) *S3 {
	t.Helper()
	return share(t, "s3", func(ctx context.Context) (*S3, error) {
		return StartS3(ctx, S3Options{Keys: own().sharedKeys()})
	})
}
