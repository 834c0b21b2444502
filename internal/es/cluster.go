package es

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// Cluster identifies a cluster and counts what can hold shards.
type Cluster struct {
	Name, UUID string
	Version    string // the oldest of its nodes
	// IndexVersion is the newest version of an index that each node reads; 0 when the nodes do not say.
	IndexVersion int
	DataNodes    int
}

// Cluster describes the cluster.
func (c *Conn) Cluster(ctx context.Context) (Cluster, error) {
	var state struct {
		Name string `json:"cluster_name"`
		UUID string `json:"cluster_uuid"`
	}
	err := c.Read(ctx, func() esapi.Request {
		return esapi.ClusterStateRequest{Metric: []string{"version"}}
	}, &state)
	if err != nil {
		return Cluster{}, fmt.Errorf("read cluster: %w", err)
	}
	var nodes struct {
		Nodes map[string]struct {
			Version      string   `json:"version"`
			IndexVersion int      `json:"index_version"`
			MaxIndex     int      `json:"max_index_version"`
			Roles        []string `json:"roles"`
		} `json:"nodes"`
	}
	err = c.Read(ctx, func() esapi.Request {
		return esapi.NodesInfoRequest{NodeID: []string{"_all"}, Metric: []string{"_none"}, FilterPath: []string{"nodes.*.version", "nodes.*.index_version", "nodes.*.max_index_version", "nodes.*.roles"}}
	}, &nodes)
	if err != nil {
		return Cluster{}, fmt.Errorf("read nodes: %w", err)
	}
	out := Cluster{Name: state.Name, UUID: state.UUID}
	for _, n := range nodes.Nodes {
		if out.Version == "" || ParseVersion(n.Version).before(ParseVersion(out.Version)) {
			out.Version = n.Version
		}
		if v := max(n.IndexVersion, n.MaxIndex); v > 0 && (out.IndexVersion == 0 || v < out.IndexVersion) {
			out.IndexVersion = v
		}
		if holdsData(n.Roles) {
			out.DataNodes++
		}
	}
	return out, nil
}

// ClusterUUID tells one cluster from another.
func (c *Conn) ClusterUUID(ctx context.Context) (string, error) {
	var state stateAnswer
	err := c.Read(ctx, func() esapi.Request {
		return esapi.ClusterStateRequest{Metric: []string{"version"}, FilterPath: []string{"cluster_uuid"}}
	}, &state)
	if err != nil {
		return "", fmt.Errorf("read cluster: %w", err)
	}
	return state.ClusterUUID, nil
}

// holdsData: "data" and each tier but the frozen one, which holds only mounted snapshots.
func holdsData(roles []string) bool {
	for _, r := range roles {
		if r == "data" || (strings.HasPrefix(r, "data_") && r != "data_frozen") {
			return true
		}
	}
	return false
}

// ClusterSettings are the settings of a cluster that were set, by their flat names.
type ClusterSettings struct {
	Persistent, Transient map[string]string
}

// ClusterSettings reads the settings that were set; defaults are not among them.
func (c *Conn) ClusterSettings(ctx context.Context) (ClusterSettings, error) {
	flat := true
	var answer struct {
		Persistent map[string]json.RawMessage `json:"persistent"`
		Transient  map[string]json.RawMessage `json:"transient"`
	}
	err := c.Read(ctx, func() esapi.Request { return esapi.ClusterGetSettingsRequest{FlatSettings: &flat} }, &answer)
	if err != nil {
		return ClusterSettings{}, fmt.Errorf("read cluster settings: %w", err)
	}
	return ClusterSettings{Persistent: settingTexts(answer.Persistent), Transient: settingTexts(answer.Transient)}, nil
}

// settingTexts: a flat setting is a text; a list stays JSON.
func settingTexts(raw map[string]json.RawMessage) map[string]string {
	out := make(map[string]string, len(raw))
	for k, v := range raw {
		var text string
		if json.Unmarshal(v, &text) != nil {
			text = string(v)
		}
		out[k] = text
	}
	return out
}

// PutClusterSettings changes settings; nil removes one. All are changed, or none.
func (c *Conn) PutClusterSettings(ctx context.Context, persistent, transient map[string]any) error {
	err := c.WriteIdempotent(ctx, func() esapi.Request {
		return esapi.ClusterPutSettingsRequest{Body: JSON(map[string]any{"persistent": notNil(persistent), "transient": notNil(transient)})}
	}, nil)
	if err != nil {
		return fmt.Errorf("change cluster settings: %w", err)
	}
	return nil
}

func notNil(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
