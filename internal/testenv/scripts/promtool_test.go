package scripts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPromtoolIsTakenFromWhereItIs(t *testing.T) {
	m := newMachine(t)
	m.link("mkdir")
	mine, cache := filepath.Join(m.bin, "mine"), t.TempDir()
	m.program("mine", "")
	if code, said := m.script([]string{"promtool.sh"}, "NUVLAOPS_PROMTOOL="+mine); code != 0 || said != mine+"\n" {
		t.Errorf("named: code %d: %s", code, said)
	}
	cached := filepath.Join(cache, "nuvlaops/promtool/promtool")
	if err := os.MkdirAll(filepath.Dir(cached), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(mine, cached); err != nil {
		t.Fatal(err)
	}
	if code, said := m.script([]string{"promtool.sh"}, "XDG_CACHE_HOME="+cache); code != 0 || said != cached+"\n" {
		t.Errorf("cached: code %d: %s", code, said)
	}
	m.program("promtool", "")
	if code, said := m.script([]string{"promtool.sh"}, "XDG_CACHE_HOME="+cache); code != 0 || said != filepath.Join(m.bin, "promtool")+"\n" {
		t.Errorf("on the PATH: code %d: %s", code, said)
	}
}

func TestPromtoolThatCannotBeHadSaysWhatToDo(t *testing.T) {
	m := newMachine(t)
	m.link("mkdir")
	if code, said := m.script([]string{"promtool.sh"}, "NUVLAOPS_PROMTOOL=/nowhere"); code != 2 || !strings.Contains(said, "NUVLAOPS_PROMTOOL=/nowhere is no program") {
		t.Errorf("code %d: %s", code, said)
	}
	// No apt-get: not Debian, or as good as that.
	if code, said := m.script([]string{"promtool.sh"}, "XDG_CACHE_HOME="+t.TempDir()); code != 2 || !strings.Contains(said, "install Prometheus") {
		t.Errorf("code %d: %s", code, said)
	}
}

func TestPromtoolIsUnpackedAndNotInstalledOnDebian(t *testing.T) {
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		t.Skip("this machine is no Debian, where the script would refuse")
	}
	m := newMachine(t)
	m.link("mkdir")
	m.link("mv")
	m.program("apt-get", `cd `+m.bin+` 2>/dev/null; echo "$@" >>asked
case $1 in
  update) : >lists ;;
  download) [[ -e lists ]] && : >"$OLDPWD/prometheus_1_amd64.deb" ;;
esac`)
	m.program("dpkg-deb", `mkdir -p usr/bin && echo '#!/bin/bash' >usr/bin/promtool && /bin/chmod +x usr/bin/promtool`)
	cache := t.TempDir()
	if code, said := m.script([]string{"promtool.sh"}, "XDG_CACHE_HOME="+cache); code != 2 || !strings.Contains(said, "cannot download") {
		t.Errorf("not root, no lists of packages: code %d: %s", code, said)
	}
	m.user("0")
	want := filepath.Join(cache, "nuvlaops/promtool/promtool")
	if code, said := m.script([]string{"promtool.sh"}, "XDG_CACHE_HOME="+cache); code != 0 || !strings.HasSuffix(said, want+"\n") {
		t.Errorf("root: code %d: %s", code, said)
	}
	asked, _ := os.ReadFile(filepath.Join(m.bin, "asked"))
	if strings.Contains(string(asked), "install") {
		t.Errorf("apt-get was asked to install: %s", asked)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "nuvlaops/promtool/new.*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// link makes one of the real machine's programs known.
func (m machine) link(name string) {
	m.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(m.bin, name)); err != nil {
		m.t.Fatal(err)
	}
}
