package stack_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

// A docker program that says yes and does nothing must not be believed.
func TestDeployIsVerifiedAndPassesTheLoginOnWhenAsked(t *testing.T) {
	host, _ := largeEngine(t, 1, 1)
	dir := t.TempDir()
	program, calls := filepath.Join(dir, "docker"), filepath.Join(dir, "calls")
	must(t, os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >> "+calls+"\ncase \"$*\" in *config*) echo 'services: {new: {image: x}}';; esac\n"), 0o700))
	s, err := stack.NewSwarm(&stack.Options{Host: host, Docker: program})
	must(t, err)
	defer s.Close()
	for _, auth := range []bool{false, true} {
		must(t, os.WriteFile(calls, nil, 0o600))
		err := s.Deploy(t.Context(), "big", stack.DeployOptions{Files: []string{"a.yml", "b.yml"}, RegistryAuth: auth})
		mustBe(t, err, nuvlaops.ErrVerification, "not there after docker stack deploy: new")
		said, err := os.ReadFile(calls)
		must(t, err)
		want := "--host " + host + " stack config --compose-file a.yml --compose-file b.yml\n" +
			"--host " + host + " version --format {{.Server.APIVersion}}\n" +
			"--host " + host + " stack deploy --resolve-image never --detach=true --compose-file a.yml --compose-file b.yml big\n"
		if auth {
			want = strings.Replace(want, "--detach=true", "--detach=true --with-registry-auth", 1)
		}
		if string(said) != want {
			t.Errorf("docker was called with\n%s, want\n%s", said, want)
		}
	}
}

// What the engine refuses may be known only when services of the file were made already.
func TestADeployThatTheEngineRefusesIsNotCalledBadInput(t *testing.T) {
	host, _ := largeEngine(t, 1, 1)
	program := filepath.Join(t.TempDir(), "docker")
	must(t, os.WriteFile(program, []byte(`#!/bin/sh
case "$*" in *config*) echo 'services: {new: {image: x}}'; exit;; *version*) exit;; esac
echo "failed to create service big_new: no such runtime" >&2
exit 1
`), 0o700))
	s, err := stack.NewSwarm(&stack.Options{Host: host, Docker: program})
	must(t, err)
	defer s.Close()
	err = s.Deploy(t.Context(), "big", stack.DeployOptions{Files: []string{"a.yml"}})
	if err == nil || errors.Is(err, nuvlaops.ErrInvalid) || !strings.Contains(err.Error(), "no such runtime") || !strings.Contains(err.Error(), "deploy again") {
		t.Errorf("got %v, want the engine's reason, and how to go on", err)
	}
}

// Before 26.0 the docker program has no --detach, and never waits.
func TestDeployWorksWithADockerProgramThatCannotWait(t *testing.T) {
	host, _ := largeEngine(t, 1, 1)
	dir := t.TempDir()
	program, calls := filepath.Join(dir, "docker"), filepath.Join(dir, "calls")
	must(t, os.WriteFile(program, []byte(`#!/bin/sh
case "$*" in
*config*) echo 'services: {new: {image: x}}' ;;
*version*) ;;
*--detach*) printf "unknown flag: --detach\nSee 'docker stack deploy --help'.\n" >&2; exit 125 ;;
*) echo "$@" > `+calls+` ;;
esac
`), 0o700))
	s, err := stack.NewSwarm(&stack.Options{Host: host, Docker: program})
	must(t, err)
	defer s.Close()
	err = s.Deploy(t.Context(), "big", stack.DeployOptions{Files: []string{"a.yml"}})
	mustBe(t, err, nuvlaops.ErrVerification, "not there after docker stack deploy: new")
	said, err := os.ReadFile(calls)
	must(t, err)
	if want := "--host " + host + " stack deploy --resolve-image never --compose-file a.yml big\n"; string(said) != want {
		t.Errorf("docker was called with\n%s, want\n%s", said, want)
	}
}

// Docker 29.0 serves the API of no docker program before 25.0. A program that reads the file all the same must not be found out only
// after the data were wiped, or after a network was made.
func TestADockerProgramThatDoesNotFitTheEngineIsRefusedBeforeAnythingIsChanged(t *testing.T) {
	host, _ := largeEngine(t, 1, 1)
	dir := t.TempDir()
	program, deployed := filepath.Join(dir, "docker"), filepath.Join(dir, "deployed")
	for says, want := range map[string][]string{
		versionTooOld: {"1.42 is too old", "install a docker program"},
		"client version 1.52 is too new. Maximum supported API version is 1.43": {"1.52 is too new", "DOCKER_API_VERSION"},
	} {
		must(t, os.WriteFile(program, []byte(`#!/bin/sh
case "$*" in
*config*) echo 'services: {new: {image: x}}' ;;
*version*) echo "Error response from daemon: `+says+`" >&2; exit 1 ;;
*) touch `+deployed+` ;;
esac
`), 0o700))
		s, err := stack.NewSwarm(&stack.Options{Host: host, Docker: program})
		must(t, err)
		defer s.Close()
		opts := stack.DeployOptions{Files: []string{"a.yml"}}
		_, err = s.PlanDeploy(t.Context(), "big", opts)
		mustBe(t, err, nuvlaops.ErrUnsupported, want...)
		mustBe(t, s.Deploy(t.Context(), "big", opts), nuvlaops.ErrUnsupported, append(want, "nothing was changed")...)
		if _, err := os.Stat(deployed); err == nil {
			t.Error("it was called to deploy")
		}
	}
}
