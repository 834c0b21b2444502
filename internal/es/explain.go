package es

import (
	"context"
	"fmt"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// Explanation says why the primary of a shard is where it is, or is nowhere.
type Explanation struct {
	State string // unassigned, initializing, started
	Node  string // that holds it, when one does
	Text  string // Elasticsearch's sentence
	Nodes []NodeExplanation
}

// NodeExplanation says why one node does not take the shard.
type NodeExplanation struct {
	Node    string
	Reasons []string
}

// ExplainPrimary asks the allocation of one primary. That a shard failed to be restored before is no reason of a node's, and
// is left out.
func (c *Conn) ExplainPrimary(ctx context.Context, index string, shard int) (Explanation, error) {
	var answer struct {
		State string `json:"current_state"`
		Node  struct {
			Name string `json:"name"`
		} `json:"current_node"`
		Allocate string `json:"allocate_explanation"`
		Text     string `json:"explanation"`
		Nodes    []struct {
			Name     string `json:"node_name"`
			Deciders []struct {
				Name     string `json:"decider"`
				Decision string `json:"decision"`
				Text     string `json:"explanation"`
			} `json:"deciders"`
		} `json:"node_allocation_decisions"`
	}
	err := c.Read(ctx, func() esapi.Request {
		return esapi.ClusterAllocationExplainRequest{Body: strings.NewReader(fmt.Sprintf(`{"index":%q,"shard":%d,"primary":true}`, index, shard))}
	}, &answer)
	if err != nil {
		return Explanation{}, fmt.Errorf("explain the allocation of %s[%d]: %w", index, shard, err)
	}
	e := Explanation{State: answer.State, Node: answer.Node.Name, Text: answer.Allocate}
	if e.Text == "" {
		e.Text = answer.Text
	}
	for _, n := range answer.Nodes {
		x := NodeExplanation{Node: n.Name}
		for _, d := range n.Deciders {
			if d.Decision != "YES" && d.Name != "restore_in_progress" {
				x.Reasons = append(x.Reasons, d.Text)
			}
		}
		e.Nodes = append(e.Nodes, x)
	}
	return e, nil
}
