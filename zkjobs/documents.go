package zkjobs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// Client sends a request to Elasticsearch: go-elasticsearch v8 and v9 clients fit. Switch the client's own retries off
// (DisableRetry).
type Client interface {
	Perform(*http.Request) (*http.Response, error)
}

// DocumentsOptions says where the job documents are. Zero fields take the defaults.
type DocumentsOptions struct {
	// Index of the job documents. Default "nuvla-job".
	Index string
	// PageSize is the number of documents in one answer: 1 to 10,000 (index.max_result_window). Default 5,000.
	PageSize int
	// AllowNone takes an index with documents and no open job for what it is. Without it that is refused: a wrong mapping
	// looks the same.
	AllowNone bool
	// Retry is the policy for requests to Elasticsearch. With MaxAttempts 1, Plan does not read all jobs again either when
	// their point in time is lost.
	Retry nuvlaops.RetryPolicy
	// Logger gets a debug record for each repetition. Nil discards.
	Logger *slog.Logger
}

func (o *DocumentsOptions) withDefaults() DocumentsOptions {
	out := DocumentsOptions{}
	if o != nil {
		out = *o
	}
	if out.Index == "" {
		out.Index = "nuvla-job"
	}
	if out.PageSize == 0 {
		out.PageSize = 5000
	}
	return out
}

func (o DocumentsOptions) validate() error {
	if o.PageSize < 1 || o.PageSize > 10000 {
		return &nuvlaops.Error{Resource: "DocumentsOptions.PageSize",
			Reason: fmt.Sprintf("%d is out of range, want 1 to 10000", o.PageSize), Err: nuvlaops.ErrInvalid}
	}
	return o.Retry.Validate()
}

// Documents is the Source over nuvla-job: the open jobs of a point in time, read page by page.
type Documents struct {
	conn  es.Conn
	opts  DocumentsOptions
	total atomic.Int64 // open jobs of the reading that began last
}

func (d *Documents) size() int { return int(d.total.Load()) }

// NewDocuments returns the open jobs of Elasticsearch as a Source. Error: ErrInvalid.
func NewDocuments(client Client, opts *DocumentsOptions) (*Documents, error) {
	o := opts.withDefaults()
	if err := cmp.Or(es.CheckClient(client), o.validate()); err != nil {
		return nil, nuvlaops.Wrap("zkjobs.NewDocuments", "", err)
	}
	return &Documents{conn: es.Conn{Client: client, Retry: o.Retry, Logger: o.Logger}, opts: o}, nil
}

// Jobs yields the open jobs. It refreshes the index first, since edits do not, and checks its mapping.
//
// Errors: ErrNotFound (no such index), ErrInvalid (a mapping under which the search finds nothing or the wrong jobs),
// ErrRefused (documents but no open job, without AllowNone), ErrVerification (fewer documents than Elasticsearch
// counted), ErrUnavailable (also when the point in time is lost, with a server that was restarted or a node that is gone: what
// was yielded is then a part, and JobQueueRebuilder.Plan reads again from the start).
func (d *Documents) Jobs(ctx context.Context) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		stopped := false
		err := d.read(ctx, func(job Job) bool {
			stopped = !yield(job, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Job{}, nuvlaops.Wrap("zkjobs.Jobs", d.opts.Index, err))
		}
	}
}

func (d *Documents) read(ctx context.Context, yield func(Job) bool) error {
	if err := d.prepare(ctx); err != nil {
		return err
	}
	pit, err := d.openPIT(ctx)
	if err != nil {
		return fmt.Errorf("open point in time: %w", err)
	}
	defer func() { d.closePIT(ctx, pit) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	intern := interner()
	var read, total int64
	var next *page
	for fetch := d.fetch(ctx, pit, nil); fetch != nil; {
		if next, err = fetch(); err != nil {
			return d.lost(err)
		}
		if next.PIT != "" {
			pit = next.PIT
		}
		total = next.Hits.Total.Value
		d.total.Store(total)
		fetch = nil
		if n := len(next.Hits.Hits); n > 0 && read+int64(n) < total {
			fetch = d.fetch(ctx, pit, next.Hits.Hits[n-1].Sort) // the server works while we decode
		}
		for i := range next.Hits.Hits {
			read++
			if h := &next.Hits.Hits[i]; !yield(decodeJob(h.ID, h.Source, intern)) {
				if fetch != nil {
					stop()
					_, _ = fetch() // its answer is not wanted, but it must have ended before the point in time is closed
				}
				return nil
			}
		}
	}
	if read != total {
		return &nuvlaops.Error{Reason: fmt.Sprintf("Elasticsearch counts %d open jobs and gave %d", total, read),
			Hint: "read again; if it stays so, look at the shards of the index", Err: nuvlaops.ErrVerification}
	}
	if read == 0 && !d.opts.AllowNone {
		return d.checkEmpty(ctx)
	}
	return nil
}

// page is one answer to a search.
type page struct {
	PIT    string `json:"pit_id"`
	Shards struct {
		Failed   int               `json:"failed"`
		Failures []json.RawMessage `json:"failures"`
	} `json:"_shards"`
	TimedOut bool `json:"timed_out"`
	Hits     struct {
		Total struct {
			Value int64 `json:"value"`
		} `json:"total"`
		Hits []struct {
			ID     string          `json:"_id"`
			Source json.RawMessage `json:"_source"`
			Sort   json.RawMessage `json:"sort"`
		} `json:"hits"`
	} `json:"hits"`
}

// fetch asks for the page after a position and returns a function that waits for it.
func (d *Documents) fetch(ctx context.Context, pit string, after json.RawMessage) func() (*page, error) {
	type answer struct {
		page *page
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		p, err := d.search(ctx, pit, after)
		done <- answer{p, err}
	}()
	return func() (*page, error) { a := <-done; return a.page, a.err }
}

func (d *Documents) search(ctx context.Context, pit string, after json.RawMessage) (*page, error) {
	query := map[string]any{
		"size":             d.opts.PageSize,
		"track_total_hits": true,
		"_source":          sourceFields(),
		"pit":              map[string]any{"id": pit, "keep_alive": keepAlive},
		"query":            map[string]any{"bool": map[string]any{"filter": openJobs()}},
		"sort":             []any{map[string]any{"_shard_doc": "asc"}},
	}
	if after != nil {
		query["search_after"] = after
	}
	body, err := json.Marshal(query)
	if err != nil {
		return nil, fmt.Errorf("encode search: %w", err)
	}
	whole := false
	var p page
	again := func(err error) bool { return es.Transient(err) && !pointGone(err) }
	err = retry.Do(ctx, d.conn.Retry, d.conn.Logger, again, func(ctx context.Context) error {
		p = page{}
		return d.conn.Once(ctx, func() esapi.Request {
			return esapi.SearchRequest{Body: bytes.NewReader(body), AllowPartialSearchResults: &whole}
		}, &p)
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("search open jobs: %w", err)
	case p.Shards.Failed > 0 && len(p.Shards.Failures) > 0:
		return nil, fmt.Errorf("search open jobs: %w", es.FromCause(p.Shards.Failures[0]))
	case p.Shards.Failed > 0, p.TimedOut:
		return nil, &nuvlaops.Error{Reason: "the search did not reach every shard", Err: nuvlaops.ErrUnavailable}
	}
	return &p, nil
}

// openJobs is the filter: everything else is decided here, where it can be counted.
func openJobs() []any {
	return []any{map[string]any{"terms": map[string]any{"state": []string{stateQueued, stateRunning}}}}
}

// keepAlive is how long the server keeps the point in time between two pages.
const keepAlive = "2m"

func (d *Documents) openPIT(ctx context.Context) (string, error) {
	var answer struct {
		ID string `json:"id"`
	}
	// Opened twice, the first one times out by itself.
	err := d.conn.WriteIdempotent(ctx, func() esapi.Request {
		return esapi.OpenPointInTimeRequest{Index: []string{d.opts.Index}, KeepAlive: keepAlive}
	}, &answer)
	return answer.ID, err
}

// closePIT frees the server's memory. It is a courtesy: on a dead context or a failure the point in time times out.
func (d *Documents) closePIT(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	body, _ := json.Marshal(map[string]string{"id": id}) // a string always encodes
	err := d.conn.Once(ctx, func() esapi.Request {
		return esapi.ClosePointInTimeRequest{Body: bytes.NewReader(body)}
	}, nil)
	if err != nil && d.opts.Logger != nil {
		d.opts.Logger.DebugContext(ctx, "close point in time", "error", err)
	}
}

// interner keeps one copy of each of the few words that every document repeats.
func interner() func([]byte) string {
	seen := map[string]string{}
	return func(b []byte) string {
		if s, ok := seen[string(b)]; ok {
			return s
		}
		s := string(b)
		if len(seen) < 1000 && len(s) < 64 {
			seen[s] = s
		}
		return s
	}
}
