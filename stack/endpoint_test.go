package stack_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

func TestEngineIsFoundAsTheDockerProgramFindsIt(t *testing.T) {
	host, requests := largeEngine(t, 1, 1)
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	sum := sha256.Sum256([]byte("far"))
	write("contexts/meta/"+hex.EncodeToString(sum[:])+"/meta.json", `{"Name":"far","Endpoints":{"docker":{"Host":"`+host+`"}}}`)
	nowhere := "unix://" + dir + "/none.sock"
	for _, c := range []struct {
		name, option, env, context, config string
		found                              bool
	}{
		{"the option comes first", host, nowhere, "none", "", true},
		{"then DOCKER_HOST", "", host, "none", "", true},
		{"then DOCKER_CONTEXT", "", "", "far", `{"currentContext":"none"}`, true},
		{"then the current context", "", "", "", `{"currentContext":"far"}`, true},
		{"an option that leads nowhere is not passed over", nowhere, host, "far", "", false},
		{"DOCKER_HOST that leads nowhere is not passed over", "", nowhere, "far", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("DOCKER_CONFIG", dir)
			t.Setenv("DOCKER_HOST", c.env)
			t.Setenv("DOCKER_CONTEXT", c.context)
			write("config.json", cmp.Or(c.config, "{}"))
			s, err := stack.NewSwarm(&stack.Options{Host: c.option, Retry: nuvlaops.RetryPolicy{MaxAttempts: 1}})
			must(t, err)
			defer s.Close()
			before := requests.Load()
			_, err = s.Look(t.Context(), "big")
			if c.found {
				must(t, err)
			} else {
				mustBe(t, err, nuvlaops.ErrUnavailable, "DOCKER_HOST")
			}
			if asked := requests.Load() > before; asked != c.found {
				t.Errorf("the engine was asked: %v, want %v", asked, c.found)
			}
		})
	}
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("DOCKER_CONTEXT", "none")
	_, err := stack.NewSwarm(nil)
	mustBe(t, err, nuvlaops.ErrNotFound, "docker context ls")
	_, err = stack.NewSwarm(&stack.Options{Host: "ssh://user@manager"})
	mustBe(t, err, nuvlaops.ErrUnsupported, "ssh -nNT -L")
}
