package testenv

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
	// Hang accepts the request, forwards nothing and never answers, until the caller gives up or the proxy is closed.
	Hang
	// Answer forwards nothing and answers with Status and Body (HTTP only).
	Answer
)

// Request is what a proxy has seen.
type Request struct {
	// N counts all requests of the proxy from 1 (HTTP and ZooKeeper; for TCP, connections).
	N int
	// Method is the HTTP method; for ZooKeeper the operation: "connect", "create", "delete", "multi", "getChildren2", "ping".
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
	// Times is how many suffer from then on. Default 1; negative: all.
	Times int
	// Do is what happens to them.
	Do Action
	// Status, Body and ContentType are the reply of Answer. Default 502 with an HTML page.
	Status            int
	Body, ContentType string
}

// Proxy forwards to one target from an address on 127.0.0.1, and does harm by rules.
type Proxy struct{}

// NewHTTPProxy forwards HTTP requests to target, a URL or host:port.
func NewHTTPProxy(target string) (*Proxy, error) { return nil, errTodo }

// NewZooKeeperProxy forwards ZooKeeper sessions to target, host:port; each frame from the client is a request.
func NewZooKeeperProxy(target string) (*Proxy, error) { return nil, errTodo }

// NewTCPProxy forwards connections to target, host:port; each connection is a request.
func NewTCPProxy(target string) (*Proxy, error) { return nil, errTodo }

// Addr is host:port of the proxy.
func (p *Proxy) Addr() string { return "" }

// URL is http://Addr.
func (p *Proxy) URL() string { return "" }

// Inject adds rules; the first that matches a request is applied. Each counts from its injection.
func (p *Proxy) Inject(faults ...Fault) {}

// Reset removes all rules and lets requests that hang go on as if cut.
func (p *Proxy) Reset() {}

// Requests returns what was seen so far.
func (p *Proxy) Requests() []Request { return nil }

// Close cuts all connections and returns when no goroutine of the proxy is left.
func (p *Proxy) Close() error { return nil }
