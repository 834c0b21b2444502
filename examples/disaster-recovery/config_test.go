package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
)

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "repo.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const goodRepository = `{"type":"s3","settings":{"bucket":"nuvla-es-backup","endpoint":"https://sos-ch-dk-2.exo.io"}}`

func TestBadInputNamesTheFlagAndTouchesNothing(t *testing.T) {
	good := []string{"-repository-file", file(t, goodRepository)}
	tests := []struct {
		name string
		args []string
		want string // in the error
	}{
		{"no repository", nil, "-repository-file"},
		{"a file that is not there", []string{"-repository-file", "/nowhere"}, "-repository-file"},
		{"not JSON", []string{"-repository-file", file(t, "bucket: b")}, "-repository-file"},
		{"no bucket", []string{"-repository-file", file(t, `{"type":"s3","settings":{}}`)}, "ucket"},
		{"keys among the settings", []string{"-repository-file", file(t, `{"type":"s3","settings":{"bucket":"backup","access_key":"hunter2"}}`)}, "access_key"},
		{"a time that is none", append(good, "-before", "yesterday"), "-before"},
		{"a time with a name", append(good, "-before", "2026-01-02T15:04:05Z", "-snapshot", "s"), "-before"},
		{"replicas", append(good, "-replicas", "-2"), "-replicas"},
		{"no indices", append(good, "-indices", " ,"), "-indices"},
		{"one stack for both", append(good, "-core", "db"), "-core"},
		{"an api that is no URL", append(good, "-api", "es:9200"), "-api"},
		{"a compose file that is not there", append(good, "-db-compose", "/nowhere"), "-db-compose"},
		{"no time at all", append(good, "-timeout", "0s"), "-timeout"},
		{"an address of Elasticsearch that is none", append(good, "-es", "http://"), "Elasticsearch"},
		{"an unknown flag", append(good, "-force"), "-force"},
		{"an argument", append(good, "now"), "now"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock") // whoever comes that far fails otherwise
			err := run(t.Context(), tt.args, io.Discard, io.Discard)
			if code := cli.ExitCode(err); code != cli.ExitUsage {
				t.Errorf("exit code %d (%v), want %d", code, err, cli.ExitUsage)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v, want it to name %q and no secret", err, tt.want)
			}
		})
	}
}

func TestAnotherRecoveryIsRefusedAndNamed(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	journal := filepath.Join(t.TempDir(), "journal")
	cfg, err := parse([]string{"-repository-file", file(t, goodRepository), "-journal", journal}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	first, err := newRecovery(cfg, cli.NewScreen(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	if err := first.takeUp(); err != nil {
		t.Fatal(err)
	}
	err = run(t.Context(), []string{"-repository-file", cfg.repositoryFile, "-journal", journal}, io.Discard, io.Discard)
	if code := cli.ExitCode(err); code != cli.ExitBusy {
		t.Errorf("exit code %d (%v), want %d", code, err, cli.ExitBusy)
	}
}

func TestTheNameIsAskedFor(t *testing.T) {
	cfg := &config{db: "db"}
	screen := cli.NewScreen(io.Discard)
	if err := confirm(t.Context(), cfg, strings.NewReader("db\n"), screen); err != nil {
		t.Errorf("the right name: %v", err)
	}
	for _, typed := range []string{"", "\n", "yes\n", "DB\n", "db2\n"} {
		if err := confirm(t.Context(), cfg, strings.NewReader(typed), screen); cli.ExitCode(err) != cli.ExitRefused {
			t.Errorf("%q: got %v, want refused", typed, err)
		}
	}
	silent, end := io.Pipe()
	defer end.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := confirm(ctx, cfg, silent, screen); cli.ExitCode(err) != cli.ExitTimeout {
		t.Errorf("no answer: got %v, want the context's end", err)
	}
}
