package testenv

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

// cluster is several nodes of Elasticsearch that share the network of one more container, which outlives each of them. They
// speak to each other at 127.0.0.1: of a node that others can reach, Elasticsearch asks for more open files and mapped memory
// than an engine may be allowed to give.
type cluster struct {
	holder  *Container
	address string
	names   []string
	open    atomic.Int32
}

const transportPort = 9300 // of the first node

func (c *cluster) port(name string) int {
	return images.ElasticsearchPort + slices.Index(c.names, name)
}

// leave is called by each node's Close.
func (c *cluster) leave(ctx context.Context) error {
	if c.open.Add(-1) > 0 {
		return nil
	}
	return c.holder.Close(ctx)
}

// StartElasticsearchCluster starts a node for each of nodes, which form one cluster and are named as their containers, and
// returns when all of them have joined it; the first is its master. They are reached at an address of the engine's network, and take no Network, Port
// and Password. The caller must Close each.
func StartElasticsearchCluster(ctx context.Context, nodes ...ElasticsearchOptions) ([]*Elasticsearch, error) {
	servers, err := startCluster(ctx, nodes)
	return servers, op("StartElasticsearchCluster", "", err)
}

func startCluster(ctx context.Context, nodes []ElasticsearchOptions) ([]*Elasticsearch, error) {
	c, err := newCluster(ctx, len(nodes))
	if err != nil {
		return nil, err
	}
	var seeds []string
	for i := range nodes {
		seeds = append(seeds, fmt.Sprintf("127.0.0.1:%d", transportPort+i))
	}
	servers, errs := make([]*Elasticsearch, len(nodes)), make([]error, len(nodes))
	var started sync.WaitGroup
	for i, opts := range nodes { // at once: none serves before most are there
		settings := map[string]string{
			"node.name": c.names[i], "discovery.type": "", "discovery.seed_hosts": strings.Join(seeds, ","),
			"cluster.initial_master_nodes": c.names[0], "transport.host": "127.0.0.1",
			"transport.port": fmt.Sprint(transportPort + i), "http.port": fmt.Sprint(c.port(c.names[i])),
		}
		maps.Copy(settings, opts.Settings)
		opts.Settings = settings
		started.Go(func() { servers[i], errs[i] = startElasticsearch(ctx, c.names[i], opts, c) })
	}
	started.Wait()
	if err = errors.Join(errs...); err == nil {
		_, err = get(ctx, fmt.Sprintf("%s/_cluster/health?wait_for_nodes=%d&timeout=60s", servers[0].URL(), len(nodes)))
	}
	if err == nil {
		return servers, nil
	}
	for _, e := range servers {
		if e != nil {
			err = errors.Join(err, e.Close(context.WithoutCancel(ctx)))
		}
	}
	return nil, err
}

func newCluster(ctx context.Context, n int) (*cluster, error) {
	image, err := resolve(ctx, images.Elasticsearch, Elasticsearch811)
	if err != nil {
		return nil, err
	}
	holder, err := run(ctx, spec{kind: "es-network", image: image.Ref, cmd: []string{"sleep", "infinity"}, port: images.ElasticsearchPort,
		serving: func(context.Context, string) error { return nil }})
	if err != nil {
		return nil, err
	}
	c := &cluster{holder: holder}
	c.open.Store(int32(n))
	address, err := holder.Exec(ctx, "hostname", "-i")
	if err != nil {
		return nil, errors.Join(err, holder.Close(context.WithoutCancel(ctx)))
	}
	c.address = strings.TrimSpace(address)
	for range n {
		c.names = append(c.names, newName("es"))
	}
	return c, nil
}
