package testenv

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"
)

// Action is what a Fault does to a request.
type Action int

const (
	// CutBefore cuts the connection before the request is forwarded: it was surely not done.
	CutBefore Action = iota
	// CutAfter forwards the request, waits for the reply, and cuts the connection without passing it on: it was done, and the
	// caller cannot know.
	CutAfter
	// CutMidway passes half of the reply on, then cuts the connection.
	CutMidway
	// Hang accepts the request, forwards nothing and never answers, until the caller gives up, or Reset or Close cuts it.
	Hang
	// Answer forwards nothing and answers with Status and Body (HTTP only; elsewhere it is CutBefore).
	Answer
)

// Request is what a proxy has seen.
type Request struct {
	// N counts all requests of the proxy from 1 (of HTTP and ZooKeeper; for TCP, connections).
	N int
	// Method is the HTTP method; for ZooKeeper the operation: connect, create, create2, delete, exists, getData, setData,
	// getChildren, getChildren2, sync, check, multi, ping, close.
	Method string
	// Path is the HTTP path without the query; for ZooKeeper the znode, where the request starts with one.
	Path string
}

// Fault is one rule of a proxy.
type Fault struct {
	// Match chooses requests. Default: all.
	Match func(Request) bool
	// Nth is which of the matching requests, from 1, is the first to suffer. Default 1.
	Nth int
	// Times is how many of them suffer from then on. Default 1; negative: all.
	Times int
	// Do is what happens to them.
	Do Action
	// Status, Body and ContentType are the reply of Answer. Default: 502 with the HTML page of a web proxy.
	Status            int
	Body, ContentType string
}

// maxSeen bounds what Requests returns.
const maxSeen = 10_000

// Proxy forwards to one target from an address on 127.0.0.1, and does harm by rules. Its methods may be called from several
// goroutines. Note that Go's http.Transport itself repeats a GET, once, when a connection that it used before is cut: count
// with Requests, or send over fresh connections.
type Proxy struct {
	listener net.Listener
	target   string
	serve    func(p *Proxy, client net.Conn)
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	work     sync.WaitGroup

	mu      sync.Mutex
	rules   []*rule
	count   int
	seen    []Request
	conns   map[net.Conn]struct{}
	release chan struct{} // closed when requests that hang must be cut
}

type rule struct {
	Fault
	matched int
}

// NewHTTPProxy forwards HTTP requests to target, a URL or host:port.
func NewHTTPProxy(target string) (*Proxy, error) {
	if u, err := url.Parse(target); err == nil && u.Host != "" {
		target = u.Host
	}
	return newProxy(target, serveHTTP)
}

// NewZooKeeperProxy forwards ZooKeeper sessions to target, host:port; each frame from the client is a request.
func NewZooKeeperProxy(target string) (*Proxy, error) { return newProxy(target, serveZooKeeper) }

// NewTCPProxy forwards connections to target, host:port; each connection is a request, and its reply is what the target
// sends first.
func NewTCPProxy(target string) (*Proxy, error) { return newProxy(target, serveTCP) }

func newProxy(target string, serve func(*Proxy, net.Conn)) (*Proxy, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, op("NewProxy", target, err)
	}
	p := &Proxy{listener: l, target: target, serve: serve, conns: map[net.Conn]struct{}{}, release: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.work.Go(p.accept)
	return p, nil
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if p.ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of file descriptors, say
			continue
		}
		p.work.Go(func() {
			if p.track(conn) {
				defer p.cut(conn)
				p.serve(p, conn)
			}
		})
	}
}

// Addr is host:port of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL is http://Addr.
func (p *Proxy) URL() string { return "http://" + p.Addr() }

// Inject adds rules. Each counts the requests that match it from now on; of several that are due, the first is applied.
func (p *Proxy) Inject(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range faults {
		f.Nth, f.Times = cmp.Or(f.Nth, 1), cmp.Or(f.Times, 1)
		p.rules = append(p.rules, &rule{Fault: f})
	}
}

// Reset removes all rules and cuts the requests that hang.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
	close(p.release)
	p.release = make(chan struct{})
}

// CutAll cuts all connections that are open now, as a network that goes away for a moment.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		cutConn(conn)
	}
}

// Requests returns what was seen so far, at most the last 10,000.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Request(nil), p.seen...)
}

// Close cuts all connections and returns when no goroutine of the proxy is left.
func (p *Proxy) Close() error {
	p.cancel()
	err := p.listener.Close()
	p.Reset()
	p.CutAll()
	p.work.Wait()
	return err
}

// judge counts a request and returns the rule that is due, or nil.
func (p *Proxy) judge(method, path string) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	req := Request{N: p.count, Method: method, Path: path}
	if len(p.seen) == maxSeen {
		p.seen = append(p.seen[:0], p.seen[1:]...)
	}
	p.seen = append(p.seen, req)
	var due *Fault
	for _, r := range p.rules {
		if r.Match != nil && !r.Match(req) {
			continue
		}
		r.matched++
		if due == nil && r.matched >= r.Nth && (r.Times < 0 || r.matched < r.Nth+r.Times) {
			due = &r.Fault
		}
	}
	return due
}

// hang returns when the client has gone (gone is closed), or the proxy does not want it to hang any more.
func (p *Proxy) hang(gone <-chan struct{}) {
	p.mu.Lock()
	release := p.release
	p.mu.Unlock()
	select {
	case <-gone:
	case <-release:
	case <-p.ctx.Done():
	}
}

func (p *Proxy) dial() (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		return nil, err
	}
	if !p.track(conn) {
		return nil, net.ErrClosed
	}
	return conn, nil
}

// track makes Close cut the connection; after Close it does so at once.
func (p *Proxy) track(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		cutConn(conn)
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *Proxy) cut(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		cutConn(conn)
		delete(p.conns, conn)
	}
}

// finish closes a connection in order: what was written arrives.
func (p *Proxy) finish(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = conn.Close()
	delete(p.conns, conn)
}

// cutConn makes the other side see a reset, not an orderly end.
func cutConn(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// cutMidway writes half of a reply and lets it arrive: a reset right behind it could overtake it.
func (p *Proxy) cutMidway(conn net.Conn, reply []byte) {
	half := max(1, len(reply)/2)
	if end := bytes.Index(reply, []byte("\r\n\r\n")); end > 0 { // of HTTP, half of the body
		half = min(end+4+max(1, (len(reply)-end-4)/2), len(reply)-1)
	}
	_, _ = conn.Write(reply[:half])
	p.finish(conn)
}

// answer is the whole HTTP reply of an Answer.
func (f *Fault) answer() []byte {
	status, body, kind := cmp.Or(f.Status, 502), f.Body, f.ContentType
	if body == "" && f.Status == 0 {
		body = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>\n"
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d Fault\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, cmp.Or(kind, "text/html"), len(body), body)
}
