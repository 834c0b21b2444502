package restore

import (
	"context"
	"fmt"
	"time"
)

// endSetting is until when an index of a time series data stream takes documents. Of the last one, Elasticsearch moves it on.
const endSetting = "index.time_series.end_time"

// endedSeries says which time series data streams have come back with an end before now. A running server keeps it up to hours
// ahead, so that an older snapshot has one that has passed: what is written right after the restore is refused.
func (a *application) endedSeries(ctx context.Context) error {
	streams := make([]string, len(a.plan.DataStreams))
	for i, s := range a.plan.DataStreams {
		streams[i] = a.plan.Request.RenamePrefix + s
	}
	settings, err := a.conn.IndexSettings(ctx, streams, endSetting)
	if err != nil {
		return err
	}
	ends := map[string]time.Time{}
	for index, s := range settings {
		end, err := time.Parse(time.RFC3339, s[endSetting])
		if stream := streamOf(index, streams); err == nil && end.After(ends[stream]) {
			ends[stream] = end
		}
	}
	for _, s := range streams {
		if end, series := ends[s]; series && end.Before(a.now()) {
			a.report.NotVerified = append(a.report.NotVerified, fmt.Sprintf("data stream %s takes no document of %s or later yet: Elasticsearch moves that on by itself (time_series.poll_interval, 5 minutes by default)",
				s, end.UTC().Format(time.RFC3339)))
		}
	}
	return nil
}
