package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/snapshot"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// rig is a repository in a bucket with one snapshot of two indices, which are there too, and files of its own.
type rig struct {
	*testing.T
	es      *testenv.Elasticsearch
	s3      *testenv.S3
	id      string
	repo    *snapshot.Repo
	taken   *snapshot.Snapshot
	folder  string
	cluster string
}

// newRig makes one of so many documents of 2 kB in the index "a", which has 3 shards; "b" has 7 documents.
func newRig(t *testing.T, id string, documents int) *rig {
	t.Helper()
	r := &rig{T: t, es: testenv.SharedElasticsearch(t, ""), s3: testenv.SharedS3(t), id: id, folder: t.TempDir()}
	if err := r.s3.CreateBucket(t.Context(), r.bucket()); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.repo, err = snapshot.New(r.es.Client(), r.repository(), nil); err != nil {
		t.Fatal(err)
	}
	r.register("")
	r.fill("a", 3, documents, 2000)
	r.fill("b", 1, 7, 10)
	manifest, err := os.Create(r.path("manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer manifest.Close()
	r.taken, err = r.repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{r.index("*")}, Manifest: manifest})
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Name string `json:"cluster_name"`
	}
	r.get("/_cluster/state/version", &state)
	r.cluster = state.Name
	t.Cleanup(func() { r.T = nil; r.clean() })
	return r
}

func (r *rig) bucket() string           { return "bucket-" + r.id }
func (r *rig) repository() string       { return "repo-" + r.id }
func (r *rig) index(name string) string { return "nuvla-" + r.id + "-" + name }
func (r *rig) path(name string) string  { return filepath.Join(r.folder, name) }

// register registers the repository, with further settings as JSON members.
func (r *rig) register(further string) {
	r.send("PUT", "/_snapshot/"+r.repository(), fmt.Sprintf(`{"type":"s3","settings":{"bucket":%q,"endpoint":%q,"path_style_access":true%s}}`, r.bucket(), r.s3.Endpoint(), further))
}

func (r *rig) fill(name string, shards, documents, size int) {
	r.send("PUT", "/"+r.index(name), fmt.Sprintf(`{"settings":{"number_of_shards":%d,"number_of_replicas":2},"mappings":{"properties":{"text":{"type":"keyword","index":false,"doc_values":false}}}}`, shards))
	random := rand.New(rand.NewPCG(1, 2))
	for done := 0; done < documents; {
		var lines strings.Builder
		for ; done < documents && lines.Len() < 4<<20; done++ {
			noise := make([]byte, size)
			for i := range noise {
				noise[i] = byte('0' + random.IntN(64))
				if noise[i] == '\\' {
					noise[i] = '!'
				}
			}
			fmt.Fprintf(&lines, "{\"index\":{}}\n{\"n\":%d,\"text\":\"%s\"}\n", done, noise)
		}
		r.send("POST", "/"+r.index(name)+"/_bulk", lines.String())
	}
}

// wipe removes the indices, so that there is room for a restore.
func (r *rig) wipe() {
	for _, name := range r.indices() {
		r.send("DELETE", "/"+name, "")
	}
}

// indices are all of this rig, a drill's scratch too.
func (r *rig) indices() []string {
	var all map[string]json.RawMessage
	r.get("/*"+r.id+"-*/_alias?expand_wildcards=all", &all)
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// originals is what the server says of the indices, but for what time alone changes.
func (r *rig) originals() string {
	var state, stats map[string]any // whose keys come in any order
	r.get("/_cluster/state/metadata/*"+r.id+"-*?expand_wildcards=all&filter_path=metadata.indices", &state)
	r.get("/*"+r.id+"-*/_stats/docs?expand_wildcards=all&filter_path=indices.*.uuid,indices.*.primaries.docs", &stats)
	raw, err := json.MarshalIndent([]any{state, stats}, "", " ")
	if err != nil {
		r.fatalf("%v", err)
	}
	return string(raw)
}

func (r *rig) clean() {
	r.wipe()
	r.send("DELETE", "/_snapshot/"+r.repository(), "")
}

func (r *rig) get(path string, into any) {
	if raw := r.send("GET", path, ""); json.Unmarshal(raw, into) != nil {
		r.fatalf("GET %s: %.300s", path, raw)
	}
}

// send works also after the test, when T is nil.
func (r *rig) send(method, path, body string) []byte {
	req, err := http.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	if err != nil {
		r.fatalf("%v", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := r.es.Client().Perform(req)
	if err != nil {
		r.fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	if res.StatusCode > 299 || bytes.Contains(answer, []byte(`"errors":true`)) {
		r.fatalf("%s %s: %.300s", method, path, answer)
	}
	return answer
}

func (r *rig) fatalf(format string, args ...any) {
	if r.T == nil {
		panic(fmt.Sprintf(format, args...))
	}
	r.Helper()
	r.Fatalf(format, args...)
}

// result is how a run of the program ended.
type result struct {
	stdout, stderr string
	code           int
	err            error
}

// run runs the program, with what a person would type.
func (r *rig) run(ctx context.Context, typed string, args ...string) result {
	r.Helper()
	var stdout bytes.Buffer
	var stderr watched
	return r.runTo(ctx, &stdout, &stderr, typed, args...)
}

func (r *rig) runTo(ctx context.Context, stdout *bytes.Buffer, stderr *watched, typed string, args ...string) result {
	r.Helper()
	full := slices.Concat(args[:1], []string{"-es", r.es.URL(), "-repository", r.repository(), "-marks", r.path("marks.json")}, args[1:])
	err := runWith(ctx, full, strings.NewReader(typed), stdout, stderr)
	r.Logf("%v: %v\n%s%s", args, err, stderr, stdout)
	return result{stdout.String(), stderr.String(), cli.ExitCode(err), err}
}

// decode reads what the program printed as JSON.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %.500s", err, text)
	}
	return v
}

// watched is standard error; seen is called with each piece that is written.
type watched struct {
	testenv.Buffer
	seen func(string)
}

func (w *watched) Write(p []byte) (int, error) {
	if w.seen != nil {
		w.seen(string(p))
	}
	return w.Buffer.Write(p)
}
