package snapshot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// place is a real server and a kind of repository on it.
type place struct {
	name    string
	version string
	s3      bool
}

var places = []place{
	{"8.11.3 s3", testenv.Elasticsearch811, true},
	{"8.11.3 fs", testenv.Elasticsearch811, false},
	{"8.19.7 fs", testenv.Elasticsearch819, false},
	{"9.5.0 fs", testenv.Elasticsearch9, false},
}

// s3Places say in two ways what is wrong with an S3 repository: later servers have another AWS SDK.
var s3Places = []place{places[0], {"9.5.0 s3", testenv.Elasticsearch9, true}}

func TestRealRepositoriesConform(t *testing.T) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			snapshottest.Conformance(t, func(t *testing.T) snapshottest.Target {
				b := p.bench(t)
				documents := map[string]int64{b.index("job"): 25, b.index("user"): 0}
				for name, n := range documents {
					b.fill(name, int(n))
				}
				return snapshottest.Target{Repo: b.repo, Settings: b.settings(), Broken: b.broken(), Indices: []string{b.index("*")}, Documents: documents}
			})
		})
	}
}

// bench is a repository and a prefix of indices for one test, which are removed with it.
type bench struct {
	t      testing.TB
	place  place
	server *testenv.Elasticsearch
	client snapshot.Client
	repo   *snapshot.Repo
	id     string
}

var benches atomic.Int64

func (p place) bench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, place: p, server: testenv.SharedElasticsearch(t, p.version), id: fmt.Sprintf("t%d", benches.Add(1))}
	b.client = b.server.Client()
	b.repo = b.open(b.client, nil)
	t.Cleanup(b.clean)
	return b
}

// open is another Repo of the same repository, over another client.
func (b *bench) open(client snapshot.Client, opts *snapshot.Options) *snapshot.Repo {
	b.t.Helper()
	repo, err := snapshot.New(client, "repo-"+b.id, opts)
	if err != nil {
		b.t.Fatal(err)
	}
	return repo
}

func (b *bench) clean() {
	b.t = afterTest{b.t}
	b.do("DELETE", "/_snapshot/"+b.repo.Name(), "", 404)
	for name := range b.do("GET", "/"+b.index("*")+"?expand_wildcards=all", "", 404) {
		if name != "error" && name != "status" {
			b.do("DELETE", "/"+name, "", 404)
		}
	}
}

// afterTest lends its context to cleanups, when the test's own has ended.
type afterTest struct{ testing.TB }

func (afterTest) Context() context.Context { return context.Background() }

func (b *bench) index(name string) string { return "nuvla-" + b.id + "-" + name }

func (b *bench) settings() snapshot.Settings {
	if !b.place.s3 {
		return snapshot.Settings{FS: &snapshot.FS{Location: testenv.ElasticsearchSharedPath + "/" + b.id}}
	}
	s3 := testenv.SharedS3(b.t)
	if err := s3.CreateBucket(b.t.Context(), "bucket-"+b.id); err != nil {
		b.t.Fatal(err)
	}
	return snapshot.Settings{S3: &snapshot.S3{Bucket: "bucket-" + b.id, Endpoint: s3.Endpoint(), PathStyleAccess: true}}
}

// broken are settings whose verification fails.
func (b *bench) broken() snapshot.Settings {
	if !b.place.s3 {
		return snapshot.Settings{FS: &snapshot.FS{Location: "/elsewhere"}}
	}
	return snapshot.Settings{S3: &snapshot.S3{Bucket: "no-such-bucket", Endpoint: testenv.SharedS3(b.t).Endpoint(), PathStyleAccess: true}}
}

func (b *bench) register() {
	b.t.Helper()
	b.ensure(b.settings())
}

// ensure registers, and has patience with the network's name server: Java remembers for 10 s that it did not know a name.
func (b *bench) ensure(s snapshot.Settings) {
	b.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Second) {
		_, err := b.repo.Ensure(b.t.Context(), s)
		switch {
		case err == nil:
			return
		case !strings.Contains(err.Error(), "host is not known") || time.Now().After(deadline):
			b.t.Fatal(err)
		}
	}
}

// fill makes an index of three shards with so many documents.
func (b *bench) fill(index string, documents int) {
	b.t.Helper()
	b.do("PUT", "/"+index, `{"settings":{"number_of_shards":3,"number_of_replicas":0}}`, 400)
	if documents == 0 {
		return
	}
	var lines strings.Builder
	for i := range documents {
		fmt.Fprintf(&lines, "{\"index\":{}}\n{\"n\":%d,\"text\":\"document %d of %s\"}\n", i, i, index)
	}
	b.do("POST", "/"+index+"/_bulk", lines.String())
}

// do sends a request and returns the answer; a status that is neither 2xx nor allowed fails the test.
func (b *bench) do(method, path, body string, allowed ...int) map[string]any {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	if !strings.HasSuffix(path, "/_bulk") {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := b.client.Perform(req)
	if err != nil {
		b.t.Errorf("%s %s: %v", method, path, err)
		return nil
	}
	defer res.Body.Close()
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(res.Body); err != nil {
		b.t.Errorf("%s %s: %v", method, path, err)
	}
	ok := res.StatusCode < 300 || slices.Contains(allowed, res.StatusCode)
	if !ok {
		b.t.Errorf("%s %s: %d %s", method, path, res.StatusCode, raw.String())
	}
	var answer map[string]any
	_ = json.Unmarshal(raw.Bytes(), &answer)
	return answer
}
