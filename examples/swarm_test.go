package examples_test

import (
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
)

// stackOf deploys the shipped files, with the addresses of the test's servers in the two files that an operator edits.
func stackOf(t *testing.T, c *cluster, name string, files ...string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("swarm")); err != nil {
		t.Fatal(err)
	}
	edit(t, filepath.Join(folder, "nuvla-es-backup.conf"), "ES_HOST=es\n", "ES_HOST="+c.es.Name()+"\n",
		"#ES_USERNAME=nuvla-restore\n#ES_PASSWORD='...'\n", "ES_USERNAME=nuvla-restore\nES_PASSWORD='"+passwordOf("restore")+"'\n")
	settings, err := json.Marshal(map[string]any{"type": "s3", "settings": map[string]any{
		"bucket": bucket, "base_path": name, "endpoint": c.s3.Endpoint(), "path_style_access": true}})
	if err != nil {
		t.Fatal(err)
	}
	labels := filepath.Join(folder, "labels.yml")
	label := fmt.Sprintf("labels: {%s: %q}", testenv.Label, testenv.OwnerLabelValue())
	for path, text := range map[string]string{
		filepath.Join(folder, "repo.json"): string(settings),
		// Names and labels of the test, over those of the files: nothing of another checkout is touched, and all is removed.
		labels: fmt.Sprintf(`version: "3.7"
services: {backup: {deploy: {%s}}}
volumes: {state: {%s}}
secrets: {conf: {name: %s-conf, file: ./nuvla-es-backup.conf, %s}}
configs: {repository: {name: %s-repository, file: ./repo.json, %s}}
`, label, label, name, label, name, label),
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"stack", "deploy", "--resolve-image", "never"}
	for _, f := range files {
		args = append(args, "--compose-file", filepath.Join(folder, f))
	}
	t.Setenv("NUVLAOPS_IMAGE", image(t))
	t.Setenv("NUVLA_NETWORK", c.network)
	must(t, append(args, "--compose-file", labels, name)...)
	t.Cleanup(func() {
		if t.Failed() {
			_, said, _ := docker(t, "service", "ps", "--no-trunc", name+"_backup")
			t.Log(said)
			_, said, _ = docker(t, "service", "logs", name+"_backup")
			t.Log(said)
		}
	})
}

// edit replaces texts in a file, each of which must be there: old, new, old, new.
func edit(t *testing.T, path string, texts ...string) {
	t.Helper()
	text := read(t, path)
	for i := 0; i < len(texts); i += 2 {
		if !strings.Contains(text, texts[i]) {
			t.Fatalf("%q is not in %s", texts[i], path)
		}
		text = strings.ReplaceAll(text, texts[i], texts[i+1])
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// eventually waits for a state, as long as a loaded machine may need.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !is(); time.Sleep(250 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within three minutes: %s", what)
		}
	}
}

// snapshots returns the states of those in a repository, by name.
func (c *cluster) snapshots(t *testing.T, repository string) map[string]any {
	t.Helper()
	found := map[string]any{}
	list, _ := c.send(t, "GET", "/_snapshot/"+repository+"/*?ignore_unavailable=true", nil)["snapshots"].([]any)
	for _, s := range list {
		one := s.(map[string]any)
		found[one["snapshot"].(string)] = one["state"]
	}
	return found
}

// The form of the operations page: a restart policy is the clock.
func TestAServiceBacksUpOnceAndWaitsForItsRestartPolicy(t *testing.T) {
	c := newBackupCluster(t)
	name := fmt.Sprintf("nuvlaops-once-%d", os.Getpid())
	stackOf(t, c, name, "backup.yml", "backup-once.yml")
	task := func(format string) string {
		return must(t, "service", "ps", "--no-trunc", "--format", format, name+"_backup")
	}
	eventually(t, "a task has ended well, and the next one waits", func() bool {
		lines := strings.Split(task("{{.CurrentState}}"), "\n")
		return len(lines) == 2 && strings.HasPrefix(lines[0], "Ready") && strings.HasPrefix(lines[1], "Complete")
	})
	logs := must(t, "service", "logs", "--raw", name+"_backup")
	if !strings.Contains(logs, "Nuvla ES Backup Successful. snapshot.") {
		t.Errorf("log: %s", logs)
	}
	if strings.Contains(logs, passwordOf("restore")) {
		t.Errorf("the password is in the log: %s", logs)
	}
	policy := must(t, "service", "inspect", "--format", "{{json .Spec.TaskTemplate.RestartPolicy}}", name+"_backup")
	if want := `{"Condition":"any","Delay":14400000000000,"MaxAttempts":0}`; policy != want {
		t.Errorf("restart policy %s, want %s", policy, want)
	}
	got := c.snapshots(t, "s3_backup")
	if len(got) != 1 {
		t.Fatalf("snapshots %v, want one", got)
	}
	for _, state := range got {
		if state != "SUCCESS" {
			t.Errorf("snapshots %v", got)
		}
	}
}

// The schedule of its own: the slot that nobody has served yet is made up for at once, and Prometheus can read it.
func TestAScheduledServiceBacksUpAndServesItsMetrics(t *testing.T) {
	c := newBackupCluster(t)
	name := fmt.Sprintf("nuvlaops-scheduled-%d", os.Getpid())
	t.Setenv("BACKUP_SCHEDULE", "0 0 1 1 *") // no other slot comes while the test runs
	stackOf(t, c, name, "backup.yml")
	var metrics string
	gateway, err := testenv.StartGateway(t.Context(), c.network, name+"_backup:9115")
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close(t.Context())
	eventually(t, "the metrics tell a success", func() bool {
		metrics = get(t, "http://"+gateway.Addr()+"/metrics")
		return strings.Contains(metrics, `nuvla_backup_last_success_timestamp_seconds{repository="s3_backup"}`)
	})
	for _, want := range []string{`nuvla_backup_last_exit_code{repository="s3_backup"} 0`, `nuvla_backup_snapshots{repository="s3_backup",state="SUCCESS"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("%s is not in:\n%s", want, metrics)
		}
	}
	if health := get(t, "http://"+gateway.Addr()+"/healthz"); !strings.Contains(health, `"ok"`) {
		t.Errorf("health: %s", health)
	}
	ids := must(t, "ps", "--quiet", "--filter", "label=com.docker.swarm.service.name="+name+"_backup")
	for id := range strings.FieldsSeq(ids) {
		if uid := must(t, "top", id, "-o", "pid,uid"); !strings.Contains(uid, "65532") {
			t.Errorf("the program runs as %s", uid)
		}
		if ro := must(t, "inspect", "--format", "{{.HostConfig.ReadonlyRootfs}}", id); ro != "true" {
			t.Errorf("the root can be written to: %s", ro)
		}
	}
}

// newBackupCluster has one document to back up, a repository that nothing is in, and a node for the service.
func newBackupCluster(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t)
	if err := c.swarm.SetNodeLabel(t.Context(), "type", "worker-db"); err != nil {
		t.Fatal(err)
	}
	c.send(t, "PUT", "/nuvla-swarm/_doc/1?refresh=true", map[string]any{"a": 1})
	return c
}

// get returns what is answered, or nothing while nobody answers.
func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}
