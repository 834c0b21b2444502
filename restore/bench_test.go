package restore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

func TestMain(m *testing.M) {
	if asDrillChild() {
		return
	}
	if url, file, found := strings.Cut(os.Getenv(childVariable), " "); found {
		if err := child(url, file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testenv.Main(m)
}

// place is a real server and a kind of repository on it.
type place struct {
	version string
	s3      bool
}

var places = []place{
	{testenv.Elasticsearch811, true},
	{testenv.Elasticsearch811, false},
	{testenv.Elasticsearch819, false},
	{testenv.Elasticsearch9, false},
}

func (p place) kind() string {
	if p.s3 {
		return "s3"
	}
	return "fs"
}

// at runs a test at places: side by side on different servers, one after the other on the same, whose settings they change.
func at(t *testing.T, places []place, test func(*testing.T, place)) {
	t.Helper()
	byServer := map[string][]place{}
	for _, p := range places {
		byServer[p.version] = append(byServer[p.version], p)
	}
	for version, places := range byServer {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			for _, p := range places {
				t.Run(p.kind(), func(t *testing.T) { test(t, p) })
			}
		})
	}
}

// bench is a repository and a prefix of indices for one test, which are removed with it.
type bench struct {
	t      testing.TB
	place  place
	server *testenv.Elasticsearch
	s3     *testenv.S3
	client restore.Client
	repo   *restore.Repo
	id     string
}

var benches atomic.Int64

func (p place) bench(t testing.TB) *bench {
	t.Helper()
	return p.benchOn(t, testenv.SharedElasticsearch(t, p.version), nil)
}

// benchOn is a bench on a server of its own; s3 nil means the shared one.
func (p place) benchOn(t testing.TB, server *testenv.Elasticsearch, s3 *testenv.S3) *bench {
	t.Helper()
	b := &bench{t: t, place: p, server: server, s3: s3, client: server.Client(), id: fmt.Sprintf("t%d", benches.Add(1))}
	if p.s3 && s3 == nil {
		b.s3 = testenv.SharedS3(t)
	}
	b.repo = b.open(b.client, nil)
	b.register("")
	t.Cleanup(b.clean)
	return b
}

// open is another Repo of the same repository, over another client.
func (b *bench) open(client restore.Client, opts *restore.Options) *restore.Repo {
	b.t.Helper()
	repo, err := restore.New(client, b.repository(), opts)
	if err != nil {
		b.t.Fatal(err)
	}
	return repo
}

func (b *bench) repository() string       { return "repo-" + b.id }
func (b *bench) bucket() string           { return "bucket-" + b.id }
func (b *bench) index(name string) string { return "nuvla-" + b.id + "-" + name }
func (b *bench) patterns() []string       { return []string{b.index("*")} }
func (b *bench) request() restore.Request {
	return restore.Request{Snapshot: "snap", Indices: b.patterns()}
}

// register registers the repository, with further settings as JSON members.
func (b *bench) register(further string) {
	b.t.Helper()
	body := `{"type":"fs","settings":{"location":"` + testenv.ElasticsearchSharedPath + "/" + b.id + `"` + further + `}}`
	if b.place.s3 {
		if err := b.s3.CreateBucket(b.t.Context(), b.bucket()); err != nil {
			b.t.Fatal(err)
		}
		body = fmt.Sprintf(`{"type":"s3","settings":{"bucket":%q,"endpoint":%q,"path_style_access":true%s}}`, b.bucket(), b.s3.Endpoint(), further)
	}
	b.do("PUT", "/_snapshot/"+b.repository(), body)
}

func (b *bench) clean() {
	b.t = afterTest{b.t}
	b.wipe()
	b.do("DELETE", "/_snapshot/"+b.repository(), "", 404)
}

// wipe removes the indices of this bench, open, closed and renamed.
func (b *bench) wipe() {
	for name := range b.do("GET", "/*"+b.id+"-*?expand_wildcards=all", "", 404) {
		if name != "error" && name != "status" {
			b.do("DELETE", "/"+name, "", 404, 400) // 400: a data stream's, which the assembled server cannot delete
		}
	}
}

// afterTest lends its context to cleanups, when the test's own has ended.
type afterTest struct{ testing.TB }

func (afterTest) Context() context.Context { return context.Background() }

// fill makes an index of so many shards, two replicas and documents of a size that does not compress.
func (b *bench) fill(index string, shards, documents, size int) {
	b.t.Helper()
	b.do("PUT", "/"+index, fmt.Sprintf(`{"settings":{"number_of_shards":%d,"number_of_replicas":2},"mappings":{"properties":{"text":{"type":"keyword","index":false,"doc_values":false}}}}`, shards))
	random := rand.New(rand.NewPCG(1, 2))
	for done := 0; done < documents; {
		var lines strings.Builder
		for ; done < documents && lines.Len() < 4<<20; done++ {
			fmt.Fprintf(&lines, "{\"index\":{}}\n{\"n\":%d,\"text\":\"%s\"}\n", done, noise(random, size))
		}
		b.do("POST", "/"+index+"/_bulk", lines.String())
	}
}

func noise(random *rand.Rand, size int) string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	out := make([]byte, size)
	var bits uint64
	for i := range out {
		if i%10 == 0 { // six bits each
			bits = random.Uint64()
		}
		out[i] = letters[bits%64]
		bits /= 64
	}
	return string(out)
}

// snapshot takes one with a manifest, as package snapshot does.
func (b *bench) snapshot(name string) {
	b.t.Helper()
	conn := &es.Conn{Client: b.client}
	counts, err := conn.CountDocuments(b.t.Context(), b.patterns()...)
	if err != nil {
		b.t.Fatal(err)
	}
	documents := map[string]int64{}
	for index, c := range counts {
		documents[index] = c.Documents
	}
	metadata, _ := json.Marshal(es.Metadata("run", es.NewManifest(documents), nil))
	answer := b.do("PUT", "/_snapshot/"+b.repository()+"/"+name+"?wait_for_completion=true",
		fmt.Sprintf(`{"indices":%q,"include_global_state":true,"feature_states":["none"],"metadata":%s}`, strings.Join(b.patterns(), ","), metadata))
	if state := answer["snapshot"].(map[string]any)["state"]; state != "SUCCESS" {
		b.t.Fatalf("snapshot is %v", state)
	}
}

// settings are the cluster's own, flat.
func (b *bench) settings() es.ClusterSettings {
	b.t.Helper()
	s, err := (&es.Conn{Client: b.client}).ClusterSettings(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

const limitSetting = "indices.recovery.max_bytes_per_sec"

// limit is the transient limit of recovery.
func (b *bench) limit() string { return b.settings().Transient[limitSetting] }

// setLimit sets the transient limit of recovery, and takes it away after the test.
func (b *bench) setLimit(value string) {
	b.do("PUT", "/_cluster/settings", fmt.Sprintf(`{"transient":{%q:%q}}`, limitSetting, value))
	b.t.Cleanup(func() {
		b.t = afterTest{b.t}
		b.do("PUT", "/_cluster/settings", fmt.Sprintf(`{"transient":{%q:null}}`, limitSetting))
	})
}

// plan makes one that can be applied.
func (b *bench) plan(req restore.Request) *restore.Plan {
	b.t.Helper()
	p, err := b.repo.Plan(b.t.Context(), req)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func codes(p *restore.Plan, severity string) []string {
	var out []string
	for _, f := range p.Findings {
		if f.Severity == severity {
			out = append(out, f.Code)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// do sends a request and returns the answer; a status that is neither 2xx nor allowed fails the test.
func (b *bench) do(method, path, body string, allowed ...int) map[string]any {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.HasSuffix(path, "/_bulk") {
		req.Header.Set("Content-Type", "application/x-ndjson")
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
	if res.StatusCode >= 300 && !slices.Contains(allowed, res.StatusCode) {
		b.t.Errorf("%s %s: %d %.500s", method, path, res.StatusCode, raw.String())
	}
	var answer map[string]any
	_ = json.Unmarshal(raw.Bytes(), &answer)
	return answer
}
