package es

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// Node is a node that can hold data.
type Node struct {
	ID         string            `json:"-"`
	Name       string            `json:"name"`
	Host       string            `json:"host"`
	IP         string            `json:"ip"`
	Roles      []string          `json:"roles"`
	Attributes map[string]string `json:"attributes"`
}

// DataNodes are the nodes that hold data, by name.
func (c *Conn) DataNodes(ctx context.Context) ([]Node, error) {
	var answer struct {
		Nodes map[string]Node `json:"nodes"`
	}
	err := c.Read(ctx, func() esapi.Request {
		return esapi.NodesInfoRequest{NodeID: []string{"_all"}, Metric: []string{"_none"}, FilterPath: []string{"nodes.*.name", "nodes.*.host", "nodes.*.ip", "nodes.*.roles", "nodes.*.attributes"}}
	}, &answer)
	if err != nil {
		return nil, fmt.Errorf("read nodes: %w", err)
	}
	var out []Node
	for id, n := range answer.Nodes {
		if n.ID = id; holdsData(n.Roles) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// Master is the name of the elected master.
func (c *Conn) Master(ctx context.Context) (string, error) {
	var answer struct {
		Nodes map[string]Node `json:"nodes"`
	}
	err := c.Read(ctx, func() esapi.Request {
		return esapi.NodesInfoRequest{NodeID: []string{"_master"}, Metric: []string{"_none"}, FilterPath: []string{"nodes.*.name"}}
	}, &answer)
	for _, n := range answer.Nodes {
		return n.Name, err
	}
	return "", err
}
