package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

func TestTheProgramListsPlansAppliesAndVerifies(t *testing.T) {
	r := newRig(t, "whole", 60)
	if got := r.run(t.Context(), "", "list"); got.code != cli.ExitOK || !strings.Contains(got.stdout, r.taken.Name+"  SUCCESS") || !strings.Contains(got.stdout, "4/4") {
		t.Errorf("list: code %d\n%s", got.code, got.stdout)
	}
	if got := r.run(t.Context(), "", "list", "-json"); len(decode[[]snapshot.Snapshot](t, got.stdout)) != 1 {
		t.Errorf("list -json: %s", got.stdout)
	}
	if got := r.run(t.Context(), "", "plan", "-indices", r.index("*")); got.code != cli.ExitRefused || !strings.Contains(got.stdout, restore.CodeOpenIndex) {
		t.Errorf("plan onto what is there: code %d\n%s", got.code, got.stdout)
	}
	r.wipe()
	got := r.run(t.Context(), "", "plan", "-indices", r.index("*"), "-replicas", "0", "-json")
	if plan := decode[restore.Plan](t, got.stdout); got.code != cli.ExitOK || len(plan.Indices) != 2 || plan.Shards != 4 {
		t.Errorf("plan: code %d, %+v", got.code, plan)
	}
	if err := os.WriteFile(r.path("plan.json"), []byte(got.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		typed string
		args  []string
	}{
		"another name":        {"", []string{"-yes", "another"}},
		"another name, typed": {"another\n", nil},
		"nothing typed":       {"", nil},
	} {
		got := r.run(t.Context(), c.typed, append([]string{"apply", "-plan", r.path("plan.json")}, c.args...)...)
		if got.code != cli.ExitRefused || len(r.indices()) > 0 || !strings.Contains(got.err.Error(), "nothing was touched") {
			t.Errorf("%s: code %d, %v, indices %v, want it refused and nothing touched", name, got.code, got.err, r.indices())
		}
	}
	got = r.run(t.Context(), r.cluster+"\n", "apply", "-plan", r.path("plan.json"))
	if got.code != cli.ExitOK || !strings.Contains(got.stdout, "4 of 4 primary shards proven, 67 documents") {
		t.Errorf("apply: code %d\n%s", got.code, got.stdout)
	}
	r.verifies(t)
}

// verifies holds the subcommand verify against what was restored, and against what was not.
func (r *rig) verifies(t *testing.T) {
	t.Helper()
	write := func(name, text string) string {
		if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return r.path(name)
	}
	good := write("good.json", `[{"name":"small","index":"`+r.index("a")+`","query":{"range":{"n":{"lt":5}}},"min":5,"max":5}]`)
	bad := write("bad.json", `[{"name":"large","index":"`+r.index("a")+`","query":{"range":{"n":{"gt":500}}},"min":1}]`)
	selection := []string{"-snapshot", r.taken.Name, "-indices", r.index("*"), "-replicas", "0"}
	got := r.run(t.Context(), "", append([]string{"verify", "-json", "-queries", good, "-manifest", r.path("manifest.json")}, selection...)...)
	if report := decode[restore.Report](t, got.stdout); got.code != cli.ExitOK || report.Proven != 4 || report.Documents != 67 {
		t.Errorf("verify: code %d, %+v", got.code, report)
	}
	got = r.run(t.Context(), "", "verify", "-plan", r.path("plan.json"), "-queries", bad)
	if got.code != cli.ExitVerification || !strings.Contains(got.stdout, "failed: "+r.index("a")+": query large finds 0 documents") {
		t.Errorf("verify with a query that finds nothing: code %d\n%s", got.code, got.stdout)
	}
	r.send("DELETE", "/"+r.index("b"), "")
	if got := r.run(t.Context(), "", "verify", "-plan", r.path("plan.json")); got.code != cli.ExitVerification || !strings.Contains(got.stdout, "failed: "+r.index("b")+": the index is not there") {
		t.Errorf("verify without an index: code %d\n%s", got.code, got.stdout)
	}
}

func TestCtrlCLeavesTheRestoreToBeAttachedTo(t *testing.T) {
	r := newRig(t, "ctrlc", 3000)
	r.wipe()
	r.register(`,"max_restore_bytes_per_sec":"1mb"`)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	stderr := &watched{seen: func(text string) {
		if strings.Contains(text, "restoring repo-") {
			cancel(cli.ErrInterrupted)
		}
	}}
	var stdout bytes.Buffer
	got := r.runTo(ctx, &stdout, stderr, "", "apply", "-indices", r.index("*"), "-yes", r.cluster)
	want := "restore attach -es " + r.es.URL() + " -repository " + r.repository() + " -snapshot " + r.taken.Name
	if got.code != cli.ExitInterrupted || !strings.Contains(got.stderr, want) {
		t.Fatalf("apply: code %d, %v, want %d and how to go on\n%s", got.code, got.err, cli.ExitInterrupted, got.stderr)
	}
	got = r.run(t.Context(), "", "attach", "-snapshot", r.taken.Name, "-json")
	if report := decode[restore.Report](t, got.stdout); got.code != cli.ExitOK || !report.OK() || report.Documents != 3007 {
		t.Errorf("attach: code %d, %v", got.code, got.err)
	}
}

func TestBadInputIsAUsageErrorThatNamesTheFlag(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string) string {
		path := folder + "/" + name
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plan := file("plan.json", `{"id":"x","repository":"s3_backup"}`)
	twice := file("twice.json", `{"id":"x","repository":"s3_backup"}{"id":"y","repository":"s3_backup"}`)
	foreign, none, garbled := file("foreign.json", `{"id":"x","repository":"other"}`), file("none.json", `[]`), file("garbled.json", `{"nope":1}`)
	for want, args := range map[string][]string{
		"no command: want list, pl":  {},
		"first, before -es: want li": {"-es", "x", "list"},
		"unknown command":            {"restore"},
		"unexpected argument":        {"list", "x"},
		"-nope":                      {"plan", "-nope"},
		"-repository":                {"list", "-repository", "a,b"},
		"-repository: ":              {"list", "-repository", "_x"},
		"-timeout":                   {"list", "-timeout", "-1s"},
		"address of Elasticsearch":   {"list", "-es", "ftp://x"},
		"-before \"today\"":          {"plan", "-before", "today"},
		"-before goes with":          {"plan", "-snapshot", "x", "-before", "2026-01-02T15:04:05Z"},
		"-snapshot \"a*\"":           {"plan", "-snapshot", "a*"},
		"-replicas -2":               {"apply", "-replicas", "-2"},
		"-indices, -setting":         {"apply", "-indices", "a,,b"},
		"-other-shards goes with":    {"plan", "-other-shards"},
		"-rename and -replace":       {"apply", "-rename", "x-", "-replace"},
		"-rename and -global-state":  {"apply", "-rename", "x-", "-global-state"},
		"-replicas and -setting":     {"apply", "-replicas", "1", "-setting", "index.number_of_replicas=0"},
		"-checksums and -setting":    {"plan", "-checksums", "-setting", "index.shard.check_on_startup=true"},
		"do not go with -abandon":    {"attach", "-snapshot", "x", "-abandon", "-keep-going"},
		"-before is empty":           {"plan", "-before", ""},
		"-plan is empty":             {"apply", "-plan", ""},
		"-rename is empty":           {"apply", "-rename", ""},
		"-schedule is empty":         {"drill", "-schedule", "", "-timeout", "1ms"},
		"-metrics is empty":          {"drill", "-metrics", "", "-timeout", "1ms"},
		"-listen is empty":           {"drill", "-schedule", "0 3 * * 0", "-listen", "", "-timeout", "1ms"},
		"NAME=VALUE":                 {"plan", "-setting", "index.hidden"},
		"shards cannot change":       {"plan", "-setting", "index.number_of_shards=1"},
		"-allow-partial goes with":   {"plan", "-allow-partial"},
		"-plan: open":                {"apply", "-plan", folder + "/missing"},
		"-plan " + foreign:           {"apply", "-plan", foreign},
		"-plan " + garbled:           {"apply", "-plan", garbled},
		"-plan " + twice:             {"apply", "-plan", twice, "-timeout", "1ms"},
		"-tolerance 2":               {"drill", "-tolerance", "2"},
		"-snapshot does not go with": {"apply", "-plan", plan, "-snapshot", "x", "-timeout", "1ms"},
		"-replicas does not go with": {"verify", "-replicas", "0", "-plan", plan, "-timeout", "1ms"},
		"-snapshot: name":            {"attach"},
		"-snapshot: name the":        {"verify"},
		"not defined: -before":       {"verify", "-snapshot", "x", "-before", "2026-01-02T15:04:05Z"},
		"-queries " + none:           {"verify", "-snapshot", "x", "-queries", none},
		"-queries " + garbled:        {"verify", "-snapshot", "x", "-queries", garbled},
		"-manifest":                  {"verify", "-snapshot", "x", "-manifest", none},
		"-metrics \"x\"":             {"drill", "-metrics", "x"},
		"-metrics /no":               {"drill", "-metrics", "/no/such/x.prom"},
		"-marks /no":                 {"drill", "-marks", "/no/such/marks.json"},
		"-listen and -jitter":        {"drill", "-listen", ":1"},
		"-schedule \"soon\"":         {"drill", "-schedule", "soon"},
		"a time zone is not taken":   {"drill", "-schedule", "TZ=Europe/Zurich 0 3 * * *"},
		"-schedule goes with":        {"drill", "-schedule", "0 3 * * 0", "-snapshot", "x"},
		"-listen \"x\"":              {"drill", "-schedule", "0 3 * * 0", "-listen", "x"},
		"-budget":                    {"drill", "-budget", "-1m"},
		"flag provided but not defi": {"drill", "-yes", "x"},
	} {
		err := runWith(t.Context(), args, strings.NewReader(""), io.Discard, io.Discard)
		if cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want a usage error with %q", args, err, want)
		}
	}
}

func TestHelpNamesEachCommandTheCredentialsAndTheExitCodes(t *testing.T) {
	for args, more := range map[string]string{"-h": "-es address", "drill -h": "-budget time", "verify --help": "name of the snapshot that was restored"} {
		var stderr bytes.Buffer
		if err := runWith(t.Context(), strings.Fields(args), strings.NewReader(""), io.Discard, &stderr); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v", args, err)
		}
		for _, want := range []string{"restore list", "restore plan", "restore apply", "restore attach", "restore verify", "restore drill", more, "ES_API_KEY", "11 refused"} {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%s: %q is not in\n%s", args, want, stderr.String())
			}
		}
	}
}

// What a drill has proven must be where retention looks; what else the file says is of backups.
func TestTheFileOfTheBackupSaysWhereTheMarksAre(t *testing.T) {
	folder := t.TempDir()
	file := folder + "/x.conf"
	settings := "ES_HOST=es\nES_PORT=9201\nBACKUP_REPOSITORY=other\nBACKUP_TIMESTAMP=" + folder + "/timestamp\nBACKUP_METRICS=" + folder + "/backup.prom\n" +
		"BACKUP_SCHEDULE='30 * * * *'\nBACKUP_LISTEN=:9115\nBACKUP_TIMEOUT=1ns\nBACKUP_YES=cluster\n"
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"BACKUP_CONF": file}
	lookup := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	for args, marks := range map[string]string{"drill": folder + "/nuvla-es-backup-marks.json", "apply": folder + "/nuvla-es-backup-marks.json", "drill -marks " + folder + "/own": folder + "/own"} {
		c, err := parse(strings.Fields(args), lookup, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{marks, "other", "es:9201"}, []string{c.marks, c.repository, c.es}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", args, diff)
		}
		if c.metrics != "" || c.schedule != nil || c.listen != "" || c.timeout != 0 || c.yes != "" {
			t.Errorf("%s takes what is said of backups: %+v", args, c)
		}
	}
}

func TestVerifiedSaysWhatMarksASnapshotWhenNoneIs(t *testing.T) {
	fake := &snapshottest.Fake{Name: "s3_backup"}
	if _, err := fake.Ensure(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}); err != nil {
		t.Fatal(err)
	}
	fake.Add(snapshot.Snapshot{Name: "one", UUID: "uuid-1", Repository: "s3_backup", State: snapshot.Success, Shards: snapshot.Shards{Total: 3, Successful: 3}})
	marks := t.TempDir() + "/marks.json"
	p := &program{config: &config{command: "plan", repository: "s3_backup", marks: marks, verified: true}, snapshots: snapshot.WithMarks(fake, marks)}
	_, err := p.selector(t.Context())
	for _, want := range []string{marks, "restore drill", "snapshots verify"} {
		if !errors.Is(err, nuvlaops.ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want ErrNotFound with %q", err, want)
		}
	}
	err = snapshot.UpdateMarks(t.Context(), marks, func(m snapshot.Marks) error {
		m.Verify("s3_backup", "one", "uuid-1", snapshot.Verified{At: time.Now()})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if sel, err := p.selector(t.Context()); err != nil || !cmp.Equal([]string{"one"}, sel.Among) {
		t.Errorf("with a mark: %v, %v", sel.Among, err)
	}
}

func TestEachFailureHasItsExitCode(t *testing.T) {
	r := newRig(t, "codes", 10)
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"no such snapshot":  {[]string{"plan", "-snapshot", "nope"}, cli.ExitFailed},
		"none is verified":  {[]string{"plan", "-snapshot", "verified"}, cli.ExitFailed},
		"none so early":     {[]string{"drill", "-before", "2020-01-02T15:04:05Z"}, cli.ExitFailed},
		"nothing to attach": {[]string{"attach", "-snapshot", r.taken.Name}, cli.ExitFailed},
		"a time limit":      {[]string{"plan", "-timeout", "1ns"}, cli.ExitTimeout},
		"what is there":     {[]string{"apply", "-indices", r.index("*"), "-yes", r.cluster}, cli.ExitRefused},
		"nothing selected":  {[]string{"plan", "-indices", "other-*"}, cli.ExitRefused},
	} {
		before := r.originals()
		if got := r.run(t.Context(), "", c.args...); got.code != c.code {
			t.Errorf("%s: code %d, want %d: %v", name, got.code, c.code, got.err)
		}
		if d := cmp.Diff(before, r.originals()); d != "" {
			t.Errorf("%s: indices (-before +after):\n%s", name, d)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cli.ErrInterrupted)
	if got := r.run(ctx, "", "list"); got.code != cli.ExitInterrupted {
		t.Errorf("interrupted: code %d", got.code)
	}
}

func TestAToleranceOfNothingIsNone(t *testing.T) {
	for args, want := range map[string]float64{"plan": 0.02, "plan -tolerance 0": -1, "plan -tolerance 0.1": 0.1, "drill -tolerance -1": -1} {
		c, err := parse(strings.Fields(args), func(string) (string, bool) { return "", false }, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.request.DocumentTolerance; got != want {
			t.Errorf("%s: %v, want %v", args, got, want)
		}
	}
}

// What was backed up after the data was lost has to be named, and so does what was before.
func TestALatestSnapshotOfNextToNothingHasToBeNamed(t *testing.T) {
	r := newRig(t, "lost", 60)
	r.wipe()
	r.fill("a", 1, 1, 10)
	late, err := r.repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{r.index("*")}})
	if err != nil {
		t.Fatal(err)
	}
	r.wipe()
	for _, command := range [][]string{{"plan"}, {"apply", "-yes", r.cluster}} {
		got := r.run(t.Context(), "", append(command, "-indices", r.index("*"))...)
		if got.code != cli.ExitRefused || !strings.Contains(got.err.Error(), "it holds 1 documents, and "+r.taken.Name) || len(r.indices()) > 0 {
			t.Errorf("%s: code %d, %v, want it refused and the larger one named", command[0], got.code, got.err)
		}
	}
	for name, indices := range map[string]int{r.taken.Name: 2, late.Name: 1} {
		if got := r.run(t.Context(), "", "plan", "-snapshot", name, "-indices", r.index("*"), "-json"); got.code != cli.ExitOK || len(decode[restore.Plan](t, got.stdout).Indices) != indices {
			t.Errorf("%s by its name: code %d, %v\n%s", name, got.code, got.err, got.stdout)
		}
	}
}
