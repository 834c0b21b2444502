package zkjobs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// dialer gives go-zookeeper its servers and connections. It resolves names at each attempt (a service's name does not
// resolve before its task runs), waits a little between attempts, and cuts everything when the connection is closed.
type dialer struct {
	hosts  []string
	tls    *tls.Config
	life   context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	next  int
	pause time.Duration // before the next attempt
	last  error
}

const (
	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

func newDialer(hosts []string, opts ConnectOptions) *dialer {
	life, cancel := context.WithCancel(context.Background())
	return &dialer{hosts: append([]string(nil), hosts...), tls: opts.TLS, life: life, cancel: cancel, next: rand.IntN(len(hosts))}
}

// Init, Len, Next and Connected make it a zk.HostProvider.
func (d *dialer) Init([]string) error { return nil }

func (d *dialer) Len() int { return len(d.hosts) }

// Next returns the next server. Once the connection is closed it says that all were tried: go-zookeeper then answers what
// still waits, and stops.
func (d *dialer) Next() (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	host := d.hosts[d.next]
	d.next = (d.next + 1) % len(d.hosts)
	return host, d.life.Err() != nil
}

func (d *dialer) Connected() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pause, d.last = 0, nil
}

func (d *dialer) lastError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// dial is called by one goroutine at a time. A pause follows every attempt that did not lead to a session.
func (d *dialer) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	if err := d.wait(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(d.life, max(timeout, 3*time.Second))
	defer cancel()
	conn, err := d.open(ctx, network, address)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.last = err
		return nil, err
	}
	d.last = fmt.Errorf("%s takes connections and gives no session", address) // until Connected
	stop := context.AfterFunc(d.life, func() { _ = conn.Close() })
	return &tracked{Conn: conn, stop: stop}, nil
}

func (d *dialer) open(ctx context.Context, network, address string) (net.Conn, error) {
	if d.tls == nil {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return (&tls.Dialer{Config: d.tls}).DialContext(ctx, network, address)
}

func (d *dialer) wait() error {
	d.mu.Lock()
	pause := d.pause
	d.pause = min(max(firstPause, 2*d.pause), maxPause)
	d.mu.Unlock()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-d.life.Done():
		return errors.New("connection is closed")
	}
}

// tracked forgets its watch over the dialer's life when it is closed.
type tracked struct {
	net.Conn
	stop func() bool
}

func (t *tracked) Close() error {
	t.stop()
	return t.Conn.Close()
}

// zkLog takes go-zookeeper's remarks as debug records.
type zkLog struct{ log *slog.Logger }

func (l zkLog) Printf(format string, args ...any) {
	if l.log != nil {
		l.log.Debug("zookeeper", "remark", fmt.Sprintf(format, args...))
	}
}
