package main

import (
	"strings"
	"testing"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/snapshot"
)

// backedUpEmpty: cron has backed up the Elasticsearch that has lost its data, before anybody was woken. That is not taken for
// the backup that is meant.
func (d *demo) backedUpEmpty(t *testing.T) {
	client := d.platform.client
	send := func(req esapi.Request) {
		t.Helper()
		if err := es.Send(t.Context(), client, req, nil); err != nil {
			t.Fatal(err)
		}
	}
	repo, err := snapshot.New(client, repository, nil)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := d.plan(t)
	meant := before.Snapshot.Name
	send(esapi.IndexRequest{Index: "nuvla-session", DocumentID: "1", Refresh: "true", Body: strings.NewReader(`{}`)}) // as core services that still run do
	report, err := snapshot.Cycle(t.Context(), repo, snapshot.CycleOptions{Settings: new(d.settings())})
	if err != nil {
		t.Fatal(err)
	}
	there := d.volumes(t)
	out, code := d.runRecovery(t)
	if code != cli.ExitRefused || !strings.Contains(out, "may have been taken after the data was lost") || !strings.Contains(out, "documents, and "+meant+" of") {
		t.Errorf("exit code %d, want %d, and the larger one named:\n%s", code, cli.ExitRefused, out)
	}
	if diff := cmp.Diff(there, d.volumes(t)); diff != "" {
		t.Errorf("volumes and containers (-before +after):\n%s", diff)
	}
	if got, code := d.plan(t, "-snapshot", meant); code != cli.ExitOK || got.Snapshot.Name != meant {
		t.Errorf("the one that is named: exit code %d, %+v", code, got)
	}
	send(esapi.SnapshotDeleteRequest{Repository: repository, Snapshot: []string{report.Snapshot.Name}})
	send(esapi.SnapshotDeleteRepositoryRequest{Repository: []string{repository}})
	send(esapi.IndicesDeleteRequest{Index: []string{"nuvla-session"}})
}
