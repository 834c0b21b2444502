package testenv_test

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

func TestOwnerIsDeadOnlyWhenThatIsSure(t *testing.T) {
	me := testenv.OwnerLabelValue()
	parts := strings.Split(me, "-")
	with := func(i int, value string) string {
		changed := append([]string(nil), parts...)
		changed[i] = value
		return strings.Join(changed, "-")
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, value string
		local, want bool
	}{
		{"this process", me, true, false},
		{"the id of another process", with(0, "1"), true, true}, // it started with the machine
		{"a process that ended", with(0, strconv.Itoa(gone.Process.Pid)), true, true},
		{"the same id, started earlier", with(1, "1"), true, true},
		{"another boot of this machine", with(2, "00000000"), true, true},
		{"another machine", with(2, "00000000"), false, false},
		{"another container", with(3, "1"), true, false},
		{"an image", "image", true, false},
		{"nothing", "", true, false},
		{"nonsense", "a-b-c-d", true, false},
	}
	for _, tt := range tests {
		if got := testenv.OwnerDead(tt.value, tt.local); got != tt.want {
			t.Errorf("%s: dead is %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestLastUserOfASwarmPutsLabelsBack(t *testing.T) {
	labels := map[string]string{
		"theirs": "kept", "changed": "new", "added": "new",
		testenv.WasLabel + "changed": "=old", testenv.WasLabel + "added": "",
		testenv.UserLabel + "a": "1", testenv.UserLabel + "b": "1",
	}
	testenv.Release(labels, func(user string) bool { return user == "a" })
	if labels["changed"] != "new" || labels[testenv.UserLabel+"b"] == "" || len(labels) != 6 {
		t.Errorf("after the first user: %v", labels)
	}
	testenv.Release(labels, func(user string) bool { return user == "b" })
	if diff := cmp.Diff(map[string]string{"theirs": "kept", "changed": "old"}, labels); diff != "" {
		t.Errorf("after the last user (-want +got):\n%s", diff)
	}
}
