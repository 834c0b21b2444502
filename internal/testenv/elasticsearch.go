package testenv

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

// The versions of Elasticsearch that tests run on.
const (
	// Elasticsearch811 is what Nuvla runs.
	Elasticsearch811 = images.ElasticsearchVersion
	// Elasticsearch819 is the newest 8.x.
	Elasticsearch819 = images.ElasticsearchNextVersion
	// Elasticsearch9 is the newest that can be assembled.
	Elasticsearch9 = images.Elasticsearch9Version
)

// ElasticsearchSharedPath is a path.repo of every server: fs repositories take it, or a folder in it, as location.
const ElasticsearchSharedPath = images.ElasticsearchShared

const (
	secretsPath = "/run/secrets/"
	accessFile  = "s3_access_key"
	secretFile  = "s3_secret_key"
)

// ElasticsearchOptions says which server to start. The zero value is a single node of 8.11.3 with 512 MB of heap.
type ElasticsearchOptions struct {
	// Version of the server. Default Elasticsearch811.
	Version string
	// Settings of the node by their dotted names, over those that a test server always has: a single node, security and disk
	// watermarks off, ElasticsearchSharedPath. An empty value takes a setting away.
	Settings map[string]string
	// Password of the user elastic, which turns security on: without credentials nothing is answered. Default: security off.
	Password string
	// Config holds more files of the server's config folder, content by name: roles.yml, users and users_roles, say. Roles
	// and users cannot be made by requests in an assembled server, which lacks what their index needs.
	Config map[string]string
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
	// SharedVolume is the name of a volume (NewVolume) to mount at ElasticsearchSharedPath, for fs repositories that several
	// servers use or that outlive one. Without it the path is there as well, for this server alone.
	SharedVolume string
}

// Elasticsearch is a running server.
type Elasticsearch struct {
	*Container
	official bool
	password string
}

// StartElasticsearch starts a server and returns when its cluster state is recovered and it takes requests (5 to 7 s on two
// idle cores). The caller must Close it.
func StartElasticsearch(ctx context.Context, opts ElasticsearchOptions) (*Elasticsearch, error) {
	e, err := startElasticsearch(ctx, newName("es"), opts, nil)
	return e, op("StartElasticsearch", opts.Version, err)
}

func startElasticsearch(ctx context.Context, name string, opts ElasticsearchOptions, within *cluster) (*Elasticsearch, error) {
	if opts.Version == "" {
		opts.Version = Elasticsearch811
	}
	image, err := resolve(ctx, images.Elasticsearch, opts.Version)
	if err != nil {
		return nil, err
	}
	s := elasticsearchSpec(image.Ref, opts)
	s.name, s.within = name, within
	if within != nil {
		s.port = within.port(name)
	}
	c, err := run(ctx, s)
	if err != nil {
		return nil, err
	}
	return &Elasticsearch{Container: c, official: image.Official, password: opts.Password}, nil
}

func elasticsearchSpec(image string, opts ElasticsearchOptions) spec {
	heap := opts.Heap
	if heap == "" {
		heap = "512m"
	}
	s := spec{
		kind: "es", image: image, network: opts.Network, port: images.ElasticsearchPort, publish: opts.Port,
		serving: func(ctx context.Context, addr string) error {
			return elasticsearchServes(ctx, base(addr, opts.Password))
		},
		env: map[string]string{
			"discovery.type":         "single-node",
			"xpack.security.enabled": "false",
			"path.repo":              ElasticsearchSharedPath,
			"cluster.routing.allocation.disk.threshold_enabled": "false",
			"ES_JAVA_OPTS": "-Xms" + heap + " -Xmx" + heap,
		},
		files:   map[string]string{},
		volumes: map[string]string{},
		tmpfs:   map[string]string{},
	}
	if opts.Password != "" {
		s.env["xpack.security.enabled"] = "true"
		s.env["ELASTIC_PASSWORD"] = opts.Password
	}
	maps.Copy(s.env, opts.Settings)
	for name, content := range opts.Config {
		s.files[images.ElasticsearchConfig+"/"+name] = content
	}
	if opts.S3 != (S3Keys{}) {
		s.files[secretsPath+accessFile] = opts.S3.Access
		s.files[secretsPath+secretFile] = opts.S3.Secret
	}
	if opts.SharedVolume != "" {
		s.volumes[opts.SharedVolume] = ElasticsearchSharedPath
	}
	if opts.DataSize > 0 {
		s.tmpfs[images.ElasticsearchData] = fmt.Sprintf("rw,size=%d,uid=1000,gid=0,mode=775", opts.DataSize)
	}
	return s
}

// elasticsearchServes: health answers before the state is recovered, so the blocks are asked for as well.
func elasticsearchServes(ctx context.Context, base string) error {
	if _, err := get(ctx, base+"/_cluster/health?timeout=1s&master_timeout=1s"); err != nil {
		return err
	}
	body, err := get(ctx, base+"/_cluster/state/blocks?filter_path=blocks.global&master_timeout=1s")
	if err == nil && strings.Contains(body, "state not recovered") {
		err = fmt.Errorf("the cluster state is not recovered yet")
	}
	return err
}

// base is the server's URL, with the credentials that it wants.
func base(addr, password string) string {
	u := url.URL{Scheme: "http", Host: addr}
	if password != "" {
		u.User = url.UserPassword("elastic", password)
	}
	return u.String()
}

// get asks a test server for something small and takes 200 only.
func get(ctx context.Context, url string) (string, error) {
	return request(ctx, http.MethodGet, url)
}

func request(ctx context.Context, method, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return "", err
	}
	req.Close = true // leave no idle connection behind
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %.300s", method, req.URL.Path, res.Status, body)
	}
	return string(body), err
}

// URL is the server's address on this machine, as http://127.0.0.1:PORT.
func (e *Elasticsearch) URL() string { return "http://" + e.addr }

// Official says whether the server has all of its maker's modules: GET /, reindex, painless, ingest, ILM and SLM are missing
// in an assembled one.
func (e *Elasticsearch) Official() bool { return e.official }

// Client returns a client without retries, of the user elastic where security is on. Each call makes a new one.
func (e *Elasticsearch) Client() *es.Transport {
	access := es.Access{Addresses: []string{e.URL()}}
	if e.password != "" {
		access.Username, access.Password = "elastic", e.password
	}
	c, err := es.Dial(access)
	if err != nil {
		panic("testenv: " + err.Error()) // only for an address that is no URL
	}
	return c
}

// WriteSecret puts a file of this name and value into /run/secrets and, when it is s3_access_key or s3_secret_key and both
// are there, both into the keystore. The running server uses them after ReloadSecrets.
func (e *Elasticsearch) WriteSecret(ctx context.Context, name, value string) error {
	if err := e.write(ctx, secretsPath+name, value); err != nil {
		return op("WriteSecret", name, err)
	}
	_, err := e.exec(ctx, "1000", images.ElasticsearchKeystore)
	return op("WriteSecret", name, err)
}

// ReloadSecrets makes the server read its keystore again.
func (e *Elasticsearch) ReloadSecrets(ctx context.Context) error {
	body, err := request(ctx, http.MethodPost, base(e.addr, e.password)+"/_nodes/reload_secure_settings")
	if err == nil && strings.Contains(body, "reload_exception") {
		err = fmt.Errorf("reload secure settings: %.300s", body)
	}
	return op("ReloadSecrets", e.name, err)
}
