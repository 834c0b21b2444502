package zkjobs_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

// scale weighs what a client sends to a server: the largest request in bytes, as ZooKeeper counts them.
type scale struct {
	addr    string
	largest atomic.Int64
}

func scaleTo(t *testing.T, addr string) *scale {
	t.Helper()
	l := must[net.Listener](t)(net.Listen("tcp4", "127.0.0.1:0"))
	t.Cleanup(func() { _ = l.Close() })
	s := &scale{addr: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", addr)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
			go func() { s.pass(client, server); _ = server.Close() }()
		}
	}()
	return s
}

func (s *scale) pass(client io.Reader, server io.Writer) {
	for {
		var length int32
		if binary.Read(client, binary.BigEndian, &length) != nil || binary.Write(server, binary.BigEndian, length) != nil {
			return
		}
		s.largest.Store(max(s.largest.Load(), int64(length)))
		if _, err := io.CopyN(server, client, int64(length)); err != nil {
			return
		}
	}
}

// TestNoTransactionIsLargerThanItsLimits, with long ids, under a chroot, with an ACL of several lines, and when pruning.
func TestNoTransactionIsLargerThanItsLimits(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	const old, n = 400, 600
	longer := strings.Repeat("x", 200)
	var jobs zkjobstest.Jobs
	var want, gone []string
	for i := range n {
		j := job(longer+string(rune('a'+i%26)), 50, i)
		j.ID += strings.Repeat("y", i%40) + j.Created.Format("150405.000")
		jobs = append(jobs, j)
		want = append(want, "050 "+j.ID)
	}
	for range old {
		gone = append(gone, "job/gone")
	}
	acl := []zkjobs.ACL{{Permissions: zk.PermAll, Scheme: "world", ID: "anyone"}, {Permissions: zk.PermRead, Scheme: "ip", ID: "10.0.0.1"}}
	root := q.path
	for name, tc := range map[string]struct {
		opts                 zkjobs.ApplyOptions
		bytes                int64
		fewest, transactions int
	}{
		"defaults":          {zkjobs.ApplyOptions{}, 256 << 10, 2, 3},
		"few operations":    {zkjobs.ApplyOptions{Batch: 100}, 64 << 10, 7, 7},
		"few bytes":         {zkjobs.ApplyOptions{BatchBytes: 8 << 10}, 8 << 10, 20, 40},
		"one job at a time": {zkjobs.ApplyOptions{BatchBytes: 1 << 10, Batch: 2}, 1 << 10, n, n},
	} {
		q.path = root + strings.ReplaceAll(name, " ", "-")
		if err := q.other().Put(t.Context(), 50, gone...); err != nil {
			t.Fatal(err)
		}
		s := scaleTo(t, q.addr)
		conn := q.connect(s.addr)
		r := must[*zkjobs.Rebuilder](t)(zkjobs.New(jobs, conn, &zkjobs.Options{Path: q.path, ACL: acl}))
		tc.opts.Prune = true
		res := apply(t, r, tc.opts)
		if res.Transactions < tc.fewest || res.Transactions > tc.transactions || res.Pruned != old {
			t.Errorf("%s: %+v, want %d to %d transactions", name, res, tc.fewest, tc.transactions)
		}
		if largest := s.largest.Load(); largest > tc.bytes || largest < tc.bytes/4 {
			t.Errorf("%s: the largest request has %d bytes, want at most %d, and not much less", name, largest, tc.bytes)
		}
		if diff := cmp.Diff(want, q.ids()); diff != "" {
			t.Errorf("%s: queue (-want +got):\n%.2000s", name, diff)
		}
	}
}

func TestARateIsNotExceeded(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	jobs, _ := manyJobs(100)
	res := apply(t, q.rebuilder(zkjobstest.Jobs(jobs)), zkjobs.ApplyOptions{Rate: 200})
	const least = 400 * time.Millisecond // the last fifth is one transaction
	if res.Written != 100 || res.Elapsed < least || res.Transactions < 5 {
		t.Errorf("%+v, want at least %v", res, least)
	}
}

// TestARateIsNotExceededAfterAWait: the time in which young jobs may still come to the queue is not saved up.
func TestARateIsNotExceededAfterAWait(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	jobs, _ := manyJobs(100)
	for i := range jobs {
		jobs[i].Created = time.Now().Add(time.Hour) // young, however long the rest takes
	}
	r := q.rebuilder(zkjobstest.Jobs(jobs))
	plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{Settle: 600 * time.Millisecond}))
	var first time.Time
	res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Rate: 200, Progress: func(p nuvlaops.Progress) {
		if p.Phase == "writing jobs" && first.IsZero() {
			first = time.Now()
		}
	}}))
	// Of five transactions the first is not waited for, and what it takes itself, up to two tenths of a second, is made up for.
	const least = 150 * time.Millisecond
	if took := time.Since(first); res.Written != 100 || took < least {
		t.Errorf("%+v, %v from the first transaction, want at least %v", res, took, least)
	}
}
