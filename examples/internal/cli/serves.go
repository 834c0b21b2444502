package cli

import (
	"context"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// ElasticsearchServes is a probe: Elasticsearch answers with its health, whatever that is.
func ElasticsearchServes(client es.Client) func(context.Context) error {
	return func(ctx context.Context) error { return es.Send(ctx, client, esapi.ClusterHealthRequest{}, nil) }
}

// ZooKeeperServes is a probe: ZooKeeper gives a session.
func ZooKeeperServes(options *zkjobs.ConnectOptions, hosts ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := zkjobs.Connect(ctx, hosts, options)
		if err != nil {
			return err
		}
		conn.Close()
		return nil
	}
}
