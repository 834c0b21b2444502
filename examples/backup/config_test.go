package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/conf"
	"github.com/nuvla/nuvlaops/snapshot"
)

// file writes a file of the test and returns its name.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// env is an environment of its own.
func env(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestTheFileOfTodayIsReadAsAShellReadsIt(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "nuvla es")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := file(t, "x.conf", `# Nuvla backup
ES_HOST=es.example.com
export  ES_PORT="9201"   # not the default

BACKUP_TIMESTAMP='`+folder+`/timestamp'
BACKUP_KEEP_DAILY=7
BACKUP_INDICES="nuvla-*,other-\"quoted\""
SOMETHING_ELSE=1
`)
	c, err := parse([]string{"-conf", path}, env(nil), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.es, c.timestamp, c.marks, strings.Join(c.create.Indices, "+")}
	want := []string{"es.example.com:9201", folder + "/timestamp", folder + "/nuvla-es-backup-marks.json", `nuvla-*+other-"quoted"`}
	if diff := cmp.Diff(want, got); diff != "" || c.policy.Daily != 7 || !c.retains() {
		t.Errorf("%s, daily %d", diff, c.policy.Daily)
	}
}

func TestFlagsStandAboveTheEnvironmentAndThatAboveTheFile(t *testing.T) {
	path := file(t, "x.conf", "ES_HOST=from-file\nBACKUP_REPOSITORY=from_file\nBACKUP_PREFIX=file.\n")
	vars := map[string]string{"BACKUP_CONF": path, "BACKUP_REPOSITORY": "from_environment", "BACKUP_PREFIX": "environment.", "ES_PORT": "1"}
	c, err := parse([]string{"-prefix", "flag."}, env(vars), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"from-file:1", "from_environment", "flag."}, []string{c.es, c.repository, c.create.Prefix}); diff != "" {
		t.Error(diff)
	}
	vars["ES_URL"] = "https://es.example.com"
	if c, err = parse(nil, env(vars), io.Discard); err != nil || c.es != "https://es.example.com" {
		t.Errorf("%v, %v", c, err)
	}
	if c.retains() {
		t.Error("without a word about retention something would be removed")
	}
}

// A flag, or its key in the file, is what cron jobs are written with.
func TestEachFlagSaysWhatItNames(t *testing.T) {
	dir := t.TempDir()
	repository := file(t, "r.json", `{"type":"fs","settings":{"location":"/x","of_later":"1"}}`)
	values := map[string]string{"es": "http://es:9201", "repository": "r", "repository-file": repository, "allow-unknown-settings": "true", "indices": "a*,b", "prefix": "jobs.",
		"global-state": "true", "partial": "true", "abort": "true", "when-busy": "beside", "busy-timeout": "2m", "timeout": "3h", "timestamp": dir + "/t", "metrics": dir + "/m.prom",
		"marks": dir + "/marks", "manifests": dir, "lock": dir + "/lock", "schedule": "30 * * * *", "jitter": "4s", "listen": ":9115", "log": "json", "progress": "true",
		"keep-last": "1", "keep-hourly": "2", "keep-daily": "3", "keep-weekly": "4", "keep-monthly": "5", "keep-yearly": "6", "keep-within": "7h", "keep-names": "p*,q",
		"keep-min": "8", "max-delete": "9", "prune-others": "true"}
	want := &config{es: "http://es:9201", repository: "r", repositoryFile: repository, allowUnknown: true,
		settings: &snapshot.Settings{FS: &snapshot.FS{Location: "/x"}, Other: map[string]string{"of_later": "1"}, AllowUnknown: true},
		create: snapshot.CreateRequest{Indices: []string{"a*", "b"}, Prefix: "jobs.", GlobalState: true, Partial: true, Abort: true, WhenBusy: snapshot.BusyBeside,
			BusyTimeout: 2 * time.Minute},
		policy: snapshot.Policy{Last: 1, Hourly: 2, Daily: 3, Weekly: 4, Monthly: 5, Yearly: 6, Within: 7 * time.Hour, Pins: []string{"p*", "q"}, MinComplete: 8, MaxDelete: 9,
			Others: true, Prefix: "jobs."}, // other schedules' snapshots are not its to remove
		timestamp: dir + "/t", metrics: dir + "/m.prom", marks: dir + "/marks", manifests: dir, lock: dir + "/lock", jitter: 4 * time.Second, listen: ":9115", timeout: 3 * time.Hour,
		json: true, progress: true, scheduleText: "30 * * * *", whenBusy: "beside", log: "json"}
	var args, lines []string
	for name, value := range values {
		args = append(args, "-"+name+"="+value)
		lines = append(lines, conf.Key(name)+"='"+value+"'")
	}
	ofFile := file(t, "x.conf", strings.Join(lines, "\n"))
	for name, args := range map[string][]string{"flags": args, "keys": {"-conf", ofFile}} {
		got, err := parse(args, env(nil), io.Discard)
		if err != nil || got.schedule == nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{}), cmpopts.IgnoreFields(config{}, "schedule", "file")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	new(config).flags(fs)
	fs.VisitAll(func(f *flag.Flag) {
		if _, tried := values[f.Name]; !tried && f.Name != "conf" {
			t.Errorf("-%s is not tried here", f.Name)
		}
	})
	for word, want := range map[string]snapshot.Busy{"wait": snapshot.BusyWait, "refuse": snapshot.BusyRefuse} {
		if c, err := parse([]string{"-when-busy", word}, env(nil), io.Discard); err != nil || c.create.WhenBusy != want {
			t.Errorf("-when-busy %s: %v, %v", word, c, err)
		}
	}
}

func TestEachWordAboutRetentionAloneLetsItRemove(t *testing.T) {
	for _, rule := range []string{"-keep-last=1", "-keep-hourly=1", "-keep-daily=1", "-keep-weekly=1", "-keep-monthly=1", "-keep-yearly=1", "-keep-within=1h"} {
		if c, err := parse([]string{rule}, env(nil), io.Discard); err != nil || !c.retains() {
			t.Errorf("%s: %v, nothing would be removed", rule, err)
		}
	}
	for _, noRule := range []string{"-keep-min=1", "-max-delete=1", "-prune-others", "-keep-names=a"} { // it would be of no use, or remove nearly all
		if _, err := parse([]string{noRule}, env(nil), io.Discard); cli.ExitCode(err) != cli.ExitUsage {
			t.Errorf("%s: got %v, want a usage error", noRule, err)
		}
	}
}

func TestHostAndPortMakeOneAddress(t *testing.T) {
	for host, want := range map[string]string{"": "localhost:9201", "es": "es:9201", "es:9243": "es:9243", "https://es": "https://es:9201", "https://es:9243": "https://es:9243",
		"[::1]": "[::1]:9201", "[::1]:9243": "[::1]:9243", "http://[::1]": "http://[::1]:9201"} {
		c, err := parse(nil, env(map[string]string{"BACKUP_CONF": file(t, "x.conf", "ES_PORT=9201\n"), "ES_HOST": host}), io.Discard)
		if err != nil || c.es != want {
			t.Errorf("%q: %q, %v, want %q", host, c.es, err, want)
		}
	}
}

func TestCredentialsMayStandInTheFile(t *testing.T) {
	t.Setenv("ES_USERNAME", "")
	t.Setenv("ES_PASSWORD", "")
	path := file(t, "x.conf", "ES_USERNAME=backup\nES_PASSWORD='p$ss'\n")
	if _, err := parse([]string{"-conf", path}, os.LookupEnv, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := os.Getenv("ES_USERNAME") + os.Getenv("ES_PASSWORD"); got != "backupp$ss" {
		t.Errorf("got %q", got)
	}
}

// A key counts more than a user; the one of the file must not outdo the environment so.
func TestAUserOfTheEnvironmentStandsAboveAKeyOfTheFile(t *testing.T) {
	t.Setenv("ES_API_KEY", "")
	t.Setenv("ES_USERNAME", "admin")
	t.Setenv("ES_PASSWORD", "hunter2")
	path := file(t, "x.conf", "ES_API_KEY=of-the-file\n")
	if _, err := parse([]string{"-conf", path}, os.LookupEnv, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := os.Getenv("ES_API_KEY"); got != "" {
		t.Errorf("the key %q would be sent", got)
	}
}

func TestHelpNamesTheCredentialsEachKeyAndTheExitCodes(t *testing.T) {
	var stderr strings.Builder
	if err := run(t.Context(), []string{"-h"}, io.Discard, &stderr); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v, want flag.ErrHelp, which ends the program with 0", err)
	}
	for _, want := range []string{"backup -schedule", "ES_API_KEY", "[BACKUP_KEEP_DAILY]", "5 another backup runs"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("%q is not in the help:\n%s", want, stderr.String())
		}
	}
}

func TestARepositoryThatCannotBeNamesItsFlag(t *testing.T) {
	err := run(t.Context(), []string{"-repository", "a/b"}, io.Discard, io.Discard)
	if cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), "-repository") {
		t.Errorf("got %v", err)
	}
}

func TestBadInputNamesWhatIsWrongAndNeverASecret(t *testing.T) {
	conf := func(line string) []string { return []string{"-conf", file(t, "x.conf", "ES_HOST=es\n"+line+"\n")} }
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"a file that is not there":      {[]string{"-conf", "/no/such/file"}, "/no/such/file"},
		"a file without a name":         {[]string{"-conf", ""}, "-conf is empty"},
		"another one without a name":    {[]string{"--conf="}, "-conf is empty"},
		"a line that is no assignment":  {conf("ES_HOST es"), "line 2: want KEY=value"},
		"a space before the sign":       {conf("ES_HOST =es"), "line 2: want KEY=value"},
		"a substitution":                {conf("ES_PASSWORD=hunter2$(cat /x)"), "substitution"},
		"a variable in quotes":          {conf(`ES_PASSWORD="hunter2$X"`), "substitution"},
		"a quote that stays open":       {conf(`ES_PASSWORD="hunter2`), "not closed"},
		"a line that goes on":           {conf("ES_PASSWORD=hunter2\\\nBACKUP_PREFIX=x."), "line 2: ES_PASSWORD: the line goes on"},
		"two words":                     {conf("ES_PASSWORD=hunter2 x"), "second word"},
		"two commands":                  {conf("ES_PASSWORD=hunter2; x"), "put the value in quotes"},
		"a misspelt key":                {conf("BACKUP_KEEP_DALY=7"), "BACKUP_KEEP_DALY"},
		"a value that is no number":     {conf("BACKUP_KEEP_DAILY=many"), "BACKUP_KEEP_DAILY=many in"},
		"a lock without a time":         {[]string{"-busy-timeout", "0s"}, "-busy-timeout"},
		"a negative limit":              {[]string{"-timeout", "-1s"}, "-timeout"},
		"a choice that is none":         {[]string{"-when-busy", "panic"}, "wait, refuse or beside"},
		"a log of another kind":         {[]string{"-log", "xml"}, "text or json"},
		"metrics that nobody reads":     {[]string{"-metrics", "/tmp/backup.txt"}, ".prom"},
		"a schedule of six fields":      {[]string{"-schedule", "0 30 * * * *"}, "five fields"},
		"a schedule in a zone":          {[]string{"-schedule", "TZ=Europe/Zurich 30 * * * *"}, "time zone"},
		"a schedule that never comes":   {[]string{"-schedule", "0 0 31 4 *"}, "never comes"},
		"an address without a schedule": {[]string{"-listen", ":9115"}, "-schedule"},
		"an address that is none":       {[]string{"-schedule", "0 * * * *", "-listen", "9115"}, "HOST:PORT"},
		"a cap without a rule":          {[]string{"-max-delete", "5"}, "say what to keep"},
		"a rule below zero":             {[]string{"-keep-daily", "-7"}, "-keep-daily -7"},
		"a minimum below zero":          {[]string{"-keep-daily", "7", "-keep-min", "-1"}, "-keep-min -1"},
		"a time below zero":             {[]string{"-keep-within", "-1h"}, "-keep-within -1h"},
		"a cap below zero":              {[]string{"-keep-daily", "7", "-max-delete", "-1"}, "-max-delete -1"},
		"no prefix":                     {[]string{"-prefix", "", "-keep-daily", "7"}, "-prefix"},
		"a prefix in upper case":        {[]string{"-prefix", "Nuvla."}, "-prefix: snapshot name"},
		"a pattern with a space":        {[]string{"-indices", " "}, "empty"},
		"marks in no folder":            {[]string{"-keep-daily", "7", "-marks", "/no/such/marks.json"}, "-marks"},
		"metrics in no folder":          {[]string{"-metrics", "/no/such/x.prom"}, "-metrics"},
		"a timestamp in no folder":      {[]string{"-timestamp", "/no/such/timestamp"}, "-timestamp"},
		"a folder that is not there":    {[]string{"-manifests", "/no/such"}, "-manifests"},
		"no repository file":            {[]string{"-repository-file", "/no/such"}, "-repository-file"},
		"unknown settings of no file":   {[]string{"-allow-unknown-settings"}, "-repository-file"},
		"a repository of nothing":       {[]string{"-repository-file", file(t, "r.json", `{"type":"gcs"}`)}, "use s3 or fs"},
		"a repository to read only":     {[]string{"-repository-file", file(t, "r.json", `{"type":"fs","settings":{"location":"/x","readonly":true}}`)}, "readonly"},
		"keys in a repository":          {[]string{"-repository-file", file(t, "r.json", `{"type":"s3","settings":{"bucket":"bbb","secret_key":"hunter2"}}`)}, "keystore"},
		"an argument":                   {[]string{"now"}, "now"},
	} {
		_, err := parse(tc.args, env(nil), io.Discard)
		if cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want a usage error that says %q", name, err, tc.says)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the secret is in the error: %v", name, err)
		}
	}
}
