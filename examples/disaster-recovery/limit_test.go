package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

// request sends METHOD /PATH with a body to a server, and returns its answer.
func request(t *testing.T, server *testenv.Elasticsearch, what, body string) (status int, answer string) {
	t.Helper()
	method, path, _ := strings.Cut(what, " ")
	req, err := http.NewRequestWithContext(t.Context(), method, server.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// What is restored may be over the limit with its replicas: it comes back, and then no index can be made, nor a data stream go on.
func TestANewElasticsearchTakesIndicesAlsoAfterTheRestore(t *testing.T) {
	server := testenv.UseElasticsearch(t, testenv.ElasticsearchOptions{})
	must := func(what, body string) {
		t.Helper()
		if status, answer := request(t, server, what, body); status >= 300 {
			t.Fatalf("%s: %d %s", what, status, answer)
		}
	}
	must("PUT /_snapshot/r", `{"type":"fs","settings":{"location":"limit"}}`)
	for _, index := range []string{"nuvla-a", "nuvla-b"} {
		must("PUT /"+index, `{"settings":{"number_of_shards":3,"number_of_replicas":1}}`)
	}
	must("PUT /_snapshot/r/s?wait_for_completion=true", `{"indices":"nuvla-*","feature_states":["none"]}`)
	must("DELETE /nuvla-a,nuvla-b", "")
	must("PUT /_cluster/settings", `{"persistent":{"cluster.max_shards_per_node":10}}`) // as the default is to years of data
	r := takenUp(t, "wipe")
	r.cfg.repository, r.cfg.indices = "r", []string{"nuvla-*"}
	if err := r.talkTo(server.URL()); err != nil {
		t.Fatal(err)
	}
	plan, err := r.planned(t.Context(), "s")
	if err == nil {
		_, err = r.restorer.Apply(t.Context(), plan, restore.ApplyOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	must("PUT /nuvla-next", `{"settings":{"number_of_shards":3,"number_of_replicas":1}}`)
	if warnings := r.remembered().Warnings; len(warnings) != 1 || !strings.Contains(warnings[0], "raised to 2000") {
		t.Errorf("it warns %q, want it to say that the limit was raised", warnings)
	}
}
