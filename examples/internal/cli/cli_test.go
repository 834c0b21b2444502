package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
)

func TestEachKindOfFailureHasItsExitCode(t *testing.T) {
	wrapped := func(kind error) error {
		return fmt.Errorf("step restore: %w", nuvlaops.Wrap("restore.Apply", "r", kind))
	}
	tests := map[string]struct {
		err  error
		want int
	}{
		"nothing":                     {nil, 0},
		"anything":                    {errors.New("x"), 1},
		"a server's 400":              {&nuvlaops.Error{Status: 400, Err: nuvlaops.ErrInvalid}, 1},
		"a flag":                      {cli.Usagef("-es is wrong"), 2},
		"an argument":                 {wrapped(nuvlaops.ErrInvalid), 2},
		"an argument, found too late": {cli.Begun(wrapped(nuvlaops.ErrInvalid)), 1},
		"partial":                     {wrapped(nuvlaops.ErrPartial), 3},
		"time-out":                    {wrapped(context.DeadlineExceeded), 4},
		"busy":                        {wrapped(nuvlaops.ErrBusy), 5},
		"shown already":               {cli.Shown(wrapped(nuvlaops.ErrBusy)), 5},
		"repository":                  {wrapped(nuvlaops.ErrRepository), 10},
		"refused":                     {wrapped(nuvlaops.ErrRefused), 11},
		"verification":                {wrapped(nuvlaops.ErrVerification), 12},
		"interrupted":                 {wrapped(cli.ErrInterrupted), 130},
		"interrupted while verifying": {fmt.Errorf("%w: %w", nuvlaops.ErrVerification, cli.ErrInterrupted), 130},
	}
	for name, tt := range tests {
		if got := cli.ExitCode(tt.err); got != tt.want {
			t.Errorf("%s: exit code %d, want %d", name, got, tt.want)
		}
	}
}

func TestASignalEndsTheContextAndSaysSo(t *testing.T) {
	ctx, stop := cli.Signals(t.Context())
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the context goes on")
	}
	if got := context.Cause(ctx); !errors.Is(got, cli.ErrInterrupted) {
		t.Errorf("cause %v, want ErrInterrupted", got)
	}
}

func TestParseTurnsMistakesIntoUsageErrors(t *testing.T) {
	for _, args := range [][]string{{"-nope"}, {"-n", "x"}, {"-n", "1", "more"}} {
		fs := flag.NewFlagSet("x", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		fs.Int("n", 0, "")
		if err := cli.Parse(fs, args); cli.ExitCode(err) != cli.ExitUsage {
			t.Errorf("%v: got %v, want a usage error", args, err)
		}
	}
}

// The comment is what "go doc" shows too.
const source = `// Command tool does this:
//
//	tool list   [-json]
//	tool delete NAME
//
// delete cannot be undone.
//
// Credentials come from the environment.
//
// Exit codes: 0 done.
package main

// more
`

func TestHelpIsTheProgramsCommentWithTheFlagsInIt(t *testing.T) {
	tool := func(args ...string) (string, error) {
		var stderr bytes.Buffer
		fs, command, rest := cli.Command("tool", source, args, &stderr)
		fs.Bool("json", false, "print JSON")
		var err error
		if command == "" {
			err = cli.NoCommand(fs, rest, "list or delete")
		} else {
			err = cli.Parse(fs, rest)
		}
		return stderr.String(), err
	}
	const help = `Command tool does this:

  tool list   [-json]
  tool delete NAME

delete cannot be undone.

Flags of tool %s:
  -json
    	print JSON

Credentials come from the environment.

Exit codes: 0 done.
`
	for args, name := range map[string]string{"list -json --help": "list", "-h": "COMMAND, each of which shows its own with -h"} {
		got, err := tool(strings.Fields(args)...)
		if diff := cmp.Diff(fmt.Sprintf(help, name), got); diff != "" || !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v (-want +got):\n%s", args, err, diff)
		}
	}
	for args, want := range map[string]string{
		"":           "no command: want list or delete",
		"-json list": "the command comes first, before -json: want list or delete",
		"list -nope": "flag provided but not defined: -nope; see -h",
	} {
		if got, err := tool(strings.Fields(args)...); cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), want) || got != "" {
			t.Errorf("%q: %v, want a usage error with %q and nothing more\n%s", args, err, want, got)
		}
	}
}

func TestElasticsearchRefusesAddressesThatCannotBe(t *testing.T) {
	for _, bad := range []string{"", "http://", "ftp://es:9200", "http://elastic:hunter2@es:9200", "ht tp://elastic:hunter2@es"} {
		_, err := cli.Elasticsearch(bad)
		if cli.ExitCode(err) != cli.ExitUsage {
			t.Errorf("%q: got %v, want a usage error", bad, err)
		}
		if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
	for _, good := range []string{"es:9200", "http://localhost:9200", "https://es.example.com"} {
		if _, err := cli.Elasticsearch(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestAUserOfElasticsearchWantsAPassword(t *testing.T) {
	for _, tt := range []struct {
		key, user, password string
		code                int
	}{{"", "elastic", "", cli.ExitUsage}, {"", "", "hunter2", cli.ExitUsage}, {"", "elastic", "hunter2", cli.ExitOK}, {"key", "elastic", "", cli.ExitOK}, {"", "", "", cli.ExitOK}} {
		t.Setenv("ES_API_KEY", tt.key)
		t.Setenv("ES_USERNAME", tt.user)
		t.Setenv("ES_PASSWORD", tt.password)
		if _, err := cli.Elasticsearch("es"); cli.ExitCode(err) != tt.code || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%+v: %v, want exit code %d", tt, err, tt.code)
		}
	}
}

func TestAProgressLineSaysWhatIsKnown(t *testing.T) {
	tests := []struct {
		p    nuvlaops.Progress
		want string
	}{
		{nuvlaops.Progress{Phase: "waiting"}, "waiting"},
		{nuvlaops.Progress{Phase: "reading", Done: 7, Unit: "jobs"}, "reading, 7 jobs"},
		{nuvlaops.Progress{Phase: "restoring", Done: -1, Total: 2, Unit: "shards"}, "[....................]   0% restoring, -1 of 2 shards"},
		{nuvlaops.Progress{Phase: "restoring", Bytes: -1 << 60, TotalBytes: 1}, "[....................]   0% restoring, -1152921504606846976 B of 1 B"},
		{nuvlaops.Progress{Phase: "restoring", Done: 3, Total: 2, Unit: "shards"}, "[####################] 100% restoring, 3 of 2 shards"},
		{nuvlaops.Progress{Phase: "restoring", Resource: "s3_backup/one", Done: 9, Total: 18, Unit: "shards", Bytes: 1 << 20, TotalBytes: 4 << 20, Remaining: 3 * time.Second, Message: "x"},
			"[#####...............]  25% restoring s3_backup/one, 9 of 18 shards, 1.0 MiB of 4.0 MiB, 3s left: x"},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, cli.Line(tt.p)); diff != "" {
			t.Errorf("line (-want +got):\n%s", diff)
		}
	}
}

func TestALineThatIsRewrittenFitsTheTerminal(t *testing.T) {
	for _, tt := range []struct {
		line    string
		columns int
		want    string
	}{
		{"waiting", 80, "waiting"}, {"waiting", 8, "waiting"}, {"waiting for es", 10, "waitin..."}, {"Zürich, Genève", 10, "Zürich..."}, {"waiting", 2, "waiting"},
	} {
		if got := cli.Cut(tt.line, tt.columns); got != tt.want {
			t.Errorf("%q in %d columns: %q, want %q", tt.line, tt.columns, got, tt.want)
		}
	}
}

func TestProgressInALogIsNotAFlood(t *testing.T) {
	var out bytes.Buffer
	screen := cli.NewScreen(&out)
	for i := range 1000 {
		screen.Progress(nuvlaops.Progress{Phase: "restoring", Done: int64(i), Total: 1000, Unit: "shards"})
	}
	if lines := strings.Count(out.String(), "\n"); lines != 1 {
		t.Errorf("%d lines for 1000 reports at once, want 1", lines)
	}
}
