package restore

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/nuvla/nuvlaops/internal/es"
)

// Prefixes of the settings that say which nodes may hold shards.
const (
	clusterFilters = "cluster.routing.allocation."
	indexFilters   = "index.routing.allocation."
	tierPreference = "index.routing.allocation.include._tier_preference"
)

// findFilters looks for a node that the cluster's filters, and those among the settings of the request, let hold a shard.
// What the snapshot's own indices ask for is not in its description: a shard that no node may hold fails at once, and
// Apply says why.
func (r *Repo) findFilters(ctx context.Context, p *Plan) error {
	settings, err := r.conn.ClusterSettings(ctx)
	if err != nil {
		return err
	}
	filters := map[string]string{}
	for _, set := range []map[string]string{settings.Persistent, settings.Transient} {
		for name, value := range set {
			if isFilter(name, clusterFilters) {
				filters[name] = value
			}
		}
	}
	for name, value := range p.Request.Settings {
		if isFilter(name, indexFilters) {
			filters[name] = value
		}
	}
	if len(filters) == 0 {
		return nil
	}
	nodes, err := r.conn.DataNodes(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(nodes, func(n es.Node) bool { return admits(filters, n) }) {
		var texts []string
		for _, name := range slices.Sorted(maps.Keys(filters)) {
			texts = append(texts, name+"="+filters[name])
		}
		p.add(SeverityError, CodeFilters, "", "change the filters, or the settings of the request", "none of %s may hold a shard: %s",
			plural(len(nodes), "data node"), strings.Join(texts, ", "))
	}
	return nil
}

func isFilter(name, prefix string) bool {
	rest, found := strings.CutPrefix(name, prefix)
	kind, _, dotted := strings.Cut(rest, ".")
	return found && dotted && slices.Contains([]string{"include", "exclude", "require"}, kind)
}

// admits: a node must have each value that is required, one of those included, and none of those excluded. Filters of the
// cluster and of the index hold both.
func admits(filters map[string]string, n es.Node) bool {
	included := map[string]bool{} // by prefix: one is enough
	for name, value := range filters {
		prefix := clusterFilters
		if strings.HasPrefix(name, indexFilters) {
			prefix = indexFilters
		}
		kind, attribute, _ := strings.Cut(strings.TrimPrefix(name, prefix), ".")
		values := strings.Split(value, ",")
		has := func(v string) bool { return v != "" && nodeHas(n, attribute, strings.TrimSpace(v)) }
		switch {
		case value == "":
		case name == tierPreference:
			if !slices.ContainsFunc(values, func(v string) bool { return inTier(n, strings.TrimSpace(v)) }) {
				return false
			}
		case kind == "exclude" && slices.ContainsFunc(values, has):
			return false
		case kind == "require" && slices.ContainsFunc(values, func(v string) bool { return !has(v) }):
			return false
		case kind == "include":
			included[prefix] = included[prefix] || slices.ContainsFunc(values, has)
		}
	}
	for _, ok := range included {
		if !ok {
			return false
		}
	}
	return true
}

func nodeHas(n es.Node, attribute, pattern string) bool {
	values := []string{n.Attributes[attribute]}
	switch attribute {
	case "_name":
		values = []string{n.Name}
	case "_id":
		values = []string{n.ID}
	case "_ip", "_host_ip", "_publish_ip":
		values = []string{n.IP}
	case "_host":
		values = []string{n.Host, n.IP}
	}
	return slices.ContainsFunc(values, func(v string) bool { ok, _ := path.Match(pattern, v); return ok && v != "" })
}

// inTier: a node of the general role belongs to each tier.
func inTier(n es.Node, tier string) bool {
	return slices.Contains(n.Roles, "data") || slices.Contains(n.Roles, tier)
}
