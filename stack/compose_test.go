package stack_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

// Files before 3.3 have no configs, and may not even say that there are none.
func TestAFileOfAnOldVersionIsDeployedStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deployStopped(`
version: "3.0"
services:
  db: {image: %IMAGE%, command: [run], deploy: {labels: %OWNER%}}
networks:
  default: {labels: %OWNER%}
`)
	if v := b.look().Service("db"); !v.Stopped || v.Remembered != 1 {
		t.Errorf("db after the deployment: %+v", v)
	}
}

// Files before 3.5 know no names of networks, volumes and secrets beside their keys: an external one is written out with its own.
func TestAFileOfAnOldVersionWithExternalNetworksIsDeployedInPart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.network(b.stack+"-backend", client.NetworkCreateOptions{Driver: "overlay", Attachable: true})
	must(t, os.WriteFile(filepath.Join(b.dir, "own.txt"), []byte("not a secret"), 0o600))
	opts := stack.DeployOptions{Files: []string{b.file(`
version: "3.3"
services:
  api:
    image: %IMAGE%
    command: run
    secrets: [{source: session.key, target: /etc/session.key}]
    volumes: ["data:/data"]
    networks: ["%STACK%-backend"]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
  job:
    image: %IMAGE%
    command: run
    networks: ["%STACK%-backend"]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
networks:
  "%STACK%-backend": {external: true}
volumes:
  data: {labels: %OWNER%}
secrets:
  session.key: {file: ./own.txt, labels: %OWNER%}
`)}}
	must(t, b.Deploy(t.Context(), b.stack, opts))
	whole := b.specs(b.stack)
	_, err := b.api.ServiceRemove(t.Context(), b.stack+"_api", client.ServiceRemoveOptions{})
	must(t, err)
	c, err := b.RunCopy(t.Context(), b.stack, "api", stack.CopyOptions{Aside: true, Files: opts.Files})
	must(t, err)
	must(t, c.Remove(t.Context()))
	b.deployedAs(whole, opts)
}

// deployedAs deploys what is missing: all services are then as those of the whole file were.
func (b *bench) deployedAs(whole map[string]string, opts stack.DeployOptions) {
	b.t.Helper()
	must(b.t, b.Deploy(b.t.Context(), b.stack, opts))
	if diff := cmp.Diff(whole, b.specs(b.stack)); diff != "" {
		b.t.Errorf("specifications (-whole file +the missing service alone):\n%s", diff)
	}
}

// As those of a proxy, which is made without: nobody looks for data there.
func TestANetworkThatOnlyServicesJoinNeedNotBeAttachable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.network(b.stack+"-backend", client.NetworkCreateOptions{Driver: "overlay", Attachable: true})
	b.network(b.stack+"-public", client.NetworkCreateOptions{Driver: "overlay"})
	opts := stack.DeployOptions{Stopped: true, Files: []string{b.file(`
version: "3.7"
services:
  proxy:
    image: %IMAGE%
    command: [run]
    volumes: ["certificates:/data"]
    ports: [{target: 443, published: 18443, mode: host}]
    networks: [public]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
  ui:
    image: %IMAGE%
    command: [run]
    networks: [public]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
  metrics:
    image: %IMAGE%
    command: [run]
    volumes: ["metrics:/data"]
    networks: [backend, public]
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
volumes:
  certificates: {labels: %OWNER%}
  metrics: {labels: %OWNER%}
networks:
  backend: {external: true, name: %STACK%-backend}
  public: {external: true, name: %STACK%-public}
`)}}
	_, err := b.PlanDeploy(t.Context(), b.stack, opts)
	must(t, err)
	must(t, b.Deploy(t.Context(), b.stack, opts))
}

// A plan that promises what the docker program refuses later, when old services and volumes are gone, is none.
func TestWhatAComposeFileNamesAndDoesNotHaveIsRefusedBeforeAnythingIsChanged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	must(t, os.Mkdir(filepath.Join(b.dir, "folder"), 0o700))
	for _, c := range []struct{ service, file, says string }{
		{"networks: [backend]", "networks: {nuvla-backend: {external: true}}", "backend"},
		{"configs: [settings]", "", "settings"},
		{"secrets: [{source: key, target: s3_key}]", "", "key"},
		{"volumes: ['esdata:/data']", "volumes: {zkdata: {}}", "esdata"},
		{"configs: [settings]", "configs: {settings: {file: ./folder}}", "folder"},
	} {
		opts := stack.DeployOptions{Stopped: true, Files: []string{b.file("version: '3.7'\nservices:\n  es:\n    image: %IMAGE%\n    " + c.service + "\n" + c.file + "\n")}}
		_, err := b.PlanDeploy(t.Context(), b.stack, opts)
		mustBe(t, err, nuvlaops.ErrInvalid, c.says)
		mustBe(t, b.Deploy(t.Context(), b.stack, opts), nuvlaops.ErrInvalid, c.says)
	}
}

// As blocks of YAML, texts of several lines that begin with a space are written wrongly.
func TestWhatIsHardToWriteAsYAMLIsDeployedInPart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	opts := stack.DeployOptions{Files: []string{b.file(`
version: "3.7"
services:
  other: {image: %IMAGE%, command: [run], deploy: {endpoint_mode: dnsrr, replicas: 0, labels: %OWNER%}}
  db:
    image: %IMAGE%
    command: [run, "  #!/bin/sh\n  echo 'it''s $$1': # no\n"]
    environment: {BANNER: " *\n***\n", JSON: "  {\n\t\"a\": 1\n  }\n", CYRILLIC: "я\u2028\u0085\u007f", DAY: "2024-01-01", TIME: "12:30:45", OLD: "0440", SWITCH: "on"}
    deploy: {endpoint_mode: dnsrr, replicas: 0, labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`)}}
	must(t, b.Deploy(t.Context(), b.stack, opts))
	whole := b.specs(b.stack)
	_, err := b.api.ServiceRemove(t.Context(), b.stack+"_db", client.ServiceRemoveOptions{})
	must(t, err)
	b.deployedAs(whole, opts)
}

// The docker program leaves them out where it writes the file out, and then wants them.
func TestALimitOfZeroIsDeployedStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deployStopped(`
version: "3.7"
services:
  db:
    image: %IMAGE%
    command: [run]
    ulimits: {core: 0, nofile: {soft: 0, hard: 1024}, nproc: 512}
    deploy: {endpoint_mode: dnsrr, labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`)
	v, err := b.api.ServiceInspect(t.Context(), b.stack+"_db", client.ServiceInspectOptions{})
	must(t, err)
	limits := map[string][2]int64{}
	for _, l := range v.Service.Spec.TaskTemplate.ContainerSpec.Ulimits {
		limits[l.Name] = [2]int64{l.Soft, l.Hard}
	}
	if diff := cmp.Diff(map[string][2]int64{"core": {0, 0}, "nofile": {0, 1024}, "nproc": {512, 512}}, limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
}

// The docker program says a line, and not of which file.
func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	files := []string{b.file("version: '3.7'\nservices: {db: {image: x}}"), b.file("version: '3.7'\nservices:\n  db:\n   image: x\n  foo: bar: x\n")}
	_, err := b.PlanDeploy(t.Context(), b.stack, stack.DeployOptions{Files: files})
	mustBe(t, err, nuvlaops.ErrInvalid, files[0], files[1], "line 5")
}
