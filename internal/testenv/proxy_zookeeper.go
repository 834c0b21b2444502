package testenv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// maxFrame is far over what a server accepts (1 MiB) and under the letters of "srvr" read as a length.
const maxFrame = 64 << 20

// zkSession is one connection of a client through the proxy.
type zkSession struct {
	p              *Proxy
	client, server net.Conn

	mu      sync.Mutex
	pending map[int64]Action // what shall happen to the reply, by the request's xid
}

// connectReply stands for the xid of the first reply, which has none.
const connectReply = int64(1) << 40

// serveZooKeeper: each message on the wire is a length of four bytes and so many bytes; requests and replies begin with
// the request's xid, but for those of the connect. Four letters (srvr) come instead of a length.
func serveZooKeeper(p *Proxy, client net.Conn) {
	server, err := p.dial()
	if err != nil {
		return
	}
	s := &zkSession{p: p, client: client, server: server, pending: map[int64]Action{}}
	var replies sync.WaitGroup
	replies.Go(func() {
		defer p.cut(client, server)
		s.passReplies()
	})
	s.passRequests()
	p.cut(client, server)
	replies.Wait()
}

func (s *zkSession) passRequests() {
	for first := true; ; first = false {
		frame, err := readFrame(s.client)
		if errors.Is(err, errLetters) {
			_ = s.p.judge(string(frame), "")
			if _, err := s.server.Write(frame); err == nil {
				_, _ = io.Copy(s.server, s.client)
			}
			return
		}
		if err != nil {
			return
		}
		method, path, xid := parseFrame(frame, first)
		if fault := s.p.judge(method, path); fault != nil {
			switch fault.Do {
			case CutAfter, CutMidway:
				s.mu.Lock()
				s.pending[xid] = fault.Do
				s.mu.Unlock()
			case Hang:
				gone := make(chan struct{})
				s.p.work.Go(func() { // swallow all until the client gives up
					_, _ = io.Copy(io.Discard, s.client)
					close(gone)
				})
				s.p.hang(gone)
				return
			default:
				return
			}
		}
		if _, err := s.server.Write(frame); err != nil {
			return
		}
	}
}

func (s *zkSession) passReplies() {
	for first := true; ; first = false {
		frame, err := readFrame(s.server)
		if err != nil {
			if errors.Is(err, errLetters) || len(frame) > 0 { // the answer to four letters is plain text
				if _, err := s.client.Write(frame); err == nil {
					_, _ = io.Copy(s.client, s.server)
				}
				s.p.finish(s.client)
			}
			return
		}
		xid := connectReply
		if !first && len(frame) >= 8 {
			xid = int64(int32(binary.BigEndian.Uint32(frame[4:])))
		}
		s.mu.Lock()
		action, harmed := s.pending[xid]
		delete(s.pending, xid)
		s.mu.Unlock()
		if harmed {
			if action == CutMidway {
				s.p.cutMidway(s.client, frame)
			}
			return
		}
		if _, err := s.client.Write(frame); err != nil {
			return
		}
	}
}

var errLetters = errors.New("four letters")

// readFrame returns a whole message with its length, or the four letters that came instead.
func readFrame(r io.Reader) ([]byte, error) {
	var head [4]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		return head[:n], err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxFrame {
		return head[:], errLetters
	}
	frame := make([]byte, 4+size)
	copy(frame, head[:])
	if n, err := io.ReadFull(r, frame[4:]); err != nil {
		return nil, fmt.Errorf("message ends after %d of %d bytes: %w", n, size, err)
	}
	return frame, nil
}

func parseFrame(frame []byte, first bool) (method, path string, xid int64) {
	if first {
		return "connect", "", connectReply
	}
	if len(frame) < 12 {
		return "unknown", "", 0
	}
	xid = int64(int32(binary.BigEndian.Uint32(frame[4:])))
	method, withPath := opcode(int32(binary.BigEndian.Uint32(frame[8:])))
	if rest := frame[12:]; withPath && len(rest) >= 4 {
		if n := binary.BigEndian.Uint32(rest); int64(n) <= int64(len(rest)-4) {
			path = string(rest[4 : 4+n])
		}
	}
	return method, path, xid
}

// opcode names an operation as org.apache.zookeeper.ZooDefs.OpCode does, and says whether its request starts with a path.
func opcode(code int32) (name string, withPath bool) {
	switch code {
	case 1:
		return "create", true
	case 2:
		return "delete", true
	case 3:
		return "exists", true
	case 4:
		return "getData", true
	case 5:
		return "setData", true
	case 6:
		return "getACL", true
	case 7:
		return "setACL", true
	case 8:
		return "getChildren", true
	case 9:
		return "sync", true
	case 11:
		return "ping", false
	case 12:
		return "getChildren2", true
	case 13:
		return "check", true
	case 14:
		return "multi", false
	case 15:
		return "create2", true
	case 100:
		return "auth", false
	case 101:
		return "setWatches", false
	case -11:
		return "close", false
	}
	return fmt.Sprintf("op%d", code), false
}
