package es

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// Disk is the file system of one node's data.
type Disk struct {
	Node             string
	Total, Available int64
}

// Disks are the disks of the nodes that hold data.
func (c *Conn) Disks(ctx context.Context) ([]Disk, error) {
	var answer struct {
		Nodes map[string]struct {
			Name  string   `json:"name"`
			Roles []string `json:"roles"`
			FS    struct {
				Total struct {
					Total     int64 `json:"total_in_bytes"`
					Available int64 `json:"available_in_bytes"`
				} `json:"total"`
			} `json:"fs"`
		} `json:"nodes"`
	}
	err := c.Read(ctx, func() esapi.Request {
		return esapi.NodesStatsRequest{Metric: []string{"fs"}, FilterPath: []string{"nodes.*.name", "nodes.*.roles", "nodes.*.fs.total.total_in_bytes", "nodes.*.fs.total.available_in_bytes"}}
	}, &answer)
	if err != nil {
		return nil, fmt.Errorf("read disks: %w", err)
	}
	var out []Disk
	for _, n := range answer.Nodes {
		if holdsData(n.Roles) && n.FS.Total.Total > 0 {
			out = append(out, Disk{Node: n.Name, Total: n.FS.Total.Total, Available: n.FS.Total.Available})
		}
	}
	return out, nil
}

// EffectiveSettings are the values that hold now of the cluster's settings of these names: set, or the default.
func (c *Conn) EffectiveSettings(ctx context.Context, names ...string) (map[string]string, error) {
	yes := true
	var answer map[string]map[string]json.RawMessage
	err := c.Read(ctx, func() esapi.Request {
		return esapi.ClusterGetSettingsRequest{FlatSettings: &yes, IncludeDefaults: &yes} // a filter's path does not match flat names
	}, &answer)
	if err != nil {
		return nil, fmt.Errorf("read cluster settings: %w", err)
	}
	out := map[string]string{}
	for _, kind := range []string{"defaults", "persistent", "transient"} {
		set := settingTexts(answer[kind])
		for _, name := range names {
			if v, there := set[name]; there {
				out[name] = v
			}
		}
	}
	return out, nil
}

// OpenShards is the number of shards of open indices, replicas and those not assigned included.
func (c *Conn) OpenShards(ctx context.Context) (int, error) {
	var answer struct {
		Active, Initializing, Unassigned int
	}
	var raw map[string]json.RawMessage
	err := c.Read(ctx, func() esapi.Request {
		return esapi.ClusterHealthRequest{FilterPath: []string{"active_shards", "initializing_shards", "unassigned_shards"}}
	}, &raw)
	if err != nil {
		return 0, fmt.Errorf("count shards: %w", err)
	}
	for key, field := range map[string]*int{"active_shards": &answer.Active, "initializing_shards": &answer.Initializing, "unassigned_shards": &answer.Unassigned} {
		if len(raw[key]) > 0 {
			if err := json.Unmarshal(raw[key], field); err != nil {
				return 0, fmt.Errorf("count shards: %w", err)
			}
		}
	}
	return answer.Active + answer.Initializing + answer.Unassigned, nil
}

// AliasesAndStreams are the names of all aliases and data streams.
func (c *Conn) AliasesAndStreams(ctx context.Context) (aliases, streams []string, err error) {
	type named struct {
		Name string `json:"name"`
	}
	var answer struct {
		Aliases []named `json:"aliases"`
		Streams []named `json:"data_streams"`
	}
	err = c.Read(ctx, func() esapi.Request {
		return esapi.IndicesResolveIndexRequest{Name: []string{"*"}, ExpandWildcards: "all", FilterPath: []string{"aliases.name", "data_streams.name"}}
	}, &answer)
	if err != nil {
		return nil, nil, fmt.Errorf("read names of aliases and data streams: %w", err)
	}
	for _, a := range answer.Aliases {
		aliases = append(aliases, a.Name)
	}
	for _, s := range answer.Streams {
		streams = append(streams, s.Name)
	}
	return aliases, streams, nil
}

// StreamTemplates are the index patterns of the templates that make data streams.
func (c *Conn) StreamTemplates(ctx context.Context) ([]string, error) {
	var answer struct {
		Templates []struct {
			Template struct {
				Patterns []string         `json:"index_patterns"`
				Stream   *json.RawMessage `json:"data_stream"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	err := c.Read(ctx, func() esapi.Request { return esapi.IndicesGetIndexTemplateRequest{} }, &answer)
	if err != nil {
		return nil, fmt.Errorf("read index templates: %w", err)
	}
	var out []string
	for _, t := range answer.Templates {
		if t.Template.Stream != nil {
			out = append(out, t.Template.Patterns...)
		}
	}
	return out, nil
}
