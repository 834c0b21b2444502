package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

// byHand types the commands of the operations page against the recovered stack: each gives what the page says.
func (d *demo) byHand(t *testing.T) {
	p := &d.platform
	at := "http://" + p.es
	name := "snapshot." + strings.TrimSpace(d.typed(t, `date --utc +%Y-%m-%dt%H%Mz`)) + "-by-hand"

	t.Run("the repository is configured", func(t *testing.T) {
		got := d.typed(t, `curl -X PUT `+at+`/_snapshot/s3_backup -H 'Content-Type: application/json' -d @repo.json`)
		answers(t, got, `{"acknowledged":true}`)
	})
	t.Run("a snapshot is taken", func(t *testing.T) {
		got := d.typed(t, `curl -X PUT '`+at+`/_snapshot/s3_backup/`+name+`?wait_for_completion=true'`)
		var answer struct {
			Snapshot struct{ Snapshot, State string }
		}
		if err := json.Unmarshal([]byte(got), &answer); err != nil || answer.Snapshot.Snapshot != name || answer.Snapshot.State != "SUCCESS" {
			t.Errorf("want snapshot %s with SUCCESS, got %s", name, got)
		}
	})
	t.Run("the snapshots are listed", func(t *testing.T) {
		got := d.typed(t, `curl `+at+`/_cat/snapshots/s3_backup`)
		lines := strings.Split(strings.TrimSpace(got), "\n")
		if len(lines) != 2 || !strings.Contains(lines[1], name) || strings.Count(got, "SUCCESS") != 2 {
			t.Errorf("want the snapshot that was restored and %s, got:\n%s", name, got)
		}
	})
	t.Run("a restore over what is open is refused, and one of a closed index is accepted", func(t *testing.T) {
		got := d.typed(t, `curl -X POST '`+at+`/_snapshot/s3_backup/`+name+`/_restore'`)
		if !strings.Contains(got, "an open index with same name already exists") {
			t.Errorf("got %s", got)
		}
		answers(t, d.typed(t, `curl -X DELETE `+at+`/nuvla-user`), `{"acknowledged":true}`)
		got = d.typed(t, `curl -X POST '`+at+`/_snapshot/s3_backup/`+name+`/_restore?wait_for_completion=true' -H 'Content-Type: application/json' -d '{"indices":"nuvla-user"}'`)
		if !strings.Contains(got, `"failed":0`) {
			t.Errorf("got %s", got)
		}
	})
	t.Run("the job container runs on the attachable network, with its arguments", func(t *testing.T) {
		run := `docker run --rm --label ` + testenv.Label + `=` + testenv.OwnerLabelValue() + ` -v ` + program(t, "rebuild-queue") + `:/app/job_restore.py` +
			` --network ` + p.network + ` --entrypoint /app/job_restore.py ` + p.images[images.Consumer]
		if got := d.typed(t, run+` -h 2>&1`); !strings.Contains(got, "es-hosts") || !strings.Contains(got, "zk-hosts") {
			t.Errorf("-h says: %s", got)
		}
		d.typed(t, run+` --es-hosts es --zk-hosts zk:2181 --verify-only 2>&1`) // consumers are at work: nothing is to be written
	})
	t.Run("the services are there with their replicas", func(t *testing.T) {
		got := d.typed(t, `docker service ls --format '{{.Name}} {{.Replicas}}' --filter label=com.docker.stack.namespace=`+p.core)
		for _, want := range []string{"api 1/1", "ui 1/1", "job-executor 5/5", "job-distributor 2/2"} {
			if !strings.Contains(got, p.core+"_"+want) {
				t.Errorf("want %s among:\n%s", want, got)
			}
		}
	})
	d.documentsAreExact(t)
	answers(t, d.typed(t, `curl -X DELETE `+at+`/_snapshot/s3_backup/`+name), `{"acknowledged":true}`) // the latest is the one that was checked
}

// typed runs a line in the folder with the operator's files, as a shell does, and returns what it prints.
func (d *demo) typed(t *testing.T, line string) string {
	t.Helper()
	cmd := testenv.Command(t, "bash", "-c", line)
	cmd.Dir = d.platform.folder
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v\n%s%s", line, err, out, errs.String())
	}
	return string(out)
}

func answers(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("it answers %s, want %s", got, want)
	}
}
