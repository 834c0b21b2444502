package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
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

// queue is the queue as its producers and consumers use it.
func (r *rig) queue() *zkjobs.Queue {
	r.Helper()
	conn, err := zkjobs.Connect(r.Context(), []string{r.addr}, nil)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(conn.Close)
	q, err := zkjobs.NewQueue(conn, &zkjobs.Options{Path: r.path})
	if err != nil {
		r.Fatal(err)
	}
	return q
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
	if err := r.queue().Put(t.Context(), 10, "job/00000000"); err != nil {
		t.Fatal(err)
	}
	if text, code := r.run(); code != cli.ExitVerification || !strings.Contains(text, "300 were there") {
		t.Errorf("one is there twice: code %d, %s", code, text)
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
	q := r.queue()
	if err := q.Put(t.Context(), 10, "job/00000000", "job/not-a-job"); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, code := r.result(); code != cli.ExitBusy || out.Result.Written != 0 || !strings.Contains(out.Error, "force") {
		t.Errorf("code %d, %+v %s", code, out.Result, out.Error)
	}
	if out, code := r.run("--dry-run"); code != cli.ExitBusy || out != "nothing was written\n" {
		t.Errorf("dry run: code %d, %q", code, out)
	}
	if out, code := r.result("--force", "--prune"); code != cli.ExitOK || out.Result.Written != 299 || out.Result.Pruned != 1 {
		t.Errorf("force: code %d, %+v", code, out.Result)
	}
}

func TestTheProgramMovesEntriesToTheirPriorityWhenTold(t *testing.T) {
	r := newRig(t, "moves")
	q := r.queue()
	if err := q.Put(t.Context(), 500, "job/00000000", "job/00000001"); err != nil {
		t.Fatal(err)
	}
	if out, code := r.result("--move", "--dry-run"); code != cli.ExitOK || out.Result.ToMove != 2 || out.Result.ToWrite != 298 {
		t.Errorf("dry run: code %d, %+v", code, out.Result)
	}
	if out, code := r.result(); code != cli.ExitOK || out.Result.Written != 298 || out.Result.Moved != 0 || out.Result.Report.Earlier != 2 {
		t.Errorf("not told: code %d, %+v", code, out.Result)
	}
	out, code := r.result("--move")
	if code != cli.ExitOK || out.Result.Moved != 2 || out.Result.Written != 0 {
		t.Errorf("told: code %d, %+v %s", code, out.Result, out.Error)
	}
	if diff := cmp.Diff(map[int]int{10: 100, 11: 100, 12: 100}, out.Result.Report.ByPriority); diff != "" {
		t.Errorf("by priority (-want +got):\n%s", diff)
	}
}

func TestEachFailureHasItsExitCode(t *testing.T) {
	r := newRig(t, "failures")
	for name, tc := range map[string]struct {
		args []string
		code int
	}{
		"no such index": {[]string{"--index", "nuvla-nothing"}, cli.ExitFailed},
		"time limit":    {[]string{"--timeout", "1ns"}, cli.ExitTimeout},
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
	for name, tc := range map[string]struct {
		args   []string
		es, zk hosts
	}{
		"none":                 {nil, hosts{"es"}, hosts{"zk:2181"}},
		"spaces and commas":    {[]string{"--es-hosts", "a b,c", "--es-hosts=http://d:9201"}, hosts{"a", "b", "c", "http://d:9201"}, hosts{"zk:2181"}},
		"as the script before": {[]string{"--zk-hosts", "a:2181", "b", "--es-hosts", "c", "d:9200"}, hosts{"c", "d:9200"}, hosts{"a:2181", "b"}},
		"among other flags":    {[]string{"-zk-hosts", "a", "b", "--index", "x", "--dry-run"}, hosts{"es"}, hosts{"a", "b"}},
	} {
		c, err := parse(tc.args, io.Discard)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]hosts{tc.es, tc.zk}, []hosts{c.esHosts, c.zkHosts}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestDefaultsAreThoseOfTheScriptBefore(t *testing.T) {
	got, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := config{esHosts: hosts{"es"}, zkHosts: hosts{"zk:2181"}, index: "nuvla-job", path: "/job", includeRunning: true,
		apply: zkjobs.ApplyOptions{Batch: 500}, zk: &zkjobs.ConnectOptions{}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{})); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestEachFlagSaysWhatItNames(t *testing.T) {
	t.Setenv("ZK_USERNAME", "u")
	t.Setenv("ZK_PASSWORD", "p")
	args := []string{"-es-hosts", "e", "-zk-hosts", "z", "-index", "i", "-path", "/q", "-dry-run", "-json", "-max-age", "1h", "-include-running=false", "-batch", "5", "-rate", "2.5",
		"-prune", "-move", "-force", "-allow-none", "-timeout", "3s", "-zk-tls"}
	got, err := parse(args, io.Discard)
	if err != nil || got.zk.TLS == nil {
		t.Fatal(got.zk, err)
	}
	got.zk.TLS = nil
	want := config{esHosts: hosts{"e"}, zkHosts: hosts{"z"}, index: "i", path: "/q", json: true, allowNone: true, timeout: 3 * time.Second,
		plan:  zkjobs.PlanOptions{MaxAge: time.Hour, WithoutRunning: true},
		apply: zkjobs.ApplyOptions{DryRun: true, Batch: 5, Rate: 2.5, Prune: true, Move: true, Force: true}, zk: &zkjobs.ConnectOptions{User: "u", Password: "p"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err = parse([]string{"-verify-only"}, io.Discard); err != nil || !got.verifyOnly {
		t.Errorf("-verify-only: %+v, %v", got, err)
	}
}

// TestBadInputIsAUsageErrorThatNamesItsFlag has nothing to connect to: it is refused before.
func TestBadInputIsAUsageErrorThatNamesItsFlag(t *testing.T) {
	for name, args := range map[string][][]string{
		"-batch":       {{"--batch", "4", "--move"}, {"--batch", "501"}, {"--batch", "1"}, {"--batch", "0"}, {"--batch", "many"}},
		"-rate":        {{"--rate", "-1"}, {"--rate", "NaN"}, {"--rate", "Inf"}},
		"-max-age":     {{"--max-age", "-1h"}, {"--max-age", "soon"}},
		"-timeout":     {{"--timeout", "-1s"}},
		"-index":       {{"--index", ""}},
		"-path":        {{"--path", "job"}, {"--path", "/job/"}},
		"-verify-only": {{"--verify-only", "--prune"}, {"--verify-only", "--dry-run"}, {"--verify-only", "--move"}, {"--verify-only", "--force"}, {"--verify-only", "--rate", "5"}},
		"-zk-hosts":    {{"--zk-hosts", " "}, {"--zk-hosts", "a/x", "b/y"}, {"--zk-hosts", "zk:x"}},
		"-es-hosts":    {{"--es-hosts", ","}},
		"-nope":        {{"--nope"}},
		"nope":         {{"nope"}, {"--dry-run", "nope"}},
		"ftp://es":     {{"--es-hosts", "ftp://es"}},
	} {
		for _, a := range args {
			err := run(t.Context(), a, io.Discard, io.Discard)
			if cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(fmt.Sprint(err), name) {
				t.Errorf("%v: got %v, want a usage error that names %s", a, err, name)
			}
		}
	}
}

func TestHelpNamesEveryFlagAndConnectsToNothing(t *testing.T) {
	var help strings.Builder
	if err := run(t.Context(), []string{"-h"}, io.Discard, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v, want flag.ErrHelp, which ends the program with 0", err)
	}
	for _, want := range []string{"es-hosts", "(default es)", "zk-hosts", "(default zk:2181)", "dry-run", "json", "index", "max-age", "include-running",
		"batch", "prune", "move", "force", "verify-only", "zk-tls", "zk-ca", "zk-cert", "zk-key", "zk-auth", "ES_API_KEY", "ZK_PASSWORD", "5 consumers"} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("%q is not in the help:\n%s", want, help.String())
		}
	}
}
