package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// endpoint is where an engine is: an address, and the folder of its TLS material ("" for none).
type endpoint struct {
	host, certs string
	env         bool // by DOCKER_HOST and its like, or the default
}

func (e endpoint) clientOptions() []client.Opt {
	opts := []client.Opt{client.WithUserAgent("nuvlaops")} // the API version is negotiated by default
	if e.env {
		return append(opts, client.FromEnv)
	}
	opts = append(opts, client.WithHost(e.host))
	if e.certs != "" {
		opts = append(opts, client.WithTLSClientConfig(filepath.Join(e.certs, "ca.pem"),
			filepath.Join(e.certs, "cert.pem"), filepath.Join(e.certs, "key.pem")))
	}
	return opts
}

// findEndpoint looks where the docker program looks, in its order: the address given, DOCKER_HOST, DOCKER_CONTEXT, the
// current context of its configuration, the local engine.
func findEndpoint(host string, getenv func(string) string) (endpoint, error) {
	env := host == ""
	if env {
		host = getenv(client.EnvOverrideHost)
	}
	switch {
	case strings.HasPrefix(host, "ssh://"):
		return endpoint{}, noSSH(host)
	case host != "" && env:
		return endpoint{env: true}, nil
	case host != "" && strings.HasPrefix(host, "tcp://") && getenv(client.EnvTLSVerify) != "":
		return endpoint{host: host, certs: getenv(client.EnvOverrideCertPath)}, nil
	case host != "":
		return endpoint{host: host}, nil
	}
	dir := getenv("DOCKER_CONFIG")
	if dir == "" {
		dir = filepath.Join(getenv("HOME"), ".docker")
	}
	name := getenv("DOCKER_CONTEXT")
	if name == "" {
		var config struct{ CurrentContext string }
		if err := readJSON(filepath.Join(dir, "config.json"), &config); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return endpoint{}, fmt.Errorf("read the docker program's configuration: %w", err)
		}
		name = config.CurrentContext
	}
	if name == "" || name == "default" {
		return endpoint{env: true}, nil
	}
	return contextEndpoint(dir, name)
}

// contextEndpoint reads a context from the docker program's store, whose folders are named by the digest of its name.
func contextEndpoint(dir, name string) (endpoint, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	if err := readJSON(filepath.Join(dir, "contexts", "meta", id, "meta.json"), &meta); err != nil {
		return endpoint{}, &nuvlaops.Error{Reason: fmt.Sprintf("docker context %q cannot be read: %v", name, err),
			Err: nuvlaops.ErrNotFound, Hint: "list contexts with: docker context ls"}
	}
	e := endpoint{host: meta.Endpoints["docker"].Host}
	switch {
	case e.host == "":
		return endpoint{env: true}, nil
	case strings.HasPrefix(e.host, "ssh://"):
		return endpoint{}, noSSH(e.host)
	}
	certs := filepath.Join(dir, "contexts", "tls", id, "docker")
	if _, err := os.Stat(filepath.Join(certs, "cert.pem")); err == nil {
		e.certs = certs
	}
	return e, nil
}

// noSSH: the engine's client library has no transport over ssh.
func noSSH(host string) error {
	return &nuvlaops.Error{Resource: host, Reason: "an engine cannot be reached over ssh", Err: nuvlaops.ErrUnsupported,
		Hint: "forward its socket, and point DOCKER_HOST at that: ssh -nNT -L /tmp/engine.sock:/var/run/docker.sock " + strings.TrimPrefix(host, "ssh://")}
}

func readJSON(path string, out any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}
