package testenv

import (
	"context"

	"github.com/elastic/go-elasticsearch/v8"
)

// The versions of Elasticsearch that tests run on.
const (
	// Elasticsearch811 is what Nuvla runs.
	Elasticsearch811 = "8.11.3"
	// Elasticsearch819 is the newest 8.x.
	Elasticsearch819 = "8.19.7"
)

// ElasticsearchOptions says which server to start. The zero value is a single node of 8.11.3 with 512 MB of heap.
type ElasticsearchOptions struct {
	// Version of the server. Default Elasticsearch811.
	Version string
	// Settings of the node by their dotted names, over those that a test server always has (single node, no disk watermarks,
	// no security).
	Settings map[string]string
	// Heap of the JVM, as -Xmx takes it. Default "512m".
	Heap string
	// S3 holds the keys that are put at /run/secrets/s3_access_key and s3_secret_key and into the keystore, for the
	// client "default" of s3 repositories. Zero means no keys.
	S3 S3Keys
	// Network that the server joins. Default: the network of this process. It must be a bridge or an attachable overlay.
	Network string
	// Port on 127.0.0.1. Default: a free one.
	Port int
	// DataSize in bytes puts the data on a tmpfs of this size, for tests of disk watermarks. Such data does not outlive a
	// Stop or Kill. Default 0: on disk.
	DataSize int64
	// SharedPath is the name of a volume (NewVolume) to mount at ElasticsearchSharedPath, for fs repositories that several
	// servers use. Without it the path is there as well, for this server alone.
	SharedPath string
}

// ElasticsearchSharedPath is a path.repo of every server: fs repositories take it, or a folder in it, as location.
const ElasticsearchSharedPath = "/usr/share/elasticsearch/shared"

// Elasticsearch is a running server.
type Elasticsearch struct {
	*Container
}

// StartElasticsearch starts a server and returns when its cluster state is there and it takes requests (about 12 s).
// The caller must Close it.
func StartElasticsearch(ctx context.Context, opts ElasticsearchOptions) (*Elasticsearch, error) {
	return nil, errTodo
}

// URL is the server's address on this machine, as http://127.0.0.1:PORT.
func (e *Elasticsearch) URL() string { return "http://" + e.addr }

// Client returns a client whose own retries are off. Each call makes a new one.
func (e *Elasticsearch) Client() *elasticsearch.Client { return nil }

// WriteSecret puts a file of this name and value into /run/secrets and, when it is s3_access_key or s3_secret_key, the value
// into the keystore too. The server uses it after POST _nodes/reload_secure_settings.
func (e *Elasticsearch) WriteSecret(ctx context.Context, name, value string) error { return errTodo }

// ReloadSecrets makes the server read its keystore again.
func (e *Elasticsearch) ReloadSecrets(ctx context.Context) error { return errTodo }
