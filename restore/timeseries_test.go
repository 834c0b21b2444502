package restore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// series makes a time series data stream of two indices as Nuvla's api-server does, whose last one takes documents until a
// time, and returns its name. Where each index begins and ends would be said by a module that the assembled server lacks: here
// the template says it.
func (b *bench) series(name string, until time.Time) string {
	b.t.Helper()
	stream := b.index(name)
	for generation, from := range []time.Time{until.Add(-48 * time.Hour), until.Add(-24 * time.Hour)} {
		b.do("PUT", "/_index_template/"+b.id+name, fmt.Sprintf(`{"index_patterns":["%s*","copy-%s*"],"priority":500,"data_stream":{},"template":{
			"settings":{"index.mode":"time_series","index.routing_path":["nuvlaedge-id"],"number_of_shards":3,"number_of_replicas":1,
				"index.time_series.start_time":%q,"index.time_series.end_time":%q},
			"mappings":{"properties":{"@timestamp":{"type":"date"},"nuvlaedge-id":{"type":"keyword","time_series_dimension":true},
				"load":{"type":"double","time_series_metric":"gauge"}}}}}`, stream, stream, instant(from), instant(from.Add(24*time.Hour))))
		if generation > 0 {
			b.do("POST", "/"+stream+"/_rollover?wait_for_active_shards=0", "")
		}
		var lines strings.Builder
		for edge := range 20 {
			fmt.Fprintf(&lines, "{\"create\":{}}\n{\"@timestamp\":%q,\"nuvlaedge-id\":\"edge-%d\",\"load\":0.%d}\n", instant(from.Add(time.Hour+time.Duration(edge)*time.Minute)), edge, edge)
		}
		if answer := b.do("POST", "/"+stream+"/_bulk?refresh", lines.String()); answer["errors"] != false {
			b.t.Fatalf("%v", answer)
		}
	}
	return stream
}

// sample writes a document of this time to a time series, and reports whether the server takes it.
func (b *bench) sample(stream string, at time.Time) bool {
	b.t.Helper()
	answer := b.do("POST", "/"+stream+"/_doc", fmt.Sprintf(`{"@timestamp":%q,"nuvlaedge-id":"edge-1","load":1}`, instant(at)), 400)
	return answer["result"] == "created"
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// oldest is the first index of a data stream.
func (b *bench) oldest(stream string) string {
	b.t.Helper()
	return b.backing(stream).([]any)[0].(map[string]any)["backing_indices"].([]any)[0].(string)
}

func TestTimeSeriesComeBackWithoutWhatILMWasMakingOfThem(t *testing.T) {
	at(t, places[1:], func(t *testing.T, p place) {
		b := p.bench(t)
		stream := b.series("ts", time.Now().Add(2*time.Hour))
		b.do("PUT", "/downsample-1h-"+b.oldest(stream), `{"settings":{"index.hidden":true,"number_of_replicas":0}}`)
		b.do("PUT", "/_snapshot/"+b.repository()+"/snap?wait_for_completion=true", `{"indices":"*`+b.id+`-*","feature_states":["none"]}`) // as one of all indices
		req, none := b.request(), 0
		req.RenamePrefix, req.Replicas = "copy-", &none
		report, err := b.repo.Apply(t.Context(), b.plan(req), restore.ApplyOptions{})
		if err != nil || report.Documents != 40 || len(report.Indices) != 2 {
			t.Errorf("%v\n%s", err, report)
		}
		for index, x := range b.do("GET", "/copy-"+stream+"/_settings?flat_settings", "") {
			if n := x.(map[string]any)["settings"].(map[string]any)["index.number_of_replicas"]; n != "0" {
				t.Errorf("%s has %v replicas, want 0 as asked for", index, n)
			}
		}
		if !b.sample("copy-"+stream, time.Now()) || b.sample("copy-"+stream, time.Now().Add(-72*time.Hour)) {
			t.Error("it does not take what is of now, or takes what is older than its first index")
		}
		if report, err := b.drill(restore.DrillOptions{}); err != nil || report.Restore.Documents != 40 {
			t.Errorf("Drill: %v\n%s", err, report)
		}
	})
}

// The server moves the end on by itself, minutes later.
func TestTimeSeriesThatEndBeforeNowTakeDocumentsAtOnce(t *testing.T) {
	at(t, places[1:], func(t *testing.T, p place) {
		b := p.bench(t)
		end := time.Now().Add(-time.Hour)
		stream, other := b.series("old", end), b.series("new", time.Now().Add(2*time.Hour))
		b.snapshot("snap")
		req := b.request()
		req.RenamePrefix = "copy-"
		report, err := b.repo.Apply(t.Context(), b.plan(req), restore.ApplyOptions{})
		if err != nil {
			t.Fatalf("%v\n%s", err, report)
		}
		if text := strings.Join(report.Verified, "\n"); !strings.Contains(text, "data stream copy-"+stream+" takes documents of now again") || strings.Contains(text, other) {
			t.Errorf("verified:\n%s", text)
		}
		if !b.sample("copy-"+stream, time.Now()) || b.sample(stream, time.Now()) {
			t.Error("it takes no document of now, or the one that nobody restored does")
		}
	})
}

// A restore that nobody waited for has ended when somebody attaches to it.
func TestTimeSeriesOfARestoreThatEndedUnseenTakeDocumentsAtOnce(t *testing.T) {
	b := places[1].bench(t)
	stream := b.series("old", time.Now().Add(-time.Hour))
	b.snapshot("snap")
	req := b.request()
	req.RenamePrefix = "copy-"
	if report, err := b.repo.Apply(t.Context(), b.plan(req), restore.ApplyOptions{Detach: true}); err != nil {
		t.Fatalf("%v\n%s", err, report)
	}
	b.do("GET", "/_cluster/health/copy-"+stream+"?wait_for_active_shards=6&timeout=60s", "")
	report, err := b.repo.Attach(t.Context(), "snap", restore.ApplyOptions{})
	if err != nil || report.AlreadyThere != 2 || !b.sample("copy-"+stream, time.Now()) {
		t.Errorf("it takes no document of now, or was not done before: %v\n%s", err, report)
	}
}

func TestATimeSeriesThatIsNotWholeIsNotSaidToTakeDocuments(t *testing.T) {
	b := places[0].bench(t)
	stream := b.series("old", time.Now().Add(-time.Hour))
	b.snapshot("snap")
	key, _ := b.biggestBlob(t)
	if err := b.s3.DeleteObject(t.Context(), b.bucket(), key); err != nil {
		t.Fatal(err)
	}
	req := b.request()
	req.RenamePrefix = "copy-"
	report, err := b.repo.Apply(t.Context(), b.plan(req), restore.ApplyOptions{})
	if !errors.Is(err, nuvlaops.ErrVerification) || strings.Contains(report.String(), "data stream copy-"+stream+" takes documents") {
		t.Errorf("%v\n%s", err, report)
	}
}
