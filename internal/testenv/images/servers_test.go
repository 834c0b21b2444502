package images_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

// TestElasticsearchBehavesTheSameOnAnOfficialImage puts the thin layer on an image that looks like the official one, and
// is started like any other: nothing but the layer can have put the keys into the keystore.
func TestElasticsearchBehavesTheSameOnAnOfficialImage(t *testing.T) {
	const ref = "nuvlaops-test/looks-official:8.11.3"
	folder := t.TempDir()
	recipe := "FROM " + assembled(t, images.Spec{Name: images.Elasticsearch}) + `
LABEL ` + images.Label + `=""
ENV discovery.type= path.repo= ES_JAVA_OPTS=
ENTRYPOINT ["/bin/tini", "--", "/usr/local/bin/docker-entrypoint.sh"]
`
	if err := os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(recipe), 0o644); err != nil {
		t.Fatal(err)
	}
	docker(t, "build", "--quiet", "--tag", ref, folder)
	t.Cleanup(func() { docker(t, "image", "rm", ref) })
	t.Setenv("NUVLAOPS_ES_IMAGE", ref)

	resolver, err := images.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	found, err := resolver.Resolve(t.Context(), images.Spec{Name: images.Elasticsearch})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { docker(t, "image", "rm", found.Ref) })
	if found.Source != images.FromEnvironment || !found.Official {
		t.Errorf("%+v", found)
	}
	es := startElasticsearch(t, newNetwork(t), found.Ref, append(variables, "cluster.routing.allocation.disk.threshold_enabled=true")...)
	testVariables(t, es, "true")
}

// variables are settings in each of the forms that the official image knows; an empty one is none.
var variables = []string{"cluster.name=from-the-variable", "ES_SETTING_NODE_ATTR_RACK__ID=r1", "http.compression="}

func testVariables(t *testing.T, es container, diskThreshold string) {
	t.Helper()
	settings := ok(t, http.MethodGet, es.url+"/_nodes/_local/settings?flat_settings=true&filter_path=nodes.*.settings", "")
	for setting, want := range map[string]string{
		"cluster.name":           `"from-the-variable"`,
		"node.attr.rack_id":      `"r1"`,
		"discovery.type":         `"single-node"`,
		"xpack.security.enabled": `"false"`,
		"path.repo":              `["` + images.ElasticsearchShared + `"]`,
		"cluster.routing.allocation.disk.threshold_enabled": `"` + diskThreshold + `"`,
	} {
		if !strings.Contains(string(settings.body), fmt.Sprintf("%q:%s", setting, want)) {
			t.Errorf("%s is not %s: %s", setting, want, settings)
		}
	}
	if keys := es.exec(t, "elasticsearch-keystore", "list"); !strings.Contains(keys, "s3.client.default.access_key\ns3.client.default.secret_key") {
		t.Errorf("keystore: %s", keys)
	}
	if ids := docker(t, "exec", es.id, "id"); !strings.HasPrefix(ids, "uid=1000") {
		t.Errorf("runs as %s", ids)
	}
	if owner := es.exec(t, "stat", "--format", "%u", images.ElasticsearchData, images.ElasticsearchShared); owner != "1000\n1000" {
		t.Errorf("the folders belong to %q", owner)
	}
	ok(t, http.MethodPut, es.url+"/_snapshot/fs", `{"type":"fs","settings":{"location":"`+images.ElasticsearchShared+`/a"}}`)
}

// testArchive: a JVM goes on without an archive that does not fit, and every start of a test would be slow unnoticed.
func testArchive(t *testing.T, es container) {
	t.Helper()
	maps := docker(t, "exec", "--user", "1000:0", es.id, "sh", "-c", "cat /proc/[0-9]*/maps 2>/dev/null || true") // some end meanwhile
	for _, archive := range []string{"server.jsa", "cli.jsa"} {
		if !strings.Contains(maps, "/usr/share/elasticsearch/"+archive) {
			t.Errorf("no process has mapped %s", archive)
		}
	}
}

// testRestart starts the same container again, as after a reboot: the data is there and the keystore is in nobody's way.
func testRestart(t *testing.T, es container) {
	t.Helper()
	ok(t, http.MethodPut, es.url+"/kept/_doc/1?refresh=true", `{"a":1}`)
	es.restart(t, images.ElasticsearchPort)
	eventually(t, "Elasticsearch", func() error {
		a, err := try(t, http.MethodGet, es.url+"/kept/_count", "")
		if err == nil && a.get("count") != float64(1) {
			err = fmt.Errorf("%s", a)
		}
		return err
	})
}

func TestZooKeeperIsHealthyAndKeepsItsData(t *testing.T) {
	for _, version := range []string{images.ZooKeeperVersion, images.ZooKeeperNextVersion} {
		t.Run(version, func(t *testing.T) {
			network := newNetwork(t)
			zk := start(t, network, assembled(t, images.Spec{Name: images.ZooKeeper, Version: version}), images.ZooKeeperPort, nil, nil)
			zk.healthy(t)
			kazoo(t, network, zk, `client.create("/kept", b"1")`)
			if said := zk.ask(t, "srvr"); !strings.Contains(said, version) {
				t.Errorf("srvr: %s", said)
			}
			if said := zk.ask(t, "mntr"); !strings.Contains(said, "zk_znode_count") {
				t.Errorf("mntr: %s", said)
			}
			for _, folder := range []string{images.ZooKeeperData, images.ZooKeeperLog} {
				if volumes := docker(t, "inspect", "--format", "{{json .Config.Volumes}}", zk.id); !strings.Contains(volumes, `"`+folder+`"`) {
					t.Errorf("%s is no volume: %s", folder, volumes)
				}
			}
			zk.restart(t, images.ZooKeeperPort)
			zk.healthy(t)
			if out := kazoo(t, network, zk, `print(client.get("/kept")[0])`); out != "b'1'" {
				t.Errorf("after a restart: %s", out)
			}
		})
	}
}

// TestZooKeepersFormAnEnsemble is about 3.4, whose lines of servers differ; package testenv has one of 3.9.
func TestZooKeepersFormAnEnsemble(t *testing.T) {
	network, ref := newNetwork(t), assembled(t, images.Spec{Name: images.ZooKeeper})
	const lines = "server.1=zoo1:2888:3888 server.2=zoo2:2888:3888 server.3=zoo3:2888:3888"
	var servers []container
	for id := 1; id <= 3; id++ {
		servers = append(servers, start(t, fmt.Sprintf("name=%s,alias=zoo%d", network, id), ref, images.ZooKeeperPort,
			[]string{fmt.Sprintf("ZOO_MY_ID=%d", id), "ZOO_SERVERS=" + lines, "SERVER_JVMFLAGS=-Xmx64m"}, nil))
	}
	leaders := 0
	for _, server := range servers {
		server.healthy(t)
		if strings.Contains(server.ask(t, "srvr"), "Mode: leader") {
			leaders++
		}
	}
	if leaders != 1 {
		t.Errorf("%d leaders", leaders)
	}
}

func TestConsumerHasKazooAndReachesTheQueue(t *testing.T) {
	network := newNetwork(t)
	zk := start(t, network, assembled(t, images.Spec{Name: images.ZooKeeper}), images.ZooKeeperPort, nil, nil)
	zk.healthy(t)
	out := kazoo(t, network, zk, `
queue = client.LockingQueue("/job")
queue.put(b"job/1", priority=50)
print(queue.get(), client.get_children("/job/entries"), client.get_children("/job/taken"))
queue.consume()
`)
	if want := "b'job/1' ['entry-050-0000000000'] ['entry-050-0000000000']"; out != want {
		t.Errorf("%q, want %q", out, want)
	}
}

func TestS3ServerWithoutKeysSaysWhatToSet(t *testing.T) {
	out, err := testenv.Command(t, "docker", "run", "--rm", "--label", label(), assembled(t, images.Spec{Name: images.S3})).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "set ROOT_ACCESS_KEY and ROOT_SECRET_KEY") {
		t.Errorf("%s, %v", out, err)
	}
}

// kazoo runs Python with a client of the server and returns what it prints.
func kazoo(t *testing.T, network string, zk container, script string) string {
	t.Helper()
	return docker(t, "run", "--rm", "--network", network, "--label", label(), assembled(t, images.Spec{Name: images.Consumer}), "python3", "-c", `
from kazoo.client import KazooClient
client = KazooClient("`+zk.host+`:2181")
client.start(timeout=60)
`+script)
}

// ask sends a four letter word and returns the answer, which is empty as long as nothing listens.
func (c container) ask(t *testing.T, word string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	said, _ := testenv.AskZooKeeper(ctx, strings.TrimPrefix(c.url, "http://"), word)
	return said
}

func (c container) healthy(t *testing.T) {
	t.Helper()
	eventually(t, "ZooKeeper", func() error {
		if said := c.ask(t, "srvr"); !strings.Contains(said, "Mode: ") {
			return fmt.Errorf("srvr says %q", said)
		}
		return nil
	})
}
