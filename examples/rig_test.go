package examples_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv"
)

const (
	elasticPassword = "elastic-of-a-test"
	bucket          = "nuvla-es-backup"
)

// cluster is a secured Elasticsearch and an S3 server on an overlay network, with a user of each shipped role.
type cluster struct {
	swarm   *testenv.Swarm
	network string
	es      *testenv.Elasticsearch
	s3      *testenv.S3
}

// shared is started by the test that needs it first, and ended by Main.
var shared = sync.OnceValues(func() (*cluster, error) {
	ctx := context.Background()
	c := &cluster{network: fmt.Sprintf("nuvlaops-examples-%d", os.Getpid())}
	var err error
	if c.swarm, err = testenv.StartSwarm(ctx); err != nil {
		return nil, err
	}
	if err := c.swarm.CreateNetwork(ctx, c.network); err != nil {
		return nil, err
	}
	if c.s3, err = testenv.StartS3(ctx, testenv.S3Options{Network: c.network}); err != nil {
		return nil, err
	}
	if err := c.s3.CreateBucket(ctx, bucket); err != nil {
		return nil, err
	}
	config, err := usersWithTheShippedRoles()
	if err != nil {
		return nil, err
	}
	c.es, err = testenv.StartElasticsearch(ctx, testenv.ElasticsearchOptions{Network: c.network, S3: c.s3.Keys(), Password: elasticPassword, Config: config})
	return c, err
})

// usersWithTheShippedRoles are files of Elasticsearch's own file realm: JSON is YAML, so a shipped role goes in as it is.
func usersWithTheShippedRoles() (map[string]string, error) {
	var roles, users, assigned strings.Builder
	for _, name := range []string{"backup", "restore", "nobody"} {
		sum := sha1.Sum([]byte(passwordOf(name)))
		fmt.Fprintf(&users, "nuvla-%s:{SHA}%s\n", name, base64.StdEncoding.EncodeToString(sum[:]))
		if name == "nobody" {
			continue
		}
		definition, err := os.ReadFile("roles/" + name + ".json")
		if err != nil {
			return nil, err
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, definition); err != nil {
			return nil, fmt.Errorf("roles/%s.json: %w", name, err)
		}
		fmt.Fprintf(&roles, "nuvla-%s: %s\n", name, &compact)
		fmt.Fprintf(&assigned, "nuvla-%s:nuvla-%s\n", name, name)
	}
	return map[string]string{"roles.yml": roles.String(), "users": users.String(), "users_roles": assigned.String()}, nil
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// send sends one request as the user elastic.
func (c *cluster) send(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	raw, isText := body.([]byte)
	if body != nil && !isText {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.es.Client().Perform(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	if res.StatusCode > 299 {
		t.Fatalf("%s %s: %d %.500s", method, path, res.StatusCode, answer)
	}
	var out map[string]any
	_ = json.Unmarshal(answer, &out)
	return out
}

// user returns a client of nuvla-NAME.
func (c *cluster) user(t *testing.T, name, password string) *es.Transport {
	t.Helper()
	client, err := es.Dial(es.Access{Addresses: []string{c.es.URL()}, Username: "nuvla-" + name, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func passwordOf(role string) string { return role + "-of-a-test" }
