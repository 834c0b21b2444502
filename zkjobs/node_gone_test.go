package zkjobs_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// A node takes its parts of a point in time along, and other copies of the same shards do not know it.
func TestJobsAreReadAgainWhenANodeIsGoneInTheMiddle(t *testing.T) {
	for _, version := range []string{testenv.Elasticsearch811, testenv.Elasticsearch9} { // which say it in other words
		t.Run(version, func(t *testing.T) { t.Parallel(); nodeIsGone(t, version) })
	}
}

func nodeIsGone(t *testing.T, version string) {
	nodes := testenv.UseElasticsearchCluster(t, testenv.ElasticsearchOptions{Version: version, Heap: "400m"},
		testenv.ElasticsearchOptions{Version: version, Heap: "400m", Settings: map[string]string{"node.roles": "data"}})
	both := must[*es.Transport](t)(es.Dial(es.Access{Addresses: []string{nodes[0].URL(), nodes[1].URL()}, Transport: &http.Transport{}}))
	x := &index{t: t, server: nodes[0], client: nodes[0].Client(), name: "nuvla-job"}
	x.send("PUT", "/"+x.name, `{"settings":{"number_of_shards":3,"number_of_replicas":1},"mappings":`+jobMapping(t)+`}`)
	docs, want := someDocs(60)
	x.add(docs)
	x.send("GET", "/_cluster/health?wait_for_status=green&timeout=60s", "")
	f := &interferer{Client: both, before: func(search int, _ string) {
		if search == 3 {
			if err := nodes[1].Kill(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}}
	s := must[*zkjobs.Documents](t)(zkjobs.NewDocuments(f, &zkjobs.DocumentsOptions{Index: x.name, PageSize: 10}))
	q := newQueueOf(t, testenv.ZooKeeper39)
	plan, err := q.rebuilder(s).Plan(t.Context(), zkjobs.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(plan.Jobs); n != len(want) {
		t.Errorf("%d of %d jobs are in the plan", n, len(want))
	}
	if f.searches > 20 { // 6 for all of them, 2 before
		t.Errorf("%d searches: those of a point in time that is gone were repeated", f.searches)
	}
}
