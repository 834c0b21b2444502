package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/stack"
)

// nuvlaStack has the layout of Nuvla's stacks: an external network, external and own secrets, an env file, variables,
// dollar signs that are none, constraints, a restart policy, two replicas.
const nuvlaStack = `
version: "3.7"
x-common: &common
  image: %IMAGE%
  command: [run]
services:
  es:
    <<: *common
    environment: [xpack.security.enabled=false, "PRICE=$$5", "WHO=${WHO}", "NOBODY=${NOBODY:-nobody}"]
    env_file: [es.env]
    volumes: ["esdata:/data"]
    secrets: [s3_access_key, {source: own, target: s3_secret_key, mode: 0440}]
    configs: [{source: settings, target: /settings}]
    networks: [backend]
    deploy:
      endpoint_mode: dnsrr
      placement: {constraints: ["node.role == manager"]}
      restart_policy: {condition: on-failure, delay: 5s}
      labels: %OWNER%
  zk:
    <<: *common
    volumes: ["zkdata:/data", "zkdatalog:/datalog"]
    networks: {backend: {aliases: [zookeeper]}}
    stop_grace_period: 3s
    healthcheck: {test: ["CMD", "/testservice", "ok"], interval: 1s}
    deploy: {endpoint_mode: dnsrr, replicas: 2, resources: {limits: {memory: 64M}}, labels: %OWNER%}
volumes:
  esdata: {labels: %OWNER%}
  zkdata: {labels: %OWNER%}
  zkdatalog: {labels: %OWNER%}
secrets:
  s3_access_key: {external: true, name: %STACK%-key}
  own: {file: own.txt, labels: %OWNER%}
configs:
  settings: {file: own.txt, labels: %OWNER%}
networks:
  backend: {external: true, name: %STACK%-backend}
`

// coreStack has the layout of Nuvla's core: anchors, services that share a network with the databases, five and two replicas.
const coreStack = `
version: "3.7"
x-service: &service
  image: %IMAGE%
  stop_signal: SIGTERM
  configs: [{source: standin, target: /standin}]
  networks: [backend]
  logging: {driver: json-file, options: {max-size: 250k, max-file: "10"}}
x-deploy: &deploy
  endpoint_mode: dnsrr
  labels: %OWNER%
  restart_policy: {condition: any, delay: 2s, max_attempts: 0, window: 10s}
services:
  api:
    <<: *service
    command: [run]
    environment: {ES_ENDPOINTS: "es:9200", ZK_ENDPOINTS: "zk:2181"}
    deploy: {<<: *deploy, update_config: {parallelism: 1, order: start-first}, resources: {reservations: {memory: 32M}}}
  ui:
    <<: *service
    command: [run]
    ports: [{target: 8080, mode: host}]
    deploy: {<<: *deploy, labels: {%OWNED%, traefik.enable: "true"}}
  job-executor:
    <<: *service
    command: [run]
    volumes: ["/etc/localtime:/etc/localtime:ro"]
    deploy: {<<: *deploy, replicas: 5}
  job-distributor:
    <<: *service
    command: [run]
    deploy: {<<: *deploy, replicas: 2, placement: {preferences: [{spread: node.id}]}}
configs:
  standin: {file: own.txt, labels: %OWNER%}
networks:
  backend: {external: true, name: %STACK%-backend}
`

func TestDeployMakesTheSameCoreAsTheDockerProgram(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	must(t, os.WriteFile(filepath.Join(b.dir, "own.txt"), []byte("not a secret"), 0o600))
	b.network(b.stack+"-backend", client.NetworkCreateOptions{Driver: "overlay", Attachable: true})
	file := b.file(coreStack)
	must(t, b.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: []string{file}}))
	ours := b.specs(b.stack)
	b.removeStack(b.stack)
	if out, err := testenv.Command(t, "docker", "stack", "deploy", "--resolve-image", "never", "-c", file, b.stack).CombinedOutput(); err != nil {
		t.Fatalf("docker stack deploy: %v\n%s", err, out)
	}
	theirs := b.specs(b.stack)
	if len(theirs) != 4 || !strings.Contains(theirs["job-executor"], `"Replicas": 5`) {
		t.Fatalf("this comparison shows nothing: %v", theirs)
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("core (-docker +ours):\n%s", diff)
	}
}

func (b *bench) nuvla() stack.DeployOptions {
	b.t.Helper()
	for name, text := range map[string]string{"es.env": "FROM_FILE=a$b\n", "own.txt": "not a secret"} {
		must(b.t, os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600))
	}
	return stack.DeployOptions{Files: []string{b.file(nuvlaStack)}, Env: map[string]string{"WHO": "us"}}
}

func (b *bench) secret(name string) {
	b.t.Helper()
	made, err := b.api.SecretCreate(b.t.Context(), client.SecretCreateOptions{Spec: swarm.SecretSpec{Data: []byte("x"),
		Annotations: swarm.Annotations{Name: name, Labels: map[string]string{testenv.Label: testenv.OwnerLabelValue()}}}})
	must(b.t, err)
	b.atEnd(func(ctx context.Context) { _, _ = b.api.SecretRemove(ctx, made.ID, client.SecretRemoveOptions{}) })
}

func (b *bench) network(name string, opts client.NetworkCreateOptions) {
	b.t.Helper()
	opts.Labels = map[string]string{testenv.Label: testenv.OwnerLabelValue()}
	_, err := b.api.NetworkCreate(b.t.Context(), name, opts)
	must(b.t, err)
	b.atEnd(func(ctx context.Context) { _, _ = b.api.NetworkRemove(ctx, name, client.NetworkRemoveOptions{}) })
}

func TestDeployChecksWhatIsNeededBeforeItChangesAnything(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	opts := b.nuvla()
	backend := b.stack + "-backend"
	deploy := func() error { return b.Deploy(t.Context(), b.stack, opts) }

	opts.CreateNetworks = true
	mustBe(t, deploy(), nuvlaops.ErrNotFound, "no such secret: "+b.stack+"-key", "docker secret create "+b.stack+"-key")
	b.secret(b.stack + "-key")
	opts.CreateNetworks = false
	mustBe(t, deploy(), nuvlaops.ErrNotFound, "no such network", "docker network create --driver overlay --attachable "+backend)
	for what, wrong := range map[string]client.NetworkCreateOptions{
		"is not attachable": {Driver: "overlay"},
		"is no overlay of the swarm (driver bridge, scope local)": {Driver: "bridge", Attachable: true},
	} {
		b.network(backend, wrong)
		mustBe(t, deploy(), nuvlaops.ErrRefused, what, "docker network rm "+backend)
		_, err := b.api.NetworkRemove(t.Context(), backend, client.NetworkRemoveOptions{})
		must(t, err)
	}
	must(t, os.Remove(filepath.Join(b.dir, "own.txt")))
	mustBe(t, deploy(), nuvlaops.ErrNotFound, "own.txt")
	if s := b.look(); len(s.Services) > 0 {
		t.Fatalf("services were made:\n%s", s)
	}
	if list, _ := b.api.NetworkList(t.Context(), client.NetworkListOptions{Filters: make(client.Filters).Add("name", backend)}); len(list.Items) > 0 {
		t.Fatal("the network was made although a secret's file is missing")
	}
}

func TestDeployMakesTheSameSpecificationsAsTheDockerProgram(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	opts := b.nuvla()
	b.secret(b.stack + "-key")
	opts.CreateNetworks = true
	must(t, b.Deploy(t.Context(), b.stack, opts))
	b.atEnd(func(ctx context.Context) {
		_, _ = b.api.NetworkRemove(ctx, b.stack+"-backend", client.NetworkRemoveOptions{})
	})
	if net, err := b.api.NetworkInspect(t.Context(), b.stack+"-backend", client.NetworkInspectOptions{}); err != nil || !net.Network.Attachable || net.Network.Driver != "overlay" {
		t.Errorf("network: %+v, %v; want an attachable overlay", net.Network, err)
	}
	ours := b.specs(b.stack)
	// es is missing, zk is there: only es must be made, and just as the docker program makes it.
	_, err := b.api.ServiceRemove(t.Context(), b.stack+"_es", client.ServiceRemoveOptions{})
	must(t, err)
	zk := b.look().Service("zk")
	must(t, b.Deploy(t.Context(), b.stack, opts))
	part := b.specs(b.stack)
	if again := b.look().Service("zk"); again.ID != zk.ID || again.Replicas != 2 {
		t.Errorf("zk was touched: %+v", again)
	}

	b.removeStack(b.stack)
	docker := testenv.Command(t, "docker", "stack", "deploy", "--resolve-image", "never", "-c", opts.Files[0], b.stack)
	docker.Env = append(os.Environ(), "WHO=us")
	if out, err := docker.CombinedOutput(); err != nil {
		t.Fatalf("docker stack deploy: %v\n%s", err, out)
	}
	theirs := b.specs(b.stack)
	if len(theirs) != 2 || !strings.Contains(theirs["es"], `PRICE=$5`) || !strings.Contains(theirs["es"], "FROM_FILE=a") {
		t.Fatalf("this comparison shows nothing: %v", theirs)
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("whole file (-docker +ours):\n%s", diff)
	}
	if diff := cmp.Diff(theirs, part); diff != "" {
		t.Errorf("the missing service alone (-docker +ours):\n%s", diff)
	}
}

func TestDeployStoppedStartsNothingAndRemembersTheReplicas(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	opts := b.nuvla()
	b.secret(b.stack + "-key")
	opts.CreateNetworks = true
	b.atEnd(func(ctx context.Context) {
		_, _ = b.api.NetworkRemove(ctx, b.stack+"-backend", client.NetworkRemoveOptions{})
	})
	must(t, b.Deploy(t.Context(), b.stack, opts))
	running := b.specs(b.stack)
	b.removeStack(b.stack)

	opts.Stopped = true
	must(t, b.Deploy(t.Context(), b.stack, opts))
	s := b.look()
	for name, replicas := range map[string]int{"es": 1, "zk": 2} {
		if v := s.Service(name); v == nil || !v.Stopped || v.Remembered != replicas || len(v.Tasks) > 0 {
			t.Errorf("service %s is %+v, want it stopped, without a task, and %d replicas remembered", name, v, replicas)
		}
	}
	if len(s.Volumes) > 0 {
		t.Errorf("volumes were made: %v", s.Volumes)
	}
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	if diff := cmp.Diff(running, b.specs(b.stack)); diff != "" {
		t.Errorf("specifications once started (-deployed running +deployed stopped):\n%s", diff)
	}
}

// specs are the services' specifications as JSON, without the identifiers of this very deployment.
func (b *bench) specs(name string) map[string]string {
	b.t.Helper()
	list, err := b.api.ServiceList(b.t.Context(), client.ServiceListOptions{
		Filters: make(client.Filters).Add("label", "com.docker.stack.namespace="+name)})
	must(b.t, err)
	out := map[string]string{}
	for _, v := range list.Items {
		for _, r := range v.Spec.TaskTemplate.ContainerSpec.Secrets {
			r.SecretID = "" // own secrets are made anew
		}
		for _, r := range v.Spec.TaskTemplate.ContainerSpec.Configs {
			r.ConfigID = ""
		}
		text, err := json.MarshalIndent(v.Spec, "", " ")
		must(b.t, err)
		out[strings.TrimPrefix(v.Spec.Name, name+"_")] = string(text)
	}
	return out
}

func TestDeployRightAfterTheRemovalOfAStackWaitsForItsContainers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(dbStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	if out, err := testenv.Command(t, "docker", "stack", "rm", b.stack).CombinedOutput(); err != nil {
		t.Fatalf("docker stack rm: %v\n%s", err, out)
	}
	if b.containers(b.stack+"_db") == 0 {
		t.Fatal("the containers are gone already: this test shows nothing")
	}
	b.deploy(dbStack) // its network is listed for a moment, and then gone
	if n := b.containers(b.stack + "_db"); n > 1 {
		t.Errorf("%d containers of db: the old one beside the new one", n)
	}
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	if n := b.marks(b.stack + "_data"); n != 2 {
		t.Errorf("%d starts on the volume, want 2: deploy wipes nothing", n)
	}
}

func TestDeployReportsWhatTheDockerProgramSays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	deploy := func(path string) error {
		return b.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: []string{path}})
	}
	mustBe(t, deploy(b.file("version: '3.7'\nservices: {db: {imagine: x}}")), nuvlaops.ErrInvalid, "imagine")
	mustBe(t, deploy(filepath.Join(b.dir, "none.yml")), nuvlaops.ErrInvalid, "none.yml")
	noDocker, err := stack.NewSwarm(&stack.Options{Docker: "no-such-program"})
	must(t, err)
	defer noDocker.Close()
	err = noDocker.Deploy(t.Context(), b.stack, stack.DeployOptions{Files: []string{b.file(dbStack)}})
	mustBe(t, err, nuvlaops.ErrNotFound, "no-such-program", "install the docker program")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Deploy(ctx, b.stack, stack.DeployOptions{Files: []string{b.file(dbStack)}}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// What the services that are there were made with, may have changed since, or be put away: it is theirs.
func TestDeployOfWhatIsMissingLeavesTheSecretsOfOthersAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	opts := b.nuvla()
	opts.CreateNetworks = true
	b.secret(b.stack + "-key")
	b.atEnd(func(ctx context.Context) {
		_, _ = b.api.NetworkRemove(ctx, b.stack+"-backend", client.NetworkRemoveOptions{})
	})
	must(t, b.Deploy(t.Context(), b.stack, opts))
	for _, change := range []func() error{
		func() error { return os.WriteFile(filepath.Join(b.dir, "own.txt"), []byte("changed"), 0o600) },
		func() error { return os.Remove(filepath.Join(b.dir, "own.txt")) },
	} {
		_, err := b.api.ServiceRemove(t.Context(), b.stack+"_zk", client.ServiceRemoveOptions{})
		must(t, err)
		must(t, change())
		must(t, b.Deploy(t.Context(), b.stack, opts))
	}
}

func TestAJobIsNotDeployedStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, mode := range []string{"replicated-job", "global-job"} {
		opts := stack.DeployOptions{Stopped: true, Files: []string{b.file(`
version: "3.7"
services:
  app: {image: %IMAGE%, command: [run], deploy: {endpoint_mode: dnsrr, labels: %OWNER%}}
  job: {image: %IMAGE%, command: [ok], deploy: {mode: ` + mode + `, labels: %OWNER%}}
networks:
  default: {labels: %OWNER%}
`)}}
		mustBe(t, b.Deploy(t.Context(), b.stack, opts), nuvlaops.ErrUnsupported, "job")
	}
	if s := b.look(); len(s.Services) > 0 {
		t.Errorf("services were made:\n%s", s)
	}
}
