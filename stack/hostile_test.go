package stack

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// FuzzCompose: whatever a compose file is, or the docker program makes of it, is looked through to its end.
func FuzzCompose(f *testing.F) {
	for _, seed := range []string{"", "services:\n", "services: {a: }\n", "services: {a: {image: $X, ulimits: {n: {hard: 1}, m: 7}, volumes: [{type: volume, source: v}], networks: {n: }, secrets: [{source: s}], deploy: {mode: global, labels: [a], placement: 7}}}\nvolumes: {v: {name: ${Y:?z}}}\nnetworks: {n: {external: true}}\nsecrets: {s: }\n",
		"services: &a\n  b: *a\n", "services: {a: &a [*a]}", "a: &a {<<: *a}\nservices: *a", "services:\n  1: {2: 3}\n  [x]: y\n", "version: 3.1\nservices: {a: {deploy: {replicas: x}}}", "services: [a]", "\x00", "services: {a: {image: \"\x1b\"}}"} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "compose.yml")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		DeployOptions{Files: []string{path}}.blank([]string{"a", "b"})
		c, err := readCompose(raw)
		if err != nil {
			return
		}
		services := slices.Sorted(maps.Keys(c.Services))
		c.needs(services)
		_ = c.refuseJobs(services)
		for _, name := range services {
			c.service("s", name)
			if _, err := c.alone(name, []string{"n"}); err != nil {
				t.Errorf("alone: %v", err)
			}
		}
		for _, one := range []*compose{c, c.stopped()} {
			text, err := one.only(services)
			var again compose
			if err != nil || yaml.Unmarshal(text, &again) != nil && !strings.Contains(string(text), "\\x") {
				t.Errorf("only: %v\n%s", err, text)
			}
		}
	})
}

// FuzzLog: whatever the engine says that a job wrote is an answer, or none.
func FuzzLog(f *testing.F) {
	for _, seed := range []string{"", "1/1 e30=\n", "\x01\x00\x00\x00\xff\xff\xff\xffx", "\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09", "2/1 x\n1/65536 x\n", "1/99999999999999999999 x\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		if lines := readLog(strings.NewReader(stream)); len(lines) > logLines {
			t.Errorf("%d lines", len(lines))
		}
		if text, whole := joinLines(demux(strings.NewReader(stream))); whole {
			_ = json.Unmarshal(text, new(jobAnswer))
		}
	})
}
