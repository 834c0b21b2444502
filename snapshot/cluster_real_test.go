package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/snapshot"
)

// cluster is three nodes, of which the last has neither keys nor the folder that the others share. What it does goes through the
// second one.
type cluster struct {
	*bench
	nodes []*testenv.Elasticsearch
	s3    *testenv.S3
}

func TestOnAClusterOfThreeNodes(t *testing.T) {
	t.Parallel()
	s3 := testenv.UseS3(t, testenv.S3Options{})
	whole := testenv.ElasticsearchOptions{Heap: "400m", S3: s3.Keys(), SharedVolume: testenv.UseVolume(t)}
	c := &cluster{s3: s3, nodes: testenv.UseElasticsearchCluster(t, whole, whole, testenv.ElasticsearchOptions{Heap: "400m"})}
	c.bench = &bench{t: t, place: places[0], server: c.nodes[1], client: c.nodes[1].Client(), id: "cluster"}
	c.repo = c.open(c.client, nil)
	if err := s3.CreateBucket(t.Context(), "cluster"); err != nil {
		t.Fatal(err)
	}
	c.nodeIsNamed(t)
	// One shard on each node but the first, which is the master.
	c.do("PUT", "/"+c.index("big"), fmt.Sprintf(`{"settings":{"number_of_shards":2,"number_of_replicas":0,"index.routing.allocation":{"exclude._name":%q,"total_shards_per_node":1}}}`, c.nodes[0].Name()))
	var lines strings.Builder
	for range 4000 {
		fmt.Fprintf(&lines, "{\"index\":{}}\n{\"text\":\"%x\"}\n", fmt.Sprint(rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64()))
	}
	for range 5 {
		c.do("POST", "/"+c.index("big")+"/_bulk", lines.String())
	}
	c.do("GET", "/_cluster/health?wait_for_status=green&timeout=60s", "")
	t.Run("a node that leaves while a snapshot is taken is told", func(t *testing.T) {
		s, err := c.createAndKill(t, 2)
		if !errors.Is(err, nuvlaops.ErrPartial) || s.Complete() || !strings.Contains(err.Error(), c.index("big")+"[") {
			t.Errorf("%+v, %v", s, err)
		}
	})
	if err := c.nodes[2].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.do("GET", "/_cluster/health?wait_for_nodes=3&wait_for_status=green&timeout=60s", "")
	t.Run("a snapshot outlives the master, and is taken once", func(t *testing.T) {
		s, err := c.createAndKill(t, 0)
		if err != nil || !s.Complete() {
			t.Fatalf("%+v, %v", s, err)
		}
		if got := c.snapshots(); len(got) != 2 {
			t.Errorf("snapshots are %v", got)
		}
	})
}

func (c *cluster) nodeIsNamed(t *testing.T) {
	settings := snapshot.Settings{S3: &snapshot.S3{Bucket: "cluster", Endpoint: c.s3.Endpoint(), PathStyleAccess: true}, MaxSnapshotBytesPerSec: "1mb"}
	ensure := func(s snapshot.Settings) func(context.Context) error {
		return func(ctx context.Context) error { _, err := c.repo.Ensure(ctx, s); return err }
	}
	write := func(name, value string) {
		if err := c.nodes[2].WriteSecret(t.Context(), name, value); err != nil {
			t.Fatal(err)
		}
	}
	seen := " (seen by " + c.nodes[2].Name() + ")"
	for _, step := range []struct {
		name   string
		before func()
		call   func(context.Context) error
		want   string
		hint   string
	}{
		{"a bucket that is not there", nil, ensure(snapshot.Settings{S3: &snapshot.S3{Bucket: "nowhere", Endpoint: c.s3.Endpoint(), PathStyleAccess: true}}),
			"bucket nowhere does not exist (seen by the master node " + c.nodes[0].Name() + ")", "create it first"},
		{"a folder that is not shared", nil, ensure(snapshot.Settings{FS: &snapshot.FS{Location: testenv.ElasticsearchSharedPath + "/x"}}),
			"the nodes do not see the same files" + seen, "mount the same file system"},
		{"no keys", nil, ensure(settings), "Elasticsearch has no S3 keys for client default" + seen, "into the keystore of each node"},
		{"keys", func() { write("s3_access_key", c.s3.Keys().Access); write("s3_secret_key", c.s3.Keys().Secret) }, func(ctx context.Context) error {
			c.do("PUT", "/_snapshot/"+c.repo.Name()+"?verify=false", fmt.Sprintf(`{"type":"s3","settings":{"bucket":"cluster","endpoint":%q,"path_style_access":true}}`, c.s3.Endpoint()))
			return c.repo.ReloadSecrets(ctx)
		}, "", ""},
		{"another secret", func() { write("s3_secret_key", "another") }, c.repo.ReloadSecrets, c.s3.Endpoint() + " refuses the S3 secret key" + seen, "into the keystore of each node"},
		{"the same again", func() { write("s3_secret_key", c.s3.Keys().Secret) }, c.repo.ReloadSecrets, "", ""},
		{"all of them", nil, ensure(settings), "", ""},
	} {
		t.Run(step.name, func(t *testing.T) {
			if step.before != nil {
				step.before()
			}
			err := step.call(t.Context())
			if step.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *nuvlaops.Error
			if !errors.Is(err, nuvlaops.ErrRepository) || !errors.As(err, &e) || !strings.Contains(err.Error(), step.hint) ||
				!strings.Contains(err.Error(), step.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// createAndKill takes a snapshot of all, and kills a node while it is taken.
func (c *cluster) createAndKill(t *testing.T, node int) (*snapshot.Snapshot, error) {
	t.Helper()
	struck := false
	killed := make(chan error, 1)
	s, err := c.repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{c.index("*")}, RunID: t.Name(), Progress: func(p nuvlaops.Progress) {
		if p.Phase == "copying" && !struck {
			struck = true
			go func() { killed <- c.nodes[node].Kill(context.Background()) }()
		}
	}})
	if !struck {
		t.Fatalf("the snapshot ended before anybody saw it under way: %v", err)
	}
	if e := <-killed; e != nil {
		t.Fatal(e)
	}
	return s, err
}
