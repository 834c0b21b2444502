package images

import (
	"fmt"
	"strings"
)

// Name is what an image is for.
type Name string

// The images that there are.
const (
	// Elasticsearch listens on 9200. Its heap is 512 MB unless ES_JAVA_OPTS says otherwise.
	Elasticsearch Name = "elasticsearch"
	// ZooKeeper listens on 2181, answers srvr, ruok and mntr, and takes the variables ZOO_* of the official image.
	ZooKeeper Name = "zookeeper"
	// S3 is versitygw on port 9222 over /data, with keys from ROOT_ACCESS_KEY and ROOT_SECRET_KEY or from
	// /run/secrets/s3_access_key and s3_secret_key. A bucket must be made through S3 before it is used.
	S3 Name = "s3"
	// Consumer has python3 and kazoo; the command is what to run, "python3 script.py".
	Consumer Name = "consumer"
	// Base is a small Debian, the ground of the assembled images.
	Base Name = "base"
)

// Versions that the project is tested with; the first of each is what Nuvla runs.
const (
	ElasticsearchVersion     = "8.11.3"
	ElasticsearchNextVersion = "8.19.7"
	Elasticsearch9Version    = "9.5.0"
	ZooKeeperVersion         = "3.4.13"
	ZooKeeperNextVersion     = "3.9.5"

	s3Version   = "1.8.0"
	baseVersion = "bookworm"
)

// Paths and ports inside the containers.
const (
	ElasticsearchData   = "/usr/share/elasticsearch/data"
	ElasticsearchShared = "/usr/share/elasticsearch/shared"
	ElasticsearchConfig = "/usr/share/elasticsearch/config"
	ElasticsearchPort   = 9200
	ZooKeeperData       = "/data"
	ZooKeeperLog        = "/datalog"
	ZooKeeperPort       = 2181
	S3Port              = 9222

	// ElasticsearchKeystore is a command in an Elasticsearch container that reads the secrets again and puts them into the
	// keystore; POST _nodes/reload_secure_settings then makes the server take them.
	ElasticsearchKeystore = "/usr/local/bin/nuvlaops-keystore"
)

// Spec is one image. An empty Version is the default of its name.
type Spec struct {
	Name    Name
	Version string
}

// Defaults are the images that the demo needs.
func Defaults() []Spec {
	return []Spec{
		{Elasticsearch, ElasticsearchVersion},
		{ZooKeeper, ZooKeeperVersion},
		{S3, s3Version},
		{Consumer, baseVersion},
	}
}

// All are the images that the tests need.
func All() []Spec {
	return append(Defaults(), Spec{Elasticsearch, ElasticsearchNextVersion}, Spec{Elasticsearch, Elasticsearch9Version}, Spec{ZooKeeper, ZooKeeperNextVersion})
}

// ParseSpec reads "elasticsearch" or "elasticsearch:8.19.7", and es and zk for short.
func ParseSpec(s string) (Spec, error) {
	name, version, _ := strings.Cut(s, ":")
	switch name {
	case "es":
		name = string(Elasticsearch)
	case "zk":
		name = string(ZooKeeper)
	}
	return Spec{Name(name), version}.complete()
}

// String is "elasticsearch 8.11.3".
func (s Spec) String() string { return string(s.Name) + " " + s.Version }

// Variables are the environment variables that choose this image, the first that is set wins.
func (s Spec) Variables() []string {
	short, ok := map[Name]string{Elasticsearch: "ES", ZooKeeper: "ZK", S3: "S3", Consumer: "CONSUMER", Base: "BASE"}[s.Name]
	if !ok {
		return nil
	}
	version := strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToUpper(s.Version))
	names := []string{"NUVLAOPS_" + short + "_" + version + "_IMAGE"}
	if s.Version == defaultVersion(s.Name) {
		names = append(names, "NUVLAOPS_"+short+"_IMAGE")
	}
	return names
}

func (s Spec) complete() (Spec, error) {
	if s.Version == "" {
		s.Version = defaultVersion(s.Name)
	}
	if s.Version == "" {
		return s, fmt.Errorf("no image %q: there are elasticsearch, zookeeper, s3, consumer and base", s.Name)
	}
	return s, nil
}

func defaultVersion(name Name) string {
	switch name {
	case Elasticsearch:
		return ElasticsearchVersion
	case ZooKeeper:
		return ZooKeeperVersion
	case S3:
		return s3Version
	case Consumer, Base:
		return baseVersion
	}
	return ""
}
