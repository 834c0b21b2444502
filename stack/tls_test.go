package stack_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/stack"
)

// secureEngine wants a certificate of its clients. It writes ca.pem, cert.pem and key.pem for them.
func secureEngine(t *testing.T, dir string) (host string) {
	t.Helper()
	authority := testenv.NewAuthority(t)
	cert, key := authority.Issue("client")
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM([]byte(authority.PEM))

	server := httptest.NewUnstartedServer(fakeEngine(t, 1, 1, new(atomic.Int64)))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are what is tested
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	must(t, os.MkdirAll(dir, 0o700))
	for name, content := range map[string]string{"ca.pem": ca, "cert.pem": cert, "key.pem": key} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return "tcp://" + server.Listener.Addr().String()
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestEngineIsReachedOverTLSAsTheDockerProgramDoes(t *testing.T) {
	dir := t.TempDir()
	host := secureEngine(t, dir)
	folder := func(name string, files ...string) string {
		for _, f := range files {
			must(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
			must(t, os.WriteFile(filepath.Join(dir, name, f), must1(os.ReadFile(filepath.Join(dir, f))), 0o600))
		}
		return filepath.Join(dir, name)
	}
	context := func(name, more string, files ...string) {
		sum := sha256.Sum256([]byte(name))
		id := hex.EncodeToString(sum[:])
		meta := filepath.Join(dir, "contexts/meta", id)
		must(t, os.MkdirAll(meta, 0o700))
		must(t, os.WriteFile(filepath.Join(meta, "meta.json"), fmt.Appendf(nil, `{"Endpoints":{"docker":{"Host":%q%s}}}`, host, more), 0o600))
		folder("contexts/tls/"+id+"/docker", files...)
	}
	context("whole", "", "ca.pem", "cert.pem", "key.pem")
	context("careless", `,"SkipTLSVerify":true`, "cert.pem", "key.pem")
	context("without-ca", "", "cert.pem", "key.pem")
	other := filepath.Join(dir, "other")
	secureEngine(t, other)
	for _, c := range []struct {
		name   string
		option string
		env    map[string]string
		want   error
	}{
		{"DOCKER_CERT_PATH", "", map[string]string{"DOCKER_HOST": host, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": dir}, nil},
		{"the folder of the configuration", "", map[string]string{"DOCKER_HOST": host, "DOCKER_TLS_VERIFY": "1", "DOCKER_CONFIG": dir}, nil},
		{"an address given", host, map[string]string{"DOCKER_TLS_VERIFY": "1", "DOCKER_CONFIG": dir}, nil},
		{"not verified", "", map[string]string{"DOCKER_HOST": host, "DOCKER_TLS": "1", "DOCKER_CERT_PATH": folder("own", "cert.pem", "key.pem")}, nil},
		{"a context", "", map[string]string{"DOCKER_CONTEXT": "whole", "DOCKER_CONFIG": dir}, nil},
		{"a context that verifies nothing", "", map[string]string{"DOCKER_CONTEXT": "careless", "DOCKER_CONFIG": dir}, nil},
		{"an engine that is another", "", map[string]string{"DOCKER_CONTEXT": "without-ca", "DOCKER_CONFIG": dir}, nuvlaops.ErrDenied},
		{"a certificate of another", "", map[string]string{"DOCKER_HOST": host, "DOCKER_TLS": "1", "DOCKER_CERT_PATH": other}, nuvlaops.ErrDenied},
		{"no certificate", "", map[string]string{"DOCKER_HOST": host, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": folder("no", "ca.pem")}, nuvlaops.ErrDenied},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH"} {
				t.Setenv(name, c.env[name])
			}
			s, err := stack.NewSwarm(&stack.Options{Host: c.option})
			must(t, err)
			defer s.Close()
			_, err = s.Look(t.Context(), "big")
			if c.want == nil {
				must(t, err)
			} else {
				mustBe(t, err, c.want, "check the certificates")
			}
		})
	}
	t.Setenv("DOCKER_TLS_VERIFY", "1")
	t.Setenv("DOCKER_CERT_PATH", folder("half", "cert.pem"))
	must(t, os.WriteFile(filepath.Join(dir, "half", "ca.pem"), []byte("nothing"), 0o600))
	_, err := stack.NewSwarm(&stack.Options{Host: host})
	mustBe(t, err, nuvlaops.ErrInvalid, "no certificate in", "DOCKER_CERT_PATH")
}

// versionTooOld is what Docker 29.0 says to a client of before Docker 25.
const versionTooOld = "client version 1.42 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version"

func TestEngineThatIsTooOldOrNoManagerSaysSo(t *testing.T) {
	for api, want := range map[string]string{"1.24": "1.24", "1.40": "1.40"} {
		t.Run("API "+api, func(t *testing.T) {
			engine := fakeEngine(t, 1, 1, new(atomic.Int64))
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/_ping" {
					w.Header().Set("Api-Version", api)
					return
				}
				if !strings.HasPrefix(r.URL.Path, "/v"+api) { // what engines say to a client that cannot go down so far
					http.Error(w, `{"message":"client version 1.99 is too new. Maximum supported API version is `+api+`"}`, http.StatusBadRequest)
					return
				}
				r.URL.Path = "/v1.41" + r.URL.Path[len("/v"+api):]
				engine.ServeHTTP(w, r)
			}))
			defer server.Close()
			s := must1(stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String()}))
			defer s.Close()
			_, err := s.Look(t.Context(), "big")
			mustBe(t, err, nuvlaops.ErrUnsupported, want, "1.41 or later")
		})
	}
	t.Run("an engine that serves the version of DOCKER_API_VERSION no more", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"message":"`+versionTooOld+`"}`, http.StatusBadRequest)
		}))
		defer server.Close()
		t.Setenv("DOCKER_API_VERSION", "1.42")
		s := must1(stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String()}))
		defer s.Close()
		_, err := s.Look(t.Context(), "big")
		mustBe(t, err, nuvlaops.ErrUnsupported, "1.42 is too old", "unset DOCKER_API_VERSION")
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		_, _ = io.WriteString(w, `{"Name":"one","Swarm":{"LocalNodeState":"inactive"}}`)
	}))
	defer server.Close()
	s := must1(stack.NewSwarm(&stack.Options{Host: "tcp://" + server.Listener.Addr().String()}))
	defer s.Close()
	_, err := s.Look(t.Context(), "big")
	mustBe(t, err, nuvlaops.ErrUnsupported, "not a manager", "inactive", "DOCKER_HOST")
}
