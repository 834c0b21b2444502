package testenv

import (
	"errors"
	"net"
	"strings"
	"testing"
)

// UseSecureZooKeeper starts a server for one test whose secure client port takes whoever has a certificate of the authority.
// That port is not published: it is reached at the container's own address, for which the server's certificate is made.
func UseSecureZooKeeper(t testing.TB, a *Authority) (address string) {
	t.Helper()
	server := UseZooKeeper(t, ZooKeeperOptions{Version: ZooKeeper39, Env: map[string]string{
		"ZOO_CFG_EXTRA": "secureClientPort=2281",
		"JVMFLAGS": strings.Join([]string{"-Dzookeeper.serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
			"-Dzookeeper.ssl.keyStore.location=/data/server.pem", "-Dzookeeper.ssl.trustStore.location=/data/ca.pem",
			"-Dzookeeper.ssl.clientAuth=need", "-Dzookeeper.ssl.hostnameVerification=false"}, " ")}})
	put := func(path, content string) {
		if _, err := server.Exec(t.Context(), "sh", "-c", "printf %s \"$1\" >"+path, "sh", content); err != nil {
			t.Fatal(err)
		}
	}
	put("/data/ca.pem", a.PEM) // read when the server starts; its own certificate at each connection
	if err := errors.Join(server.Kill(t.Context()), server.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	hostname, err := server.Exec(t.Context(), "hostname", "-i")
	ip := net.ParseIP(strings.TrimSpace(hostname))
	if err != nil || ip == nil {
		t.Fatalf("address of the container: %q, %v", hostname, err)
	}
	cert, key := a.Issue("zk", ip)
	put("/data/server.pem", key+cert)
	return net.JoinHostPort(ip.String(), "2281")
}
