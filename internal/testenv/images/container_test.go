package images_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

// TestMain removes what a killed run has left, and what the tests have made when they are interrupted, too.
func TestMain(m *testing.M) {
	_, _ = testenv.Sweep(context.Background()) // without an engine, the tests that need one will say so
	testenv.Main(m)
}

// container is a running container of this test.
type container struct {
	id   string // for docker
	host string // its address in the network: names are lost when anything on this engine leaves a swarm
	url  string // of its port, from here
}

// start runs an image until the test ends. files are put into the container before it starts; a trailing command is
// what it runs.
func start(t *testing.T, network, ref string, port int, env []string, files map[string]string, command ...string) container {
	t.Helper()
	var c container
	args := []string{"create", "--network", network, "--label", label(), "--publish", fmt.Sprintf("127.0.0.1::%d", port)}
	for _, e := range env {
		args = append(args, "--env", e)
	}
	c.id = docker(t, append(append(args, ref), command...)...)
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := testenv.Command(t, "docker", "logs", "--tail", "40", c.id).CombinedOutput()
			t.Logf("%s:\n%s", ref, out)
		}
		docker(t, "rm", "--force", "--volumes", c.id)
	})
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	docker(t, "cp", root+"/.", c.id+":/")
	docker(t, "start", c.id)
	c.host = docker(t, "inspect", "--format", `{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}`, c.id)
	c.published(t, port)
	return c
}

// restart ends the server and starts it again, on another port of this host.
func (c *container) restart(t *testing.T, port int) {
	t.Helper()
	docker(t, "restart", "--time", "20", c.id)
	c.published(t, port)
}

func (c *container) published(t *testing.T, port int) {
	t.Helper()
	c.url = "http://" + docker(t, "port", c.id, fmt.Sprintf("%d/tcp", port))
}

// exec runs a command in the container as root.
func (c container) exec(t *testing.T, command ...string) string {
	t.Helper()
	return docker(t, append([]string{"exec", "--user", "0", c.id}, command...)...)
}

func (c container) logs(t *testing.T) string {
	t.Helper()
	return docker(t, "logs", c.id)
}

// newNetwork is a network of this test.
func newNetwork(t *testing.T) string {
	t.Helper()
	name := "images-test-" + strings.ToLower(rand.Text()[:8])
	docker(t, "network", "create", "--label", label(), name)
	t.Cleanup(func() { docker(t, "network", "rm", name) })
	return name
}

// label lets the next run sweep what a killed one has left.
func label() string { return images.Label + "=" + testenv.OwnerLabelValue() }

func docker(t *testing.T, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := testenv.Command(t, "docker", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// assembled is the image that is made from packages, also where the official one could be had.
func assembled(t *testing.T, spec images.Spec) string {
	t.Helper()
	resolver, err := images.New(&images.Options{Progress: func(s images.Step) {
		if s.Done {
			t.Logf("%s: %s: %s, error %v", s.Image, s.What, s.Took, s.Err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := resolver.Assembled(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// eventually asks until there is no error, five minutes at most: a server that starts beside much else may need more than two.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// answer is what an HTTP server has answered.
type answer struct {
	status int
	body   []byte
}

// get is a value of a JSON body by its path: a number is an index.
func (a answer) get(path ...any) any {
	var value any
	if json.Unmarshal(a.body, &value) != nil {
		return nil
	}
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// send sends a JSON or NDJSON body and reads the whole answer.
func send(t *testing.T, method, url, body string) answer {
	t.Helper()
	a, err := try(t, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ok is send of what must succeed.
func ok(t *testing.T, method, url, body string) answer {
	t.Helper()
	a := send(t, method, url, body)
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		t.Fatalf("%s %s: %s", method, url, a)
	}
	return a
}

func try(t *testing.T, method, url, body string) (answer, error) {
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	return do(request)
}

func do(request *http.Request) (answer, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, content}, err
}
