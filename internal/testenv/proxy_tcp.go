package testenv

import (
	"io"
	"net"
	"sync"
)

// serveTCP forwards a whole connection.
func serveTCP(p *Proxy, client net.Conn) {
	fault := p.judge("", "")
	if fault != nil && fault.Do == Hang {
		gone := make(chan struct{})
		p.work.Go(func() {
			_, _ = io.Copy(io.Discard, client)
			close(gone)
		})
		p.hang(gone)
		return
	}
	if fault != nil && fault.Do != CutAfter && fault.Do != CutMidway {
		return
	}
	server, err := p.dial()
	if err != nil {
		return
	}
	var replies sync.WaitGroup
	replies.Go(func() {
		defer p.finish(client)
		if fault == nil {
			_, _ = io.Copy(client, server)
			return
		}
		first := make([]byte, 32<<10)
		n, _ := server.Read(first)
		if n > 0 && fault.Do == CutMidway {
			p.cutMidway(client, first[:n])
		}
		p.cut(client, server)
	})
	if _, err := io.Copy(server, client); err == nil {
		if tcp, ok := server.(*net.TCPConn); ok { // the client has said all, and may still listen
			_ = tcp.CloseWrite()
			replies.Wait()
		}
	}
	p.cut(client, server)
	replies.Wait()
}
