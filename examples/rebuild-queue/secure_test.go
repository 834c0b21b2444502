package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/testenv"
)

// authority signs the certificates of one test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.key = a.newKey()
	a.cert = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.pem = a.sign(a.cert, a.key)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) sign(cert *x509.Certificate, key *ecdsa.PrivateKey) string {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// issue makes a certificate and its key.
func (a *authority) issue(name string, addresses ...net.IP) (cert, key string) {
	a.t.Helper()
	k := a.newKey()
	cert = a.sign(&x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: addresses,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, k)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// newSecureZooKeeper starts a server whose secure client port takes whoever has a certificate of the authority. That port is
// not published: it is reached at the container's own address, for which the server's certificate is made.
func newSecureZooKeeper(t *testing.T, a *authority) string {
	t.Helper()
	server := testenv.UseZooKeeper(t, testenv.ZooKeeperOptions{Version: testenv.ZooKeeper39, Env: map[string]string{
		"ZOO_CFG_EXTRA": "secureClientPort=2281",
		"JVMFLAGS": strings.Join([]string{"-Dzookeeper.serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
			"-Dzookeeper.ssl.keyStore.location=/data/server.pem", "-Dzookeeper.ssl.trustStore.location=/data/ca.pem",
			"-Dzookeeper.ssl.clientAuth=need", "-Dzookeeper.ssl.hostnameVerification=false"}, " ")}})
	put := func(path, content string) {
		if _, err := server.Exec(t.Context(), "sh", "-c", "printf %s \"$1\" >"+path, "sh", content); err != nil {
			t.Fatal(err)
		}
	}
	put("/data/ca.pem", a.pem) // read when the server starts; its own certificate at each connection
	if err := errors.Join(server.Kill(t.Context()), server.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	address, err := server.Exec(t.Context(), "hostname", "-i")
	ip := net.ParseIP(strings.TrimSpace(address))
	if err != nil || ip == nil {
		t.Fatalf("address of the container: %q, %v", address, err)
	}
	cert, key := a.issue("zk", ip)
	put("/data/server.pem", key+cert)
	return net.JoinHostPort(ip.String(), "2281")
}

func TestTheProgramConnectsByTLSWithItsCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	r := newRig(t, "tls")
	r.addr = newSecureZooKeeper(t, a)
	ca := write(t, "ca.pem", a.pem)
	cert, key := a.issue("nuvlaops")
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
		"with an authority that did not sign its": {"certificate", []string{"--zk-ca", write(t, "other.pem", newAuthority(t).pem), "--zk-cert", certFile, "--zk-key", keyFile}},
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
	a := newAuthority(t)
	cert, key := a.issue("x")
	_, otherKey := a.issue("y")
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
