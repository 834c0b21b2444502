package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// rig is an index of 300 jobs and a queue of its own.
type rig struct {
	*testing.T
	es    *testenv.Elasticsearch
	addr  string
	index string
	path  string
}

func newRig(t *testing.T, name string) *rig {
	t.Helper()
	r := &rig{T: t, es: testenv.SharedElasticsearch(t, ""), addr: testenv.SharedZooKeeper(t, "").Addr(), index: "nuvla-job-" + name, path: "/job-" + name}
	r.create()
	var body strings.Builder
	for i := range 300 {
		id := fmt.Sprintf("%08d", i)
		fmt.Fprintf(&body, "{\"index\":{\"_id\":%q}}\n", id)
		fmt.Fprintf(&body, `{"id":"job/%s","state":"%s","execution-mode":"push","priority":%d,"created":"2026-01-02T03:04:05.%03dZ","action":"start_deployment"}`+"\n",
			id, []string{"QUEUED", "RUNNING"}[i%2], 10+i%3, i)
	}
	r.send("POST", "/"+r.index+"/_bulk", body.String())
	return r
}

// create makes the index with the api-server's mapping.
func (r *rig) create() {
	r.Helper()
	mapping, err := os.ReadFile("../../zkjobs/testdata/nuvla-job-mapping.json")
	if err != nil {
		r.Fatal(err)
	}
	r.send("PUT", "/"+r.index, `{"mappings":`+string(mapping)+`}`)
}

func (r *rig) send(method, path, body string) {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := r.es.Client().Perform(req)
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	if answer, _ := io.ReadAll(res.Body); res.StatusCode > 299 || bytes.Contains(answer, []byte(`"errors":true`)) {
		r.Fatalf("%s %s: %.300s", method, path, answer)
	}
}

// run runs the program and returns what it printed and its exit code.
func (r *rig) run(args ...string) (string, int) {
	r.Helper()
	var stdout, stderr bytes.Buffer
	args = append([]string{"--es-hosts", r.es.URL(), "--zk-hosts", r.addr, "--index", r.index, "--path", r.path}, args...)
	err := run(r.Context(), args, &stdout, &stderr)
	r.Logf("%v: %v\n%s%s", args[8:], err, stderr.String(), stdout.String())
	return stdout.String(), cli.ExitCode(err)
}

func (r *rig) result(args ...string) (output, int) {
	r.Helper()
	text, code := r.run(append(args, "--json")...)
	var out output
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		r.Fatalf("%v in %.300s", err, text)
	}
	return out, code
}

func TestTheProgramRebuildsVerifiesAndDoesNothingTwice(t *testing.T) {
	r := newRig(t, "whole")
	if out, code := r.result("--dry-run"); code != cli.ExitOK || out.Result.ToWrite != 300 {
		t.Errorf("dry run: code %d, %+v", code, out.Result)
	}
	if _, code := r.run("--verify-only"); code != cli.ExitVerification {
		t.Errorf("verify of an empty queue: code %d", code)
	}
	text, code := r.run()
	if code != cli.ExitOK || !strings.Contains(text, "300 written") || !strings.Contains(text, "verified: 300 of 300") {
		t.Errorf("rebuild: code %d, %s", code, text)
	}
	out, code := r.result()
	if code != cli.ExitOK || out.Result.Written != 0 || out.Result.Present != 300 {
		t.Errorf("second call: code %d, %+v", code, out.Result)
	}
	if diff := cmp.Diff(map[int]int{10: 100, 11: 100, 12: 100}, out.Result.Report.ByPriority); diff != "" {
		t.Errorf("by priority (-want +got):\n%s", diff)
	}
	if _, code := r.run("--verify-only"); code != cli.ExitOK {
		t.Errorf("verify: code %d", code)
	}
}

func TestTheProgramLeavesRunningJobsOutWhenTold(t *testing.T) {
	r := newRig(t, "running")
	out, code := r.result("--include-running=false", "--batch", "20")
	if code != cli.ExitOK || out.Result.Written != 150 || out.Plan.Left[zkjobs.LeftRunning] != 150 {
		t.Errorf("code %d, %+v", code, out.Result)
	}
}

func TestTheProgramWantsForceBesideAConsumer(t *testing.T) {
	r := newRig(t, "consumer")
	conn, err := zkjobs.Connect(t.Context(), []string{r.addr}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	q, err := zkjobs.NewQueue(conn, &zkjobs.Options{Path: r.path})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Put(t.Context(), 10, "job/00000000", "job/not-a-job"); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, code := r.result(); code != cli.ExitBusy || out.Result.Written != 0 || !strings.Contains(out.Error, "force") {
		t.Errorf("code %d, %+v %s", code, out.Result, out.Error)
	}
	if out, code := r.result("--force", "--prune"); code != cli.ExitOK || out.Result.Written != 299 || out.Result.Pruned != 1 {
		t.Errorf("force: code %d, %+v", code, out.Result)
	}
}

func TestEachFailureHasItsExitCode(t *testing.T) {
	r := newRig(t, "failures")
	for name, tc := range map[string]struct {
		args []string
		code int
	}{
		"help":               {[]string{"-h"}, cli.ExitFailed}, // cli.Main makes it 0
		"unknown flag":       {[]string{"--nope"}, cli.ExitUsage},
		"an argument":        {[]string{"nope"}, cli.ExitUsage},
		"batch out of range": {[]string{"--batch", "501"}, cli.ExitUsage},
		"no such index":      {[]string{"--index", "nuvla-nothing"}, cli.ExitFailed},
		"time limit":         {[]string{"--timeout", "1ns"}, cli.ExitTimeout},
		"negative age":       {[]string{"--max-age", "-1h"}, cli.ExitUsage},
		"an empty host":      {[]string{"--zk-hosts", " "}, cli.ExitUsage},
	} {
		if _, code := r.run(tc.args...); code != tc.code {
			t.Errorf("%s: code %d, want %d", name, code, tc.code)
		}
	}
	r.send("DELETE", "/"+r.index, "")
	r.create()
	r.send("PUT", "/"+r.index+"/_doc/x", `{"id":"job/x","state":"SUCCESS"}`)
	if _, code := r.run(); code != cli.ExitRefused {
		t.Errorf("no open job: code %d", code)
	}
	if out, code := r.result("--allow-none"); code != cli.ExitOK || out.Result.Written != 0 {
		t.Errorf("none allowed: code %d, %+v", code, out.Result)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cli.ErrInterrupted)
	err := run(ctx, []string{"--es-hosts", r.es.URL(), "--zk-hosts", r.addr}, io.Discard, io.Discard)
	if code := cli.ExitCode(err); code != cli.ExitInterrupted {
		t.Errorf("interrupted: code %d", code)
	}
}

func TestHostsComeInManyForms(t *testing.T) {
	c, err := parse([]string{"--es-hosts", "a b,c", "--es-hosts=http://d:9201"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hosts{"a", "b", "c", "http://d:9201"}, c.esHosts); diff != "" {
		t.Errorf("es (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(hosts{"zk:2181"}, c.zkHosts); diff != "" {
		t.Errorf("zk (-want +got):\n%s", diff)
	}
	if _, err := parse([]string{"--max-age", "soon"}, io.Discard); !errors.Is(err, cli.ErrUsage) {
		t.Errorf("got %v", err)
	}
	if c.plan.MaxAge != 0 || c.timeout != 0*time.Second || c.apply.Batch != 500 {
		t.Errorf("defaults: %+v", c)
	}
}
