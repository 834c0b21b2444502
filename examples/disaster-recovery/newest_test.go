package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

// The samples of a time series bear the clocks of the edges, some of which are ahead.
func TestTheNewestDocumentIsNoneThatIsDatedAfterTheSnapshot(t *testing.T) {
	end := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	at := func(d time.Duration) string { return end.Add(d).Format("2006-01-02T15:04:05.000Z") }
	server := testenv.UseElasticsearch(t, testenv.ElasticsearchOptions{})
	for _, sent := range [][2]string{
		{"PUT /_index_template/ts", fmt.Sprintf(`{"index_patterns":["nuvla-ts*"],"data_stream":{},"template":{
			"settings":{"index.mode":"time_series","index.routing_path":["edge"],"index.time_series.start_time":%q,"index.time_series.end_time":%q},
			"mappings":{"properties":{"@timestamp":{"type":"date"},"edge":{"type":"keyword","time_series_dimension":true}}}}}`, at(-24*time.Hour), at(2*time.Hour))},
		{"POST /nuvla-ts/_doc?refresh", fmt.Sprintf(`{"edge":"ahead","@timestamp":%q}`, at(20*time.Minute))},
		{"POST /nuvla-ts/_doc?refresh", fmt.Sprintf(`{"edge":"right","@timestamp":%q}`, at(-5*time.Minute))},
		{"POST /nuvla-user/_doc?refresh", fmt.Sprintf(`{"updated":%q}`, at(-10*time.Minute))},
		{"PUT /nuvla-epoch", `{"mappings":{"properties":{"timestamp":{"type":"long"}}}}`}, // by others than Nuvla
		{"POST /nuvla-epoch/_doc?refresh", fmt.Sprintf(`{"updated":%q,"timestamp":1}`, at(-3*time.Minute))},
		{"PUT /nuvla-day", `{"mappings":{"properties":{"created":{"type":"date","format":"yyyy/MM/dd"}}}}`},
		{"POST /nuvla-day/_doc?refresh", fmt.Sprintf(`{"updated":%q,"created":"2020/01/02"}`, at(-2*time.Minute))},
		{"POST /nuvla-user/_doc?refresh", `{"updated":"2099-01-01T00:00:00.000Z"}`},
	} {
		if status, answer := request(t, server, sent[0], sent[1]); status >= 300 {
			t.Fatalf("%s: %d %s", sent[0], status, answer)
		}
	}
	r := takenUp(t)
	r.cfg.repository, r.cfg.indices, r.state.Plan = "r", []string{"nuvla-*"}, &restore.Plan{Snapshot: restore.Snapshot{End: end}}
	if err := r.talkTo(server.URL()); err != nil {
		t.Fatal(err)
	}
	if newest, err := r.newestDocument(t.Context()); err != nil || !newest.Equal(end.Add(-2*time.Minute)) {
		t.Errorf("%s after the snapshot, %v; want 2 minutes before", newest.Sub(end), err)
	}
	r.state.Plan = nil // the restore was left out
	if newest, err := r.newestDocument(t.Context()); err != nil || !newest.Equal(end.Add(20*time.Minute)) {
		t.Errorf("%s after the snapshot, %v; want the newest before now", newest.Sub(end), err)
	}
}
