// Package scripts_test runs the scripts with fake programs around them.
package scripts_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a folder of programs, the only ones that engine.sh finds.
type machine struct {
	t   *testing.T
	bin string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	m := machine{t, t.TempDir()}
	for _, name := range []string{"awk", "bash", "cat", "dirname", "flock", "head", "mktemp", "rm", "setsid", "sleep", "sort", "tail", "timeout", "touch"} {
		m.link(name)
	}
	m.program("df", `printf 'Filesystem 1024-blocks Used Available\nx 1 1 50000000\n'`)
	m.user("1000")
	return m
}

// program adds a program.
func (m machine) program(name, script string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.bin, name), []byte("#!/bin/bash\n"+script+"\n"), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

func (m machine) user(id string) { m.program("id", `[[ $1 == -un ]] && echo somebody || echo `+id) }

// engine makes docker answer with a version of the API.
func (m machine) engine(api string) {
	m.program("docker", `[[ $1 == version ]] && echo `+api+` || echo 20.10.24 /var/lib/docker`)
}

// run returns the exit code of engine.sh and all that was said.
func (m machine) run(arguments ...string) (int, string) {
	m.t.Helper()
	return m.script(append([]string{"engine.sh"}, arguments...), "NUVLAOPS_ENGINE_LOG="+filepath.Join(m.bin, "log"))
}

// script runs one script with more variables.
func (m machine) script(command []string, variables ...string) (int, string) {
	m.t.Helper()
	cmd := exec.Command("/bin/bash", command...)
	cmd.Env = append([]string{"PATH=" + m.bin, "HOME=/", "TMPDIR=" + m.t.TempDir()}, variables...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// warning is what a client says whose configuration is another user's.
const warning = `echo "WARNING: Error loading config file: /root/.docker/config.json: open /root/.docker/config.json: permission denied" >&2
`

func TestEngineTellsWhatIsWrongAndWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		given func(machine)
		code  int
		says  string
	}{
		"an engine answers": {
			given: func(m machine) { m.engine("1.41") },
			code:  0, says: "Docker 20.10.24 (API 1.41) answers, data in /var/lib/docker",
		},
		"nothing is installed": {
			given: func(machine) {},
			code:  2, says: "install Docker 20.10 or later",
		},
		"no engine runs": {
			given: func(m machine) { m.program("docker", `echo "Cannot connect to the Docker daemon" >&2; exit 1`) },
			code:  2, says: "systemctl start docker",
		},
		"no permission on the socket": {
			given: func(m machine) {
				m.program("docker", `echo "permission denied while trying to connect to the docker API" >&2; exit 1`)
			},
			code: 3, says: "usermod -aG docker somebody",
		},
		"the engine is too old": {
			given: func(m machine) { m.engine("1.40") },
			code:  4, says: "upgrade to Docker 20.10 or later",
		},
		"a client that warns of an engine that is too old": {
			given: func(m machine) {
				m.program("docker", warning+`[[ $1 == version ]] && echo 1.40 || echo 20.10.24 /var/lib/docker`)
			},
			code: 4, says: "speaks API 1.40",
		},
		"a client that warns of no engine": {
			given: func(m machine) {
				m.program("docker", warning+`echo "Cannot connect to the Docker daemon" >&2; exit 1`)
			},
			code: 2, says: "systemctl start docker",
		},
		"the client is too new for the engine": {
			given: func(m machine) {
				m.program("docker", `echo "client version 1.52 is too new. Maximum supported API version is 1.41" >&2; exit 1`)
			},
			code: 4, says: "upgrade the engine",
		},
		"the client is too old for the engine": {
			given: func(m machine) {
				m.program("docker", `echo "client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client" >&2; exit 1`)
			},
			code: 4, says: "too old for the engine: upgrade it",
		},
		"the disk is nearly full": {
			given: func(m machine) {
				m.engine("1.41")
				m.program("df", `printf 'Filesystem 1024-blocks Used Available\nx 1 1 5000000\n'`)
			},
			code: 5, says: "only 4 GB are free in /var/lib/docker, and 6 GB are needed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			c.given(m)
			code, said := m.run()
			if code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("code %d, want %d, and %q in: %s", code, c.code, c.says, said)
			}
		})
	}
}

// The folder of the engine's data is on the engine's machine.
func TestTheDiskOfThisMachineSaysNothingOfAnEngineOnAnother(t *testing.T) {
	m := newMachine(t)
	m.engine("1.41")
	m.program("df", `printf 'Filesystem 1024-blocks Used Available\nx 1 1 5000000\n'`)
	for host, want := range map[string]int{"tcp://far:2376": 0, "ssh://far": 0, "unix:///run/docker.sock": 5, "": 5} {
		if code, said := m.script([]string{"engine.sh"}, "DOCKER_HOST="+host); code != want {
			t.Errorf("%q: code %d, want %d: %s", host, code, want, said)
		}
	}
}

func TestToolsThatAreThereAreNotInstalled(t *testing.T) {
	m := newMachine(t)
	m.program("debootstrap", "")
	m.program("mvn", "")
	m.program("java", `echo 'openjdk version "21.0.2" 2025-04-15' >&2`)
	if code, said := m.run("--tools"); code != 0 {
		t.Errorf("code %d: %s", code, said)
	}
}

func TestToolsThatAreMissingAreNamedWhereTheyCannotBeInstalled(t *testing.T) {
	m := newMachine(t)
	m.program("debootstrap", "")
	m.program("java", `echo 'openjdk version "11.0.2" 2025-04-15' >&2`)
	code, said := m.run("--tools")
	if code != 2 || !strings.Contains(said, "install maven java") {
		t.Errorf("code %d: %s", code, said)
	}
}

func TestEngineIsInstalledAndStartedOnDebianAsRoot(t *testing.T) {
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		t.Skip("this machine is no Debian, where the script would refuse")
	}
	m := newMachine(t)
	m.user("0")
	up := filepath.Join(m.bin, "up")
	docker := `[[ -e ` + up + ` ]] || { echo "Cannot connect to the Docker daemon"; exit 1; }
[[ $1 == version ]] && echo 1.41 || echo 20.10.24 /var/lib/docker`
	m.program("apt-cache", `[[ ${!#} != docker-cli ]]`)
	m.program("docker-as-installed", docker)
	m.program("apt-get", `echo "$@" >>`+m.bin+`/asked
[[ $1 == install ]] || exit 0
cd `+m.bin+` && { printf '#!/bin/bash\n'; printf '%s\n' 'touch `+up+`; exec sleep 2'; } >dockerd
cat docker-as-installed >docker
/bin/chmod +x dockerd docker`)
	m.program("systemctl", "touch "+up)
	code, said := m.run()
	if code != 0 || !strings.Contains(said, "apt-get install docker.io ca-certificates iptables debootstrap maven openjdk-17-jre-headless") {
		t.Errorf("code %d: %s", code, said)
	}
	asked, _ := os.ReadFile(filepath.Join(m.bin, "asked"))
	if want := "--no-install-recommends"; !strings.Contains(string(asked), want) {
		t.Errorf("%s is not in: %s", want, asked)
	}
	// Again: an engine answers, and nothing is asked of anybody.
	if code, said := m.run(); code != 0 || strings.Contains(said, "apt-get") {
		t.Errorf("code %d: %s", code, said)
	}
}

func TestWhatAKilledEngineHasLeftIsRemovedBeforeTheNextStarts(t *testing.T) {
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		t.Skip("this machine is no Debian, where the script would refuse")
	}
	m := newMachine(t)
	m.user("0")
	for _, name := range []string{"apt-get", "iptables", "debootstrap", "mvn"} {
		m.program(name, "true")
	}
	m.program("java", `echo 'openjdk version "17.0.1" 2025-04-15' >&2`)
	up, pids := filepath.Join(m.bin, "up"), t.TempDir()
	m.program("docker", `[[ -e `+up+` ]] || { echo "Cannot connect to the Docker daemon"; exit 1; }
[[ $1 == version ]] && echo 1.41 || echo 20.10.24 /var/lib/docker`)
	m.program("dockerd", "touch "+up+"; exec sleep 2")
	m.program("systemctl", "touch "+up)
	m.program("ip", `case "$*" in
"-o link show type vxlan") printf '7: vx-00101b-9bn4x: <BROADCAST> mtu 1450\n8: mine: <UP> mtu 1450\n' ;;
*) echo "$*" >>`+m.bin+`/removed ;;
esac`)
	run := func() string {
		code, said := m.script([]string{"engine.sh"}, "NUVLAOPS_ENGINE_LOG="+filepath.Join(m.bin, "log"), "NUVLAOPS_ENGINE_PIDS="+pids)
		if code != 0 {
			t.Errorf("code %d: %s", code, said)
		}
		removed, _ := os.ReadFile(filepath.Join(m.bin, "removed"))
		return string(removed)
	}
	if removed := run(); removed != "" {
		t.Errorf("no engine was killed, and it removes: %s", removed)
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		return // there it is systemd that starts engines
	}
	if err := os.WriteFile(filepath.Join(pids, "docker.pid"), []byte("999999999"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(up); err != nil {
		t.Fatal(err)
	}
	if removed := run(); removed != "link delete vx-00101b-9bn4x\n" {
		t.Errorf("it removes: %q", removed)
	}
}
