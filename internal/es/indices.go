package es

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// maxNames is the most bytes of names in one request's line. Servers take 4,096 bytes for the whole line.
const maxNames = 3000

// IndexState is what the cluster state says about one index.
type IndexState struct {
	UUID     string
	Created  time.Time // by index.creation_date, which a restore keeps as it was; zero when it is not said
	Open     bool
	Shards   int
	Aliases  []string
	Replicas string // index.number_of_replicas
	Policy   string // index.lifecycle.name
	ReadOnly bool   // index.blocks.read_only or metadata: it can neither be changed nor deleted
	// Primaries by number of the shard; nil for a closed index whose shards are not allocated.
	Primaries map[int]Primary
}

// Primary is the primary copy of a shard in the routing table.
type Primary struct {
	State  string // UNASSIGNED, INITIALIZING, STARTED, RELOCATING
	Source Source // where it recovers from; zero when it is started
	// Status and Details say why it is not assigned: "no_valid_shard_copy", "deciders_no"; the last failure.
	Status, Details string
	Attempts        int // failed ones
}

// Started reports whether the primary serves.
func (p Primary) Started() bool { return p.State == "STARTED" || p.State == "RELOCATING" }

// Source is where a shard recovers from.
type Source struct {
	Type        string `json:"type"` // SNAPSHOT, EXISTING_STORE, EMPTY_STORE, PEER, LOCAL_SHARDS
	Repository  string `json:"repository"`
	Snapshot    string `json:"snapshot"`
	RestoreUUID string `json:"restoreUUID"`
}

// From reports whether the source is this snapshot.
func (s Source) From(repository, snapshot string) bool {
	return s.Type == "SNAPSHOT" && s.Repository == repository && s.Snapshot == snapshot
}

type routingCopy struct {
	State      string `json:"state"`
	Primary    bool   `json:"primary"`
	Shard      int    `json:"shard"`
	Source     Source `json:"recovery_source"`
	Unassigned struct {
		Status   string `json:"allocation_status"`
		Details  string `json:"details"`
		Attempts int    `json:"failed_attempts"`
	} `json:"unassigned_info"`
}

type stateAnswer struct {
	ClusterUUID string `json:"cluster_uuid"`
	Metadata    struct {
		Indices map[string]struct {
			State    string   `json:"state"`
			Aliases  []string `json:"aliases"`
			Settings struct {
				Index struct {
					UUID      string `json:"uuid"`
					Created   int64  `json:"creation_date,string"` // milliseconds
					Shards    int    `json:"number_of_shards,string"`
					Replicas  string `json:"number_of_replicas"`
					Lifecycle struct {
						Name string `json:"name"`
					} `json:"lifecycle"`
					Blocks struct {
						ReadOnly string `json:"read_only"`
						Metadata string `json:"metadata"`
					} `json:"blocks"`
				} `json:"index"`
			} `json:"settings"`
		} `json:"indices"`
	} `json:"metadata"`
	Routing struct {
		Indices map[string]struct {
			Shards map[string][]routingCopy `json:"shards"`
		} `json:"indices"`
	} `json:"routing_table"`
	Restore struct {
		Snapshots []RunningRestore `json:"snapshots"`
	} `json:"restore"`
}

// IndexStates describes the indices of these names that are there, open or closed, and the restores that run, each part
// of the answer at one moment. Names may be patterns; those that are not there are left out.
//
// More names than fit into a request are chosen from an answer about all indices: that is one request however many there are. And
// of a data stream of which one index is named, the server describes each, and gives the shards of the named one alone.
func (c *Conn) IndexStates(ctx context.Context, names []string) (map[string]IndexState, []RunningRestore, error) {
	if len(names) == 0 {
		return nil, nil, nil
	}
	answer, err := c.indexStates(ctx, orAll(names))
	if err != nil {
		return nil, nil, err
	}
	out := answer.states()
	maps.DeleteFunc(out, notAmong[IndexState](names))
	return out, answer.Restore.Snapshots, nil
}

// orAll are the names, where they fit into one request, else the pattern of all.
func orAll(names []string) []string {
	for first := range NameChunks(names) {
		if len(first) < len(names) {
			return []string{"*"}
		}
	}
	return names
}

// notAmong says which indices none of the names, or patterns, means.
func notAmong[V any](names []string) func(string, V) bool {
	named, patterns := make(map[string]bool, len(names)), []string(nil)
	for _, name := range names {
		if named[name] = true; strings.Contains(name, "*") {
			patterns = append(patterns, name)
		}
	}
	return func(index string, _ V) bool {
		matches := func(pattern string) bool { ok, _ := path.Match(pattern, index); return ok }
		return !named[index] && !slices.ContainsFunc(patterns, matches)
	}
}

func (c *Conn) indexStates(ctx context.Context, names []string) (*stateAnswer, error) {
	yes := true
	var answer stateAnswer
	err := c.Read(ctx, func() esapi.Request {
		return esapi.ClusterStateRequest{Metric: []string{"metadata", "routing_table", "customs"}, Index: names,
			IgnoreUnavailable: &yes, AllowNoIndices: &yes, ExpandWildcards: "all",
			FilterPath: []string{"metadata.indices.*.state", "metadata.indices.*.aliases", "metadata.indices.*.settings.index.uuid", "metadata.indices.*.settings.index.creation_date",
				"metadata.indices.*.settings.index.number_of_shards", "metadata.indices.*.settings.index.number_of_replicas", "metadata.indices.*.settings.index.lifecycle.name",
				"metadata.indices.*.settings.index.blocks", "routing_table.indices.*.shards.*.state",
				"routing_table.indices.*.shards.*.primary", "routing_table.indices.*.shards.*.shard",
				"routing_table.indices.*.shards.*.recovery_source", "routing_table.indices.*.shards.*.unassigned_info", "restore"}}
	}, &answer)
	return &answer, err
}

func (a *stateAnswer) states() map[string]IndexState {
	out := make(map[string]IndexState, len(a.Metadata.Indices))
	for name, m := range a.Metadata.Indices {
		s := IndexState{UUID: m.Settings.Index.UUID, Open: m.State == "open", Shards: m.Settings.Index.Shards,
			Aliases: m.Aliases, Replicas: m.Settings.Index.Replicas, Policy: m.Settings.Index.Lifecycle.Name, Primaries: map[int]Primary{}}
		s.ReadOnly = m.Settings.Index.Blocks.ReadOnly == "true" || m.Settings.Index.Blocks.Metadata == "true"
		if ms := m.Settings.Index.Created; ms > 0 {
			s.Created = time.UnixMilli(ms)
		}
		for _, copies := range a.Routing.Indices[name].Shards {
			for _, r := range copies {
				if r.Primary {
					s.Primaries[r.Shard] = Primary{State: r.State, Source: r.Source, Status: r.Unassigned.Status,
						Details: r.Unassigned.Details, Attempts: r.Unassigned.Attempts}
				}
			}
		}
		out[name] = s
	}
	return out
}

// NameChunks cuts names into groups that fit into the line of a request.
func NameChunks(names []string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		start, size := 0, 0
		for i, name := range names {
			if size+len(name)+1 > maxNames && i > start {
				if !yield(slices.Clip(names[start:i])) {
					return
				}
				start, size = i, 0
			}
			size += len(name) + 1
		}
		if start < len(names) {
			yield(slices.Clip(names[start:]))
		}
	}
}

// IndexSettings are settings of these indices, open or closed, hidden or not, by index and flat name; those that are not
// set are left out. Names may be patterns; what is not there is left out.
func (c *Conn) IndexSettings(ctx context.Context, names []string, settings ...string) (map[string]map[string]string, error) {
	yes := true
	out := map[string]map[string]string{}
	for chunk := range NameChunks(names) {
		var answer map[string]struct {
			Settings map[string]json.RawMessage `json:"settings"`
		}
		err := c.Read(ctx, func() esapi.Request {
			return esapi.IndicesGetSettingsRequest{Index: chunk, Name: settings, FlatSettings: &yes, IgnoreUnavailable: &yes, AllowNoIndices: &yes, ExpandWildcards: "all"}
		}, &answer)
		if err != nil {
			return nil, fmt.Errorf("read index settings: %w", err)
		}
		for name, i := range answer {
			out[name] = settingTexts(i.Settings)
		}
	}
	return out, nil
}

// Aliases are the aliases of these indices by index, with their properties (filter, routing, is_write_index) as an add
// action takes them. An index that is not there is left out.
func (c *Conn) Aliases(ctx context.Context, names []string) (map[string]map[string]map[string]any, error) {
	yes := true
	out := map[string]map[string]map[string]any{}
	for chunk := range NameChunks(names) {
		var answer map[string]struct {
			Aliases map[string]map[string]any `json:"aliases"`
		}
		err := c.Read(ctx, func() esapi.Request {
			return esapi.IndicesGetAliasRequest{Index: chunk, ExpandWildcards: "all", IgnoreUnavailable: &yes}
		}, &answer)
		if err != nil {
			return nil, fmt.Errorf("read aliases: %w", err)
		}
		for name, i := range answer {
			out[name] = i.Aliases
		}
	}
	return out, nil
}

// UpdateAliases carries out all of the actions or none, in one moment.
func (c *Conn) UpdateAliases(ctx context.Context, actions []any) error {
	return c.WriteIdempotent(ctx, func() esapi.Request {
		return esapi.IndicesUpdateAliasesRequest{Body: JSON(map[string]any{"actions": actions})}
	}, nil)
}
