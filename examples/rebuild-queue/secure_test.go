package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/testenv"
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheProgramConnectsByTLSWithItsCertificate(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	r := newRig(t, "tls")
	r.addr = testenv.UseSecureZooKeeper(t, a)
	ca := write(t, "ca.pem", a.PEM)
	cert, key := a.Issue("nuvlaops")
	certFile, keyFile := write(t, "cert.pem", cert), write(t, "key.pem", key)
	if out, code := r.result("--zk-ca", ca, "--zk-cert", certFile, "--zk-key", keyFile); code != cli.ExitOK || out.Result.Written != 300 {
		t.Errorf("with our certificate: code %d, %+v %s", code, out.Result, out.Error)
	}
	for name, tc := range map[string]struct {
		want string
		args []string
	}{
		// In TLS 1.3 the server says no after the handshake, and go-zookeeper does not hand on why.
		"without a certificate of ours":           {"gives no session", []string{"--zk-ca", ca}},
		"with an authority that did not sign its": {"certificate", []string{"--zk-ca", write(t, "other.pem", testenv.NewAuthority(t).PEM), "--zk-cert", certFile, "--zk-key", keyFile}},
		"with the authorities of the system":      {"certificate", []string{"--zk-tls", "--zk-cert", certFile, "--zk-key", keyFile}},
	} {
		if out, code := r.result(append(tc.args, "--timeout", "3s")...); code != cli.ExitTimeout || !strings.Contains(out.Error, tc.want) {
			t.Errorf("%s: code %d, %s", name, code, out.Error)
		}
	}
}

func TestTheUserOfZooKeeperComesFromAFile(t *testing.T) {
	r := newRig(t, "auth")
	if out, code := r.result("--zk-auth", write(t, "auth", "nuvla:secret:word\n")); code != cli.ExitOK || out.Result.Written != 300 {
		t.Errorf("code %d, %+v %s", code, out.Result, out.Error)
	}
	c, err := parse([]string{"--zk-auth", write(t, "auth", "nuvla:secret:word\r\n")}, io.Discard)
	if err != nil || c.zk.User != "nuvla" || c.zk.Password != "secret:word" || c.zk.TLS != nil {
		t.Errorf("got %+v, %v", c.zk, err)
	}
}

func TestABadFileForZooKeeperIsAUsageErrorThatNamesItsFlag(t *testing.T) {
	a := testenv.NewAuthority(t)
	cert, key := a.Issue("x")
	_, otherKey := a.Issue("y")
	certFile, none := write(t, "cert.pem", cert), filepath.Join(t.TempDir(), "none")
	for name, tc := range map[string]struct {
		want string
		args []string
	}{
		"no such authority":    {"-zk-ca", []string{"--zk-ca", none}},
		"no PEM":               {"-zk-ca", []string{"--zk-ca", write(t, "x", "secret-word")}},
		"a certificate alone":  {"-zk-cert without", []string{"--zk-cert", certFile}},
		"a key alone":          {"-zk-key without", []string{"--zk-key", write(t, "key.pem", key)}},
		"another's key":        {"-zk-key", []string{"--zk-cert", certFile, "--zk-key", write(t, "key.pem", otherKey)}},
		"no such certificate":  {"-zk-cert", []string{"--zk-cert", none, "--zk-key", none}},
		"no such user":         {"-zk-auth", []string{"--zk-auth", none}},
		"a user alone":         {"-zk-auth", []string{"--zk-auth", write(t, "auth", "secret-word\n")}},
		"an empty password":    {"-zk-auth", []string{"--zk-auth", write(t, "auth", "secret-word:\n")}},
		"two users":            {"-zk-auth", []string{"--zk-auth", write(t, "auth", "secret-word:x\nsecret-word:y\n")}},
		"no value for a flag":  {"-zk-ca", []string{"--zk-ca"}},
		"not a truth for a -t": {"-zk-tls", []string{"--zk-tls=perhaps"}},
	} {
		err := run(t.Context(), tc.args, io.Discard, io.Discard)
		if cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: got %v, want a usage error that names %s", name, err, tc.want)
		}
	}
	t.Setenv("ZK_USERNAME", "nuvla")
	for want, args := range map[string][]string{"ZK_PASSWORD": nil, "-zk-auth": {"--zk-auth", write(t, "auth", "a:b")}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("half a user in the environment: got %v, want a usage error that names %s", err, want)
		}
	}
}
