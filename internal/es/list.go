package es

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// SnapshotQuery chooses snapshots of one repository.
type SnapshotQuery struct {
	// Names are names or patterns. Default all.
	Names []string
	// WithoutIndices leaves the names of indices out of the answer, which are most of it.
	WithoutIndices bool
	// PageSize is the most in one answer. Default 10,000, some 15 MB. For each page the server reads from the repository what it
	// has of all the snapshots that are chosen, and not of those on the page alone: small pages of many cost its square.
	PageSize int
	// Since, when not zero, leaves out those that began before, to the millisecond: the server does not read them.
	Since time.Time
	// Descending yields the newest first. Where neither Names nor Since are given, those of the time of Recent are read before
	// the others, which are read only for who asks for more.
	Descending bool
	// Recent is that time. Default 8 days: a week, which counts where the latest one is chosen, and the day of the latest.
	Recent time.Duration
	// Strict makes a snapshot that cannot be read an error. Otherwise it is left out.
	Strict bool

	until time.Time // the newest, of Descending
}

func (q SnapshotQuery) withDefaults() SnapshotQuery {
	if q.PageSize <= 0 {
		q.PageSize = 10_000
	}
	if q.Recent <= 0 {
		q.Recent = 8 * 24 * time.Hour
	}
	return q
}

// Snapshots yields the snapshots of a repository by their start, oldest first. An error ends the sequence. Error:
// ErrNotFound when the repository does not exist; patterns that match nothing yield nothing.
func (c *Conn) Snapshots(ctx context.Context, repository string, q SnapshotQuery) iter.Seq2[SnapshotInfo, error] {
	q = q.withDefaults()
	list := c.paged
	if q.Descending && (len(q.Names) == 0 || !q.Since.IsZero()) {
		list = c.newestFirst
	}
	if q.WithoutIndices {
		return list(ctx, repository, q)
	}
	return c.withIndices(ctx, repository, list(ctx, repository, q), !q.Strict)
}

// newestFirst reads the recent ones, and then the others: one request with both would read them all, however few are taken. The
// server's clock need not be this machine's: it only says how many are recent.
func (c *Conn) newestFirst(ctx context.Context, repository string, q SnapshotQuery) iter.Seq2[SnapshotInfo, error] {
	return func(yield func(SnapshotInfo, error) bool) {
		recent, older := q, q
		if recent.Descending = false; q.Since.IsZero() {
			recent.Since = time.Now().Add(-q.Recent)
			older.until = recent.Since.Add(-time.Millisecond)
		}
		var all []SnapshotInfo
		for s, err := range c.paged(ctx, repository, recent) {
			if err != nil {
				yield(SnapshotInfo{}, err)
				return
			}
			all = append(all, s)
		}
		for _, s := range slices.Backward(all) {
			if !yield(s, nil) {
				return
			}
		}
		if q.Since.IsZero() {
			c.paged(ctx, repository, older)(yield)
		}
	}
}

// paged reads page by page, without the names of indices.
func (c *Conn) paged(ctx context.Context, repository string, q SnapshotQuery) iter.Seq2[SnapshotInfo, error] {
	return func(yield func(SnapshotInfo, error) bool) {
		for after := ""; ; {
			page, err := c.snapshotPage(ctx, repository, q, after)
			if err != nil {
				yield(SnapshotInfo{}, err)
				return
			}
			for i := range page.Snapshots {
				if !yield(page.snapshot(i, repository), nil) {
					return
				}
			}
			if page.Next == "" || page.Next == after {
				return
			}
			after = page.Next
		}
	}
}

func (c *Conn) snapshotPage(ctx context.Context, repository string, q SnapshotQuery, after string) (*snapshotPage, error) {
	order, from, names, ignore, indices := "asc", q.Since, q.Names, !q.Strict, false
	if q.Descending {
		order, from = "desc", q.until
	}
	if len(names) == 0 {
		names = []string{"*"}
	}
	value := ""
	if !from.IsZero() {
		value = strconv.FormatInt(from.UnixMilli(), 10)
	}
	var page snapshotPage
	err := c.Read(ctx, func() esapi.Request {
		return esapi.SnapshotGetRequest{Repository: repository, Snapshot: names, IgnoreUnavailable: &ignore,
			IndexNames: &indices, Size: &q.PageSize, Sort: "start_time", Order: order, FromSortValue: value, After: after}
	}, &page)
	if err == nil {
		err = page.failure()
	}
	return &page, err
}

// mostWithIndices is how many snapshots one answer has with the names of their indices: of 1,000 indices some 10 MB.
const mostWithIndices = 200

// withIndices reads the snapshots of a list once more, with the names of their indices, some at a time and each by its name. Those
// that are gone by then are left out.
func (c *Conn) withIndices(ctx context.Context, repository string, list iter.Seq2[SnapshotInfo, error], ignore bool) iter.Seq2[SnapshotInfo, error] {
	return func(yield func(SnapshotInfo, error) bool) {
		var group []string
		bytes := 0
		flush := func() bool {
			all, err := c.described(ctx, repository, group, ignore)
			if err != nil {
				yield(SnapshotInfo{}, err)
				return false
			}
			for _, name := range group {
				if s, there := all[name]; there && !yield(s, nil) {
					return false
				}
			}
			group, bytes = nil, 0
			return true
		}
		for s, err := range list {
			if err != nil {
				yield(SnapshotInfo{}, err)
				return
			}
			if len(group) == mostWithIndices || len(group) > 0 && bytes+len(s.Name) > maxNames {
				if !flush() {
					return
				}
			}
			group, bytes = append(group, s.Name), bytes+len(s.Name)+1
		}
		if len(group) > 0 {
			flush()
		}
	}
}

func (c *Conn) described(ctx context.Context, repository string, names []string, ignore bool) (map[string]SnapshotInfo, error) {
	var page snapshotPage
	err := c.Read(ctx, func() esapi.Request {
		return esapi.SnapshotGetRequest{Repository: repository, Snapshot: names, IgnoreUnavailable: &ignore}
	}, &page)
	if err == nil {
		err = page.failure()
	}
	all := make(map[string]SnapshotInfo, len(page.Snapshots))
	for i := range page.Snapshots {
		all[page.Snapshots[i].Name] = page.snapshot(i, repository)
	}
	return all, err
}
