package zkjobs_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

func TestAProtectedQueueWantsItsUser(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		jobs, want := manyJobs(30)
		acl := zk.DigestACL(zk.PermAll, "nuvla", "secret-word")
		open := func(user, password string) (*zkjobs.Rebuilder, error) {
			conn, err := zkjobs.Connect(t.Context(), []string{q.addr}, &zkjobs.ConnectOptions{User: user, Password: password})
			if err != nil {
				return nil, err
			}
			t.Cleanup(conn.Close)
			return zkjobs.New(zkjobstest.Jobs(jobs), conn, &zkjobs.Options{Path: q.path,
				ACL: []zkjobs.ACL{{Permissions: acl[0].Perms, Scheme: acl[0].Scheme, ID: acl[0].ID}}})
		}
		apply(t, must[*zkjobs.Rebuilder](t)(open("nuvla", "secret-word")), zkjobs.ApplyOptions{})
		if _, _, err := q.raw.Children(q.path + "/entries"); err != zk.ErrNoAuth {
			t.Errorf("everybody may read: %v", err)
		}
		for _, user := range [][2]string{{"", ""}, {"nuvla", "wrong-word"}} {
			_, err := must[*zkjobs.Rebuilder](t)(open(user[0], user[1])).Plan(t.Context(), zkjobs.PlanOptions{})
			if !errors.Is(err, nuvlaops.ErrDenied) || strings.Contains(err.Error(), "word") {
				t.Errorf("user %q: got %v", user[0], err)
			}
		}
		if err := q.raw.AddAuth("digest", []byte("nuvla:secret-word")); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, q.ids()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

// TestAConnectionOverTLS goes through a proxy that ends TLS, as a secure client port does.
func TestAConnectionOverTLS(t *testing.T) {
	q := newQueueOf(t, versions()[1])
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	l := must[net.Listener](t)(tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates}))
	defer func() { _ = l.Close() }()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", q.addr)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
			go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
		}
	}()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	conn := must[*zkjobs.Conn](t)(zkjobs.Connect(t.Context(), []string{l.Addr().String()}, &zkjobs.ConnectOptions{TLS: &tls.Config{RootCAs: roots}}))
	defer conn.Close()
	jobs, want := manyJobs(30)
	apply(t, must[*zkjobs.Rebuilder](t)(zkjobs.New(zkjobstest.Jobs(jobs), conn, &zkjobs.Options{Path: q.path})), zkjobs.ApplyOptions{})
	if diff := cmp.Diff(want, q.ids()); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
	_, err := zkjobs.Connect(t.Context(), []string{l.Addr().String()}, &zkjobs.ConnectOptions{TLS: &tls.Config{}, ConnectTimeout: time.Second})
	if !errors.Is(err, nuvlaops.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown certificate: got %v", err)
	}
}
