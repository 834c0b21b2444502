package es

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// IndexDocuments is the number of documents of one index.
type IndexDocuments struct {
	UUID      string
	Documents int64
}

// CountDocuments refreshes the indices that the patterns name and counts the documents of each, backing indices of data
// streams by their own names. Documents that are nested in others count too, on every server alike.
//
// A snapshot holds what was written, visible to searches or not; so does the count, since it refreshes first.
func (c *Conn) CountDocuments(ctx context.Context, patterns ...string) (map[string]IndexDocuments, error) {
	if err := c.Refresh(ctx, patterns...); err != nil {
		return nil, err
	}
	return c.VisibleDocuments(ctx, patterns...)
}

// Refresh makes visible to searches what was written to the indices that the patterns name.
func (c *Conn) Refresh(ctx context.Context, patterns ...string) error {
	yes := true
	var shards struct {
		Shards ShardAnswers `json:"_shards"`
	}
	err := c.OfAllShards(ctx, "could not be refreshed", func() esapi.Request {
		shards.Shards = ShardAnswers{}
		return esapi.IndicesRefreshRequest{Index: patterns, ExpandWildcards: "open,hidden", AllowNoIndices: &yes, IgnoreUnavailable: &yes}
	}, &shards, &shards.Shards)
	if err != nil {
		return fmt.Errorf("refresh indices: %w", err)
	}
	return nil
}

// VisibleDocuments is CountDocuments without the refresh, which waits for a minute for a shard without a primary. Such
// shards are not counted, and an index that has no other is left out.
func (c *Conn) VisibleDocuments(ctx context.Context, patterns ...string) (map[string]IndexDocuments, error) {
	forbid := false
	var stats struct {
		Shards  ShardAnswers `json:"_shards"`
		Indices map[string]struct {
			UUID      string `json:"uuid"`
			Primaries struct {
				Docs struct {
					Count int64 `json:"count"`
				} `json:"docs"`
			} `json:"primaries"`
		} `json:"indices"`
	}
	err := c.OfAllShards(ctx, "could not be counted", func() esapi.Request {
		stats.Indices, stats.Shards = nil, ShardAnswers{}
		return esapi.IndicesStatsRequest{Index: patterns, Metric: []string{"docs"}, ExpandWildcards: "open,hidden", ForbidClosedIndices: &forbid,
			FilterPath: []string{"_shards", "indices.*.uuid", "indices.*.primaries.docs.count"}}
	}, &stats, &stats.Shards)
	if err != nil {
		return nil, fmt.Errorf("count documents: %w", err)
	}
	out := make(map[string]IndexDocuments, len(stats.Indices))
	for name, i := range stats.Indices {
		out[name] = IndexDocuments{UUID: i.UUID, Documents: i.Primaries.Docs.Count}
	}
	return out, nil
}

// ShardAnswers counts the shards that have answered a request, with why others have not, as far as they say.
type ShardAnswers struct {
	ShardCount
	Failures []struct {
		Reason json.RawMessage `json:"reason"`
	} `json:"failures"`
}

// OfAllShards repeats a request also when a shard has not answered it, which goes by once the cluster knows that a node is gone
// and serves the shard from another one; short says in an error what those shards did not do. A query that a shard cannot be asked
// is ErrInvalid at once.
func (c *Conn) OfAllShards(ctx context.Context, short string, req Request, out any, shards *ShardAnswers) error {
	return retry.Do(ctx, c.Retry, c.Logger, Transient, func(ctx context.Context) error {
		err := Send(ctx, c.Client, req(), out)
		if err == nil && shards.Failed > 0 {
			err = shards.failure(short)
		}
		return err
	})
}

func (s *ShardAnswers) failure(short string) error {
	e := &nuvlaops.Error{Err: nuvlaops.ErrUnavailable, Reason: fmt.Sprintf("%d of %d shards %s", s.Failed, s.Total, short)}
	var first *ServerError
	if len(s.Failures) > 0 && len(s.Failures[0].Reason) > 0 && errors.As(FromCause(s.Failures[0].Reason), &first) {
		e.Reason += ": " + first.Error()
		if first.Has("query_shard_exception") || first.Has("parsing_exception") {
			e.Err = nuvlaops.ErrInvalid
		}
	}
	return e
}

// MissingPrimaries names the indices of these patterns that have a shard without a primary. Error: ErrNotFound when one that is
// named without a * is not there, for which the server would wait, 30 seconds by default.
func (c *Conn) MissingPrimaries(ctx context.Context, patterns ...string) ([]string, error) {
	var health struct {
		Indices map[string]struct {
			Status string `json:"status"`
		} `json:"indices"`
	}
	err := c.Read(ctx, func() esapi.Request {
		return esapi.ClusterHealthRequest{Index: patterns, Level: "indices", ExpandWildcards: "open,hidden", Timeout: time.Millisecond,
			FilterPath: []string{"indices.*.status"}}
	}, &health)
	var e *nuvlaops.Error
	if errors.As(err, &e) && e.Status == http.StatusRequestTimeout {
		return nil, &nuvlaops.Error{Reason: "not each index is there of " + strings.Join(patterns, ", "), Err: nuvlaops.ErrNotFound,
			Hint: "check the names and that this is the right cluster"}
	}
	if err != nil {
		return nil, fmt.Errorf("look for primary shards: %w", err)
	}
	var red []string
	for name, i := range health.Indices {
		if i.Status == "red" {
			red = append(red, name)
		}
	}
	slices.Sort(red)
	return red, nil
}
