package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

// engine is a fake: on the real one, the program would take away the servers of other tests. It lists whatever it has,
// also to those who ask for a label alone, and notes what it is told to remove.
type engine struct {
	mu      sync.Mutex
	things  map[string]map[string]string // kind/name: labels
	removed []string
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v"), "/")
	w.Header().Set("Api-Version", "1.41")
	if r.Method == http.MethodDelete {
		if _, there := e.things[path]; !there {
			http.Error(w, `{"message":"no such thing"}`, http.StatusNotFound)
			return
		}
		delete(e.things, path)
		e.removed = append(e.removed, path)
		if strings.HasPrefix(path, "images/") {
			_, _ = w.Write([]byte("[]"))
		}
		return
	}
	kind, _, _ := strings.Cut(path, "/")
	list := []map[string]any{}
	for thing, labels := range e.things {
		if k, name, _ := strings.Cut(thing, "/"); k == kind {
			list = append(list, map[string]any{"Id": name, "Name": name, "Labels": labels})
		}
	}
	var body any = list
	switch kind {
	case "volumes":
		body = map[string]any{"Volumes": list}
	case "info":
		body = map[string]any{"Swarm": map[string]any{"LocalNodeState": "inactive"}}
	}
	_ = json.NewEncoder(w).Encode(body)
}

func TestOnlyWhatCarriesTheLabelIsRemoved(t *testing.T) {
	ours, theirs := map[string]string{testenv.Label: "1-2-3-4"}, map[string]string{"com.docker.compose.project": "somebody"}
	e := &engine{things: map[string]map[string]string{}}
	var want, left []string
	for _, kind := range []string{"containers", "networks", "volumes", "images"} {
		e.things[kind+"/ours"], e.things[kind+"/theirs"], e.things[kind+"/plain"] = ours, theirs, nil
		want, left = append(want, kind+"/ours"), append(left, kind+"/theirs", kind+"/plain")
	}
	server := httptest.NewServer(e)
	defer server.Close()

	program, err := testenv.Build(t.Context(), t.TempDir(), ".")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+strings.Replace(server.URL, "http", "tcp", 1), "DOCKER_TLS_VERIFY=", "DOCKER_CERT_PATH=", "DOCKER_API_VERSION=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if diff := cmp.Diff(want, e.removed); diff != "" {
		t.Errorf("removed (-want +got):\n%s\n%s", diff, out)
	}
	var got []string
	for thing := range e.things {
		got = append(got, thing)
	}
	slices.Sort(got)
	slices.Sort(left)
	if diff := cmp.Diff(left, got); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}
