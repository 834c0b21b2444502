package testenv

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
)

// serveHTTP takes one request after the other from a client. Bodies of requests are held in memory.
func serveHTTP(p *Proxy, client net.Conn) {
	// A connection of its own for each request: a reused one would be retried in silence by the transport.
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	in := bufio.NewReader(client)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		gone, settled := watchClient(in)
		ctx, cancel := context.WithCancel(p.ctx)
		p.work.Go(func() {
			<-settled
			select {
			case <-gone:
				cancel()
			default: // the client has sent more, and waits
			}
		})
		goOn := p.exchange(ctx, client, transport, req, body, gone)
		cancel()
		if !goOn || req.Close {
			p.finish(client)
			<-settled
			return
		}
		<-settled
	}
}

// watchClient tells when the client goes away while its request is being worked on. The reader must not be used until
// settled is closed, which is when the client has sent more or is gone.
func watchClient(in *bufio.Reader) (gone, settled <-chan struct{}) {
	g, s := make(chan struct{}), make(chan struct{})
	go func() {
		if _, err := in.Peek(1); err != nil {
			close(g)
		}
		close(s)
	}()
	return g, s
}

// exchange handles one request and says whether the connection can be used for another.
func (p *Proxy) exchange(ctx context.Context, client net.Conn, transport *http.Transport, req *http.Request, body []byte, gone <-chan struct{}) bool {
	fault := p.judge(req.Method, req.URL.Path)
	if fault != nil {
		switch fault.Do {
		case CutBefore:
			p.cut(client)
			return false
		case Hang:
			p.hang(gone)
			p.cut(client)
			return false
		case Answer:
			_, _ = client.Write(fault.answer())
			return false
		}
	}
	out := req.Clone(ctx)
	out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", p.target
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res, err := transport.RoundTrip(out)
	if err != nil {
		p.cut(client)
		return false
	}
	defer res.Body.Close()
	res.Close = false // that is about our connection to the target
	res.Header.Del("Connection")
	if fault == nil {
		return res.Write(client) == nil
	}
	reply, err := whole(res)
	if err == nil && fault.Do == CutMidway {
		p.cutMidway(client, reply)
	}
	p.cut(client)
	return false
}

// whole is a reply with a Content-Length, so that half of it is seen to be half.
func whole(res *http.Response) ([]byte, error) {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body, res.ContentLength, res.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	var reply bytes.Buffer
	err = res.Write(&reply)
	return reply.Bytes(), err
}
