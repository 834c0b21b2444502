package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/internal/testenv/images"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/stack"
)

const (
	repository = "s3_backup"
	bucket     = "nuvla-es-backup"

	folderPattern = "nuvlaops-platform-*" // in the temporary folder
)

//go:embed stacks
var stacks embed.FS

// platform is what stands for the production: two stacks on a network, the S3 server beside them, and the ways in.
type platform struct {
	db, core, network string // names of the stacks and their network
	folder            string // with the compose files and the file of the repository
	lock              *os.File
	images            map[images.Name]string
	swarm             *testenv.Swarm
	s3                *testenv.S3
	es, zk, api       string // host:port on 127.0.0.1
	controller        *stack.Swarm
	client            *es.Transport
}

func (p *platform) file(name string) string { return filepath.Join(p.folder, name) }

// bringUp makes everything but the core.
func (d *demo) bringUp(ctx context.Context) error {
	p := &d.platform
	if err := d.resolveImages(ctx); err != nil {
		return err
	}
	if err := d.removeKept(ctx); err != nil {
		return err
	}
	var err error
	if p.swarm, err = testenv.StartSwarm(ctx); err != nil {
		return err
	}
	if err := d.name(ctx); err != nil {
		return err
	}
	if d.node == "" {
		if err := p.swarm.SetNodeLabel(ctx, "type", "worker-db"); err != nil {
			return err
		}
	}
	if err := p.swarm.CreateNetwork(ctx, p.network); err != nil {
		return err
	}
	if p.controller, err = stack.NewSwarm(nil); err != nil {
		return err
	}
	if err := d.startS3(ctx); err != nil {
		return err
	}
	if err := d.writeFiles(); err != nil {
		return err
	}
	if err := d.openGateways(ctx); err != nil {
		return err
	}
	d.screen.Printf("deploying stack %s: Elasticsearch %s, ZooKeeper %s", p.db, images.ElasticsearchVersion, images.ZooKeeperVersion)
	if err := p.controller.Deploy(ctx, p.db, stack.DeployOptions{Files: []string{p.file("db.yml")}}); err != nil {
		return err
	}
	return p.controller.Start(ctx, p.db, stack.StartOptions{
		Probes:   map[string]func(context.Context) error{"es": cli.ElasticsearchServes(p.client), "zk": cli.ZooKeeperServes(nil, p.zk)},
		Progress: d.screen.Progress,
	})
}

// removeKept removes demos that were left up with -keep: they have the names that this one wants.
func (d *demo) removeKept(ctx context.Context) error {
	owners, err := testenv.Kept(ctx)
	if err != nil {
		return err
	}
	for _, owner := range owners {
		d.screen.Printf("removing the demo that was left up before")
		if _, err := testenv.RemoveKept(ctx, owner); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) resolveImages(ctx context.Context) error {
	resolver, err := images.New(&images.Options{Progress: func(s images.Step) { d.screen.Printf("%v", s) }})
	if err != nil {
		return err
	}
	all, err := resolver.ResolveAll(ctx, images.Defaults())
	if err != nil {
		return err
	}
	d.platform.images = map[images.Name]string{}
	for i, spec := range images.Defaults() {
		d.platform.images[spec.Name] = all[i].Ref
		d.screen.Printf("%s: %s (%s)", spec, all[i].Ref, all[i].Source)
	}
	return nil
}

// name takes Nuvla's own names, unless somebody else's services, volumes or network are there: then everything gets names
// of ours.
func (d *demo) name(ctx context.Context) error {
	p := &d.platform
	p.db, p.core, p.network = "db", "nuvla", "nuvla-backend"
	others, err := p.swarm.Foreign(ctx)
	if err != nil {
		return err
	}
	volumes, err := docker(ctx, "", "volume", "ls", "--quiet", "--filter", "name=^(db|nuvla)_")
	if err != nil {
		return err
	}
	networks, err := docker(ctx, "", "network", "ls", "--quiet", "--filter", "name=^nuvla-backend$")
	if err != nil {
		return err
	}
	if others || volumes != "" || networks != "" {
		p.db, p.core, p.network = "nuvlaops-demo-db", "nuvlaops-demo-nuvla", "nuvlaops-demo-backend"
		d.screen.Printf("others use this engine: the demo takes names of its own (%s, %s, %s)", p.db, p.core, p.network)
	}
	return nil
}

// startS3 starts the S3 server on the stacks' network, with a bucket, and puts its keys into secrets of the Swarm.
func (d *demo) startS3(ctx context.Context) (err error) {
	p := &d.platform
	if p.s3, err = testenv.StartS3(ctx, testenv.S3Options{Network: p.network}); err != nil {
		return err
	}
	if err := p.s3.CreateBucket(ctx, bucket); err != nil {
		return err
	}
	for name, value := range map[string]string{p.secret("access_key"): p.s3.Keys().Access, p.secret("secret_key"): p.s3.Keys().Secret} {
		if _, err := docker(ctx, value, "secret", "create", "--label", testenv.Label+"="+testenv.OwnerLabelValue(), name, "-"); err != nil {
			return err
		}
	}
	return nil
}

func (p *platform) secret(key string) string { return p.db + "_s3_" + key }

// writeFiles writes what an operator has: the compose files and the file of the repository.
func (d *demo) writeFiles() (err error) {
	p := &d.platform
	if err := p.makeFolder(); err != nil {
		return err
	}
	values := map[string]string{
		"ES_IMAGE": p.images[images.Elasticsearch], "ZK_IMAGE": p.images[images.ZooKeeper], "CONSUMER_IMAGE": p.images[images.Consumer],
		"NETWORK": p.network, "SECRET_ACCESS_KEY": p.secret("access_key"), "SECRET_SECRET_KEY": p.secret("secret_key"),
		"LABEL": testenv.Label, "OWNER": testenv.OwnerLabelValue(),
	}
	for _, name := range []string{"db.yml", "nuvla.yml", "standin.py"} {
		raw, err := stacks.ReadFile("stacks/" + name)
		if err != nil {
			return err
		}
		text := string(raw)
		for key, value := range values {
			text = strings.ReplaceAll(text, "${"+key+"}", value)
		}
		if err := os.WriteFile(p.file(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	settings, err := json.MarshalIndent(d.settings(), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(p.file("repo.json"), append(settings, '\n'), 0o644)
}

// makeFolder makes the folder, locked while this process lives, and removes those of demos that were killed, or left up and
// removed since.
func (p *platform) makeFolder() (err error) {
	old, err := filepath.Glob(filepath.Join(os.TempDir(), folderPattern))
	if err != nil {
		return err
	}
	for _, folder := range old {
		if lock, err := lockFolder(folder); err == nil {
			err = errors.Join(os.RemoveAll(folder), lock.Close())
			if err != nil {
				return err
			}
		}
	}
	if p.folder, err = os.MkdirTemp("", folderPattern); err != nil {
		return err
	}
	p.lock, err = lockFolder(p.folder)
	return err
}

// lockFolder takes a lock that ends with the process, or fails when another one holds it.
func lockFolder(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (d *demo) settings() snapshot.Settings {
	return snapshot.Settings{S3: &snapshot.S3{Bucket: bucket, Endpoint: d.platform.s3.Endpoint(), PathStyleAccess: true}}
}

// openGateways makes the ways in from this machine: the stacks publish no ports.
func (d *demo) openGateways(ctx context.Context) error {
	p := &d.platform
	ways := []struct {
		target string
		addr   *string
	}{{"es:9200", &p.es}, {"zk:2181", &p.zk}, {"api:8200", &p.api}}
	errs := make(chan error, len(ways))
	var wait sync.WaitGroup
	for _, way := range ways {
		wait.Go(func() {
			gateway, err := testenv.StartGateway(ctx, p.network, way.target)
			if err == nil {
				*way.addr = gateway.Addr()
			}
			errs <- err
		})
	}
	wait.Wait()
	for range ways {
		if err := <-errs; err != nil {
			return err
		}
	}
	var err error
	p.client, err = cli.Elasticsearch("http://" + p.es)
	return err
}

func (d *demo) sayWhatIsKept() {
	p := &d.platform
	host := func(addr string) string { _, port, _ := net.SplitHostPort(addr); return "127.0.0.1:" + port }
	d.screen.Text(fmt.Sprintf(`
The stacks %s and %s are left up. Look at them:
  curl 'http://%s/_cat/indices/nuvla-*?v'
  curl 'http://%s/_cat/snapshots/%s?v'
  curl http://%s/demo
  docker service ls
  files: %s
Try the programs on them:
  go run ./examples/snapshots list -es http://%s
  go run ./examples/restore plan -rename copy- -es http://%s
  go run ./examples/rebuild-queue -es-hosts %s -zk-hosts %s -dry-run -force
Remove them with the next demo, or with make clean, which removes the images too.
`, p.db, p.core, host(p.es), host(p.es), repository, host(p.api), p.folder, host(p.es), host(p.es), host(p.es), host(p.zk)))
}
