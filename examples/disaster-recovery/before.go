package main

import (
	"context"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// before is what was there when the recovery began; nil where nobody could say.
type before struct {
	Documents map[string]int64 `json:"documents,omitempty"`
	Jobs      map[int]int      `json:"jobs,omitzero"`
}

// documentsNow counts the documents of the meant indices, by index.
func (r *recovery) documentsNow(ctx context.Context) (map[string]int64, error) {
	var meant []string
	for _, pattern := range r.cfg.indices {
		if !strings.HasPrefix(pattern, "-") {
			meant = append(meant, pattern)
		}
	}
	counts, err := r.conn.VisibleDocuments(ctx, meant...)
	out := map[string]int64{}
	for index, n := range counts {
		out[index] = n.Documents
	}
	return out, err
}

// jobsNow counts the entries of the queue by priority.
func (r *recovery) jobsNow(ctx context.Context) (map[int]int, error) {
	conn, err := r.zk.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	queue, err := zkjobs.NewQueue(conn, nil)
	if err != nil {
		return nil, err
	}
	return queue.Count(ctx)
}

// newestDocument is when the newest document was written, by the times that Nuvla's documents carry; zero when none does. A date
// after the end of the snapshot is none of writing: edges date the samples of time series by their own clocks.
func (r *recovery) newestDocument(ctx context.Context) (time.Time, error) {
	until := r.now()
	if plan := r.remembered().Plan; plan != nil && !plan.Snapshot.End.IsZero() {
		until = plan.Snapshot.End
	}
	aggs := map[string]any{} // in milliseconds, whatever the format of a field is: a shard that cannot read the time says nothing at all
	for _, field := range []string{"updated", "created", "timestamp", "@timestamp"} {
		aggs[field] = map[string]any{"filter": map[string]any{"range": map[string]any{field: map[string]any{"lte": until.UnixMilli(), "format": "epoch_millis"}}},
			"aggs": map[string]any{"newest": map[string]any{"max": map[string]any{"field": field}}}}
	}
	yes, none := true, 0
	var answer struct {
		Aggregations map[string]struct {
			Newest struct {
				Value *float64 `json:"value"`
			} `json:"newest"`
		} `json:"aggregations"`
	}
	err := r.conn.Read(ctx, func() esapi.Request {
		return esapi.SearchRequest{Index: r.cfg.indices, Size: &none, IgnoreUnavailable: &yes, AllowNoIndices: &yes,
			FilterPath: []string{"aggregations"}, Body: es.JSON(map[string]any{"aggs": aggs})}
	}, &answer)
	newest := time.Time{}
	for _, a := range answer.Aggregations {
		if a.Newest.Value == nil {
			continue
		}
		if at := time.UnixMilli(int64(*a.Newest.Value)).UTC(); at.After(newest) {
			newest = at
		}
	}
	return newest, err
}
