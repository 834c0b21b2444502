package es

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
)

// States of a snapshot.
const (
	StateInProgress   = "IN_PROGRESS"
	StateSuccess      = "SUCCESS"
	StatePartial      = "PARTIAL"
	StateFailed       = "FAILED"
	StateIncompatible = "INCOMPATIBLE"
)

// SnapshotInfo is what GET _snapshot/REPO/NAME says about one snapshot.
type SnapshotInfo struct {
	Name, UUID  string
	Repository  string // as asked for: the server leaves it out of some answers
	State       string
	Version     string   // of the node that took it; later servers say a range, and of what they do not know its beginning
	VersionID   int      // the index version that it needs, 8500003 for 8.11; 0 when the server does not say
	Indices     []string // nil when the names were not asked for
	DataStreams []string
	GlobalState bool // whether it holds the cluster's global state
	Start       time.Time
	End         time.Time // zero while it runs
	Shards      ShardCount
	Failures    []ShardFailure
	Reason      string // why it FAILED
	Metadata    map[string]any
	Details     map[string]IndexDetail // by index; nil unless asked for
}

// IndexDetail is the size of one index in a snapshot.
type IndexDetail struct {
	Shards int   `json:"shard_count"`
	Bytes  int64 `json:"size_in_bytes"`
}

// ShardCount counts shards.
type ShardCount struct {
	Total      int `json:"total"`
	Successful int `json:"successful"`
	Failed     int `json:"failed"`
}

// ShardFailure is one shard that is not in a snapshot.
type ShardFailure struct {
	Index  string `json:"index"`
	Shard  int    `json:"shard_id"`
	Node   string `json:"node_id"`
	Status string `json:"status"`
	Reason string `json:"reason"`
}

// Running reports whether the snapshot has not ended.
func (s SnapshotInfo) Running() bool { return s.State == StateInProgress }

// Complete reports whether the snapshot can be restored whole: it ended in SUCCESS and no shard is missing. The state
// alone is not enough, nor is the answer's status.
func (s SnapshotInfo) Complete() bool {
	return s.State == StateSuccess && s.Shards.Failed == 0 && s.Shards.Successful == s.Shards.Total && len(s.Failures) == 0
}

// UnmarshalJSON decodes Elasticsearch's description.
func (s *SnapshotInfo) UnmarshalJSON(raw []byte) error {
	var d struct {
		Name        string         `json:"snapshot"`
		UUID        string         `json:"uuid"`
		Repository  string         `json:"repository"`
		State       string         `json:"state"`
		Version     string         `json:"version"`
		VersionID   int            `json:"version_id"`
		Indices     []string       `json:"indices"`
		DataStreams []string       `json:"data_streams"`
		GlobalState bool           `json:"include_global_state"`
		Start       int64          `json:"start_time_in_millis"`
		End         int64          `json:"end_time_in_millis"`
		Shards      ShardCount     `json:"shards"`
		Failures    []ShardFailure `json:"failures"`
		Reason      string         `json:"reason"`
		Metadata    map[string]any `json:"metadata"`

		Details map[string]IndexDetail `json:"index_details"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return err
	}
	*s = SnapshotInfo{Name: d.Name, UUID: d.UUID, Repository: d.Repository, State: d.State, Version: d.Version, VersionID: d.VersionID,
		Indices: d.Indices, DataStreams: d.DataStreams, GlobalState: d.GlobalState, Start: fromMillis(d.Start),
		End: fromMillis(d.End), Shards: d.Shards, Failures: d.Failures, Reason: d.Reason, Metadata: d.Metadata,
		Details: d.Details}
	return nil
}

// fromMillis leaves 0 the zero time: a running snapshot "ended" in 1970. What is later than any calendar has is its last moment:
// JSON has no form for it, and a list of which one cannot be written would be none.
func fromMillis(ms int64) time.Time {
	const last = 253402300799999 // of the year 9999
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(min(ms, last)).UTC()
}

// Snapshot describes one snapshot. Error: ErrNotFound when the repository or the snapshot does not exist.
func (c *Conn) Snapshot(ctx context.Context, repository, name string) (SnapshotInfo, error) {
	return c.oneSnapshot(ctx, repository, name, false)
}

// SnapshotWithDetails is Snapshot with shards and bytes by index.
func (c *Conn) SnapshotWithDetails(ctx context.Context, repository, name string) (SnapshotInfo, error) {
	return c.oneSnapshot(ctx, repository, name, true)
}

func (c *Conn) oneSnapshot(ctx context.Context, repository, name string, details bool) (SnapshotInfo, error) {
	var page snapshotPage
	err := c.Read(ctx, func() esapi.Request {
		return esapi.SnapshotGetRequest{Repository: repository, Snapshot: []string{name}, IndexDetails: &details}
	}, &page)
	if err == nil {
		err = page.failure()
	}
	switch {
	case err != nil:
		return SnapshotInfo{}, err
	case len(page.Snapshots) != 1:
		return SnapshotInfo{}, &nuvlaops.Error{Err: nuvlaops.ErrNotFound,
			Reason: fmt.Sprintf("%d snapshots of this name where one was expected", len(page.Snapshots))}
	}
	return page.snapshot(0, repository), nil
}

// SnapshotNames are the names of all snapshots of a repository that have ended, as its own list has them: without their
// descriptions, which may be unreadable.
func (c *Conn) SnapshotNames(ctx context.Context, repository string) ([]string, error) {
	return c.listed(ctx, repository, func(s SnapshotInfo) bool { return !s.Running() })
}

// AllSnapshotNames is SnapshotNames with those that run.
func (c *Conn) AllSnapshotNames(ctx context.Context, repository string) ([]string, error) {
	return c.listed(ctx, repository, func(SnapshotInfo) bool { return true })
}

func (c *Conn) listed(ctx context.Context, repository string, lets func(SnapshotInfo) bool) ([]string, error) {
	var page snapshotPage
	err := c.Read(ctx, func() esapi.Request {
		return esapi.SnapshotGetRequest{Repository: repository, Snapshot: []string{"*"}, Verbose: new(bool), IndexNames: new(bool)}
	}, &page)
	if err == nil {
		err = page.failure()
	}
	var names []string
	for _, s := range page.Snapshots {
		if lets(s) {
			names = append(names, s.Name)
		}
	}
	return names, err
}

// RunningSnapshots describes the snapshots that run now in this repository.
func (c *Conn) RunningSnapshots(ctx context.Context, repository string) ([]SnapshotInfo, error) {
	var page snapshotPage
	err := c.Read(ctx, func() esapi.Request {
		return esapi.SnapshotGetRequest{Repository: repository, Snapshot: []string{"_current"}}
	}, &page)
	if err == nil {
		err = page.failure()
	}
	if err != nil {
		return nil, err
	}
	for i := range page.Snapshots {
		page.snapshot(i, repository)
	}
	return page.Snapshots, nil
}

type snapshotPage struct {
	Snapshots []SnapshotInfo             `json:"snapshots"`
	Next      string                     `json:"next"`
	Failures  map[string]json.RawMessage `json:"failures"` // by repository, in an answer of 200
}

func (p *snapshotPage) snapshot(i int, repository string) SnapshotInfo {
	if p.Snapshots[i].Repository == "" {
		p.Snapshots[i].Repository = repository
	}
	return p.Snapshots[i]
}

// failure turns what an answer of 200 says about a repository that cannot be read into an error.
func (p *snapshotPage) failure() error {
	for _, repository := range slices.Sorted(maps.Keys(p.Failures)) {
		return FromCause(p.Failures[repository])
	}
	return nil
}
