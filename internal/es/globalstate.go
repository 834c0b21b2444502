package es

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// Kinds of what a cluster keeps beside its indices, as GlobalState names them.
const (
	indexTemplates     = "index templates"
	componentTemplates = "component templates"
	legacyTemplates    = "legacy templates"
	pipelines          = "ingest pipelines"
	Policies           = "ILM policies"
	scripts            = "stored scripts"
)

// GlobalState are the names of what the cluster keeps beside its indices and settings, by kind, in order. A kind of which
// there is none is left out. It is read from the cluster state, so it needs none of the modules that manage it.
func (c *Conn) GlobalState(ctx context.Context) (map[string][]string, error) {
	type named map[string]json.RawMessage
	var answer struct {
		Metadata struct {
			Templates struct {
				All named `json:"index_template"`
			} `json:"index_template"`
			Components struct {
				All named `json:"component_template"`
			} `json:"component_template"`
			Legacy named `json:"templates"`
			Ingest struct {
				Pipelines []struct {
					ID string `json:"id"`
				} `json:"pipeline"`
			} `json:"ingest"`
			Lifecycle struct {
				Policies named `json:"policies"`
			} `json:"index_lifecycle"`
			Scripts named `json:"stored_scripts"`
		} `json:"metadata"`
	}
	err := c.Read(ctx, func() esapi.Request {
		return esapi.ClusterStateRequest{Metric: []string{"metadata"}, FilterPath: []string{"metadata.index_template.index_template.*.index_patterns",
			"metadata.component_template.component_template.*", "metadata.templates.*.index_patterns", "metadata.ingest.pipeline.id",
			"metadata.index_lifecycle.policies.*.modified_date", "metadata.stored_scripts.*.lang"}}
	}, &answer)
	if err != nil {
		return nil, fmt.Errorf("read global state: %w", err)
	}
	m, out := answer.Metadata, map[string][]string{}
	for kind, names := range map[string]named{indexTemplates: m.Templates.All, componentTemplates: m.Components.All,
		legacyTemplates: m.Legacy, Policies: m.Lifecycle.Policies, scripts: m.Scripts} {
		if len(names) > 0 {
			out[kind] = slices.Sorted(maps.Keys(names))
		}
	}
	for _, p := range m.Ingest.Pipelines {
		out[pipelines] = append(out[pipelines], p.ID)
	}
	slices.Sort(out[pipelines])
	return out, nil
}
