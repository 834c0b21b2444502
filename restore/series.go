package restore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops/internal/es"
)

// endSetting is until when an index of a time series data stream takes documents. Of the last one, Elasticsearch moves it on.
const endSetting = "index.time_series.end_time"

// endAhead is how far it is moved on here; the server keeps it further ahead: look_ahead_time, 30 minutes or more, and its poll.
const endAhead = 30 * time.Minute

// moveSeriesOn lets time series data streams that end before now take documents at once. A running server keeps the end up to
// hours ahead, so that an older snapshot has one that has passed; the server would move it on within time_series.poll_interval, five
// minutes, and refuse until then what edges send.
func (a *application) moveSeriesOn(ctx context.Context, w world) error {
	var streams []string
	for _, s := range a.plan.DataStreams {
		missed := func(x inspected) bool { return x.planned.Stream == s && x.standing < complete }
		if !slices.ContainsFunc(w, missed) { // one that is not whole is restored again
			streams = append(streams, a.plan.Request.RenamePrefix+s)
		}
	}
	settings, err := a.conn.IndexSettings(ctx, streams, endSetting)
	if err != nil {
		return err
	}
	last := map[string]string{}
	ends := map[string]time.Time{}
	for index, s := range settings {
		end, err := time.Parse(time.RFC3339, s[endSetting])
		if stream := streamOf(index, streams); err == nil && end.After(ends[stream]) {
			last[stream], ends[stream] = index, end
		}
	}
	for _, s := range slices.DeleteFunc(streams, func(s string) bool { return last[s] == "" || !ends[s].Before(a.now()) }) {
		err := a.conn.WriteIdempotent(ctx, func() esapi.Request {
			return esapi.IndicesPutSettingsRequest{Index: []string{last[s]}, Body: es.JSON(map[string]string{endSetting: a.now().Add(endAhead).UTC().Format(time.RFC3339)})}
		}, nil)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			a.report.NotVerified = append(a.report.NotVerified, fmt.Sprintf("data stream %s takes no document of %s or later until Elasticsearch moves that on by itself (time_series.poll_interval, 5 minutes by default): %v",
				s, ends[s].UTC().Format(time.RFC3339), err))
		default:
			a.report.Verified = append(a.report.Verified, fmt.Sprintf("data stream %s takes documents of now again: its end, which had passed, was moved on", s))
		}
	}
	return nil
}
