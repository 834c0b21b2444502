package testenv_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childVar); role == "program" || role == "kept" { // which do without Main
		os.Exit(m.Run())
	}
	testenv.Main(m, func() { _ = os.RemoveAll(os.Getenv(builtVar)) })
}

func TestElasticsearchSnapshotsToS3AndSurvivesAKill(t *testing.T) {
	es, s3 := testenv.SharedElasticsearch(t, ""), testenv.SharedS3(t)
	ctx := t.Context()
	if err := s3.CreateBucket(ctx, "round-trip"); err != nil {
		t.Fatal(err)
	}
	var bulk strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&bulk, "{\"index\":{\"_id\":\"%d\"}}\n{\"n\":%d}\n", i, i)
	}
	call(t, es, "POST", "/docs/_bulk?refresh=true", bulk.String(), 200)
	call(t, es, "PUT", "/_snapshot/s3", fmt.Sprintf(`{"type":"s3","settings":{
		"bucket":"round-trip","endpoint":%q,"path_style_access":true}}`, s3.Endpoint()), 200)
	call(t, es, "PUT", "/_snapshot/s3/one?wait_for_completion=true", `{"indices":"docs"}`, 200)
	call(t, es, "DELETE", "/docs", "", 200)

	addr := es.Addr()
	if err := es.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(es.URL()); err == nil {
		t.Error("a killed server answers")
	}
	if err := es.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if es.Addr() != addr {
		t.Errorf("address was %s, is %s", addr, es.Addr())
	}
	call(t, es, "POST", "/_snapshot/s3/one/_restore?wait_for_completion=true", "", 200)
	if got := call(t, es, "GET", "/docs/_count", "", 200); !strings.Contains(got, `"count":1000`) {
		t.Errorf("count after restore: %s", got)
	}
	testReloadOfSecrets(ctx, t, es, s3)
}

func TestElasticsearchTakesSettingsASmallDiskAndASharedVolume(t *testing.T) {
	volume := testenv.UseVolume(t)
	es := testenv.UseElasticsearch(t, testenv.ElasticsearchOptions{
		Version:      testenv.Elasticsearch819,
		Settings:     map[string]string{"cluster.name": "small", "node.attr.rack": "r1"},
		Heap:         "400m",
		DataSize:     64 << 20,
		SharedVolume: volume,
	})
	info := call(t, es, "GET", "/_nodes/_local?filter_path=cluster_name,nodes.*.version,nodes.*.attributes.rack", "", 200)
	stats := call(t, es, "GET", "/_nodes/stats/fs,jvm?filter_path=nodes.*.fs.total.total_in_bytes,nodes.*.jvm.mem.heap_max_in_bytes", "", 200)
	for _, want := range []string{`"small"`, `"8.19.7"`, `"r1"`, fmt.Sprint(64 << 20), fmt.Sprint(400 << 20)} {
		if !strings.Contains(info+stats, want) {
			t.Errorf("no %s in %s %s", want, info, stats)
		}
	}
	call(t, es, "PUT", "/_snapshot/fs", fmt.Sprintf(`{"type":"fs","settings":{"location":"%s/here"}}`, testenv.ElasticsearchSharedPath), 200)
	if logs, err := es.Logs(t.Context()); err != nil || !strings.Contains(logs, "started") {
		t.Errorf("logs of %d bytes, %v", len(logs), err)
	}
}

// testReloadOfSecrets is a part of another test only to save the start of a server.
func testReloadOfSecrets(ctx context.Context, t *testing.T, es *testenv.Elasticsearch, s3 *testenv.S3) {
	right := s3.Keys()
	for _, step := range []struct {
		secret string
		want   int
	}{{"wrong", 500}, {right.Secret, 200}} {
		if err := es.WriteSecret(ctx, "s3_secret_key", step.secret); err != nil {
			t.Fatal(err)
		}
		if err := es.ReloadSecrets(ctx); err != nil {
			t.Fatal(err)
		}
		call(t, es, "POST", "/_snapshot/s3/_verify", "", step.want)
	}
	if out, err := es.Exec(ctx, "cat", "/run/secrets/s3_secret_key"); err != nil || out != right.Secret {
		t.Errorf("the secret's file holds %d bytes, %v", len(out), err)
	}
}

func call(t *testing.T, es *testenv.Elasticsearch, method, path, body string, want int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := es.Client().Perform(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != want {
		t.Fatalf("%s %s: %s\n%s", method, path, res.Status, text)
	}
	return string(text)
}
