package stack

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// endpoint is where an engine is.
type endpoint struct {
	host     string // its address; "" is the local engine
	certs    string // the folder of its TLS material: ca.pem, cert.pem, key.pem; "" is no TLS
	insecure bool   // its certificate is not verified
}

func (e endpoint) clientOptions() ([]client.Opt, error) {
	opts := []client.Opt{client.WithUserAgent("nuvlaops"), client.WithAPIVersionFromEnv()} // else it is negotiated
	if e.certs != "" && strings.HasPrefix(e.host, "tcp://") {
		config, err := tlsConfig(e.certs, e.insecure)
		if err != nil {
			return nil, err
		}
		opts = append(opts, client.WithHTTPClient(&http.Client{CheckRedirect: client.CheckRedirect,
			Transport: &http.Transport{TLSClientConfig: config, MaxIdleConns: 6, IdleConnTimeout: 30 * time.Second}}))
	}
	return append(opts, client.WithHost(cmp.Or(e.host, client.DefaultDockerHost))), nil
}

// findEndpoint looks where the docker program looks, in its order: the address given, DOCKER_HOST, DOCKER_CONTEXT, the
// current context of its configuration, the local engine. Addresses that are not of a context have the TLS of
// DOCKER_TLS_VERIFY, DOCKER_TLS and DOCKER_CERT_PATH.
func findEndpoint(host string, getenv func(string) string) (endpoint, error) {
	dir := cmp.Or(getenv("DOCKER_CONFIG"), filepath.Join(getenv("HOME"), ".docker"))
	e := endpoint{host: cmp.Or(host, getenv(client.EnvOverrideHost))}
	if getenv(client.EnvTLSVerify) != "" || getenv("DOCKER_TLS") != "" {
		e.certs, e.insecure = cmp.Or(getenv(client.EnvOverrideCertPath), dir), getenv(client.EnvTLSVerify) == ""
	}
	if e.host != "" {
		return e, noSSH(e.host)
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
		return e, nil
	}
	return contextEndpoint(dir, name)
}

// contextEndpoint reads a context from the docker program's store, whose folders are named by the digest of its name.
func contextEndpoint(dir, name string) (endpoint, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	var meta struct {
		Endpoints map[string]struct {
			Host          string
			SkipTLSVerify bool
		}
	}
	if err := readJSON(filepath.Join(dir, "contexts", "meta", id, "meta.json"), &meta); err != nil {
		return endpoint{}, &nuvlaops.Error{Reason: fmt.Sprintf("docker context %q cannot be read: %v", name, err),
			Err: nuvlaops.ErrNotFound, Hint: "list contexts with: docker context ls"}
	}
	docker := meta.Endpoints["docker"]
	e := endpoint{host: docker.Host, insecure: docker.SkipTLSVerify}
	certs := filepath.Join(dir, "contexts", "tls", id, "docker")
	if _, err := os.Stat(certs); err == nil || e.insecure {
		e.certs = certs
	}
	return e, noSSH(e.host)
}

// tlsConfig reads what a folder has of ca.pem, and of cert.pem with key.pem.
func tlsConfig(dir string, insecure bool) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure}
	switch ca, err := os.ReadFile(filepath.Join(dir, "ca.pem")); {
	case err == nil:
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("no certificate in %s", filepath.Join(dir, "ca.pem"))
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	switch pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")); {
	case err == nil:
		config.Certificates = []tls.Certificate{pair}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return config, nil
}

// noSSH: the engine's client library has no transport over ssh.
func noSSH(host string) error {
	if !strings.HasPrefix(host, "ssh://") {
		return nil
	}
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
