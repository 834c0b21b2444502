package zkjobs_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/internal/testenv/images"
	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

// kazoo runs testdata/consume.py against the queue and returns the lines that it prints.
func (q *queue) kazoo(args ...string) []string {
	q.t.Helper()
	resolver := must[*images.Resolver](q.t)(images.New(nil))
	image := must[images.Image](q.t)(resolver.Resolve(q.t.Context(), images.Spec{Name: images.Consumer}))
	script := must[string](q.t)(filepath.Abs("testdata/consume.py"))
	code := must[[]byte](q.t)(os.ReadFile(script))
	docker := append([]string{"run", "--rm", "--network", "host", "--label", testenv.Label + "=" + testenv.OwnerLabelValue(), image.Ref,
		"python3", "-c", string(code), q.addr, q.path}, args...)
	cmd := testenv.Command(q.t, "docker", docker...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		q.t.Errorf("consumer: %v: %s", err, stderr.String())
	}
	return strings.Fields(string(out))
}

// wantIDs drops the priorities of manyJobs' second value.
func wantIDs(want []string) []string {
	var ids []string
	for _, w := range want {
		ids = append(ids, w[4:])
	}
	return ids
}

func TestAKazooConsumerDrainsTheRebuiltQueueInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		jobs, want := manyJobs(600)
		apply(t, q.rebuilder(zkjobstest.Jobs(jobs)), zkjobs.ApplyOptions{})
		if diff := cmp.Diff(wantIDs(want), q.kazoo("1")); diff != "" {
			t.Errorf("consumed (-want +got):\n%s", diff)
		}
		if left := q.names(); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestConsumersOfKazooAndOfGoRunEachJobOnce(t *testing.T) {
	q := newQueueOf(t, testenv.ZooKeeper34)
	jobs, want := manyJobs(600)
	apply(t, q.rebuilder(zkjobstest.Jobs(jobs)), zkjobs.ApplyOptions{})
	var mu sync.Mutex
	var got []string
	var all sync.WaitGroup
	add := func(ids ...string) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, ids...)
	}
	for range 2 {
		all.Go(func() { add(q.kazoo("2")...) })
	}
	o := q.other()
	all.Go(func() {
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			e, err := o.Get(ctx)
			cancel()
			if err != nil {
				return
			}
			add(e.ID)
			time.Sleep(5 * time.Millisecond) // leave some for the others
			if done, err := o.Consume(t.Context()); !done || err != nil {
				t.Errorf("consume %v: %t, %v", e, done, err)
			}
		}
	})
	all.Wait()
	if diff := cmp.Diff(sorted(wantIDs(want)), sorted(got)); diff != "" {
		t.Errorf("consumed (-want +got):\n%s", diff)
	}
}

func TestGoAndKazooUseOneQueueInBothDirections(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		ctx := within(t, time.Minute)
		o := q.other()
		q.kazoo("put", "50", "job/python-1", "job/python-2")
		if e := must[zkjobs.Entry](t)(o.Get(ctx)); e.ID != "job/python-1" {
			t.Errorf("got %v", e)
		}
		if err := o.Put(ctx, 7, "job/go"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"job/go", "job/python-2"}, q.kazoo("1")); diff != "" { // but not what we hold
			t.Errorf("consumed (-want +got):\n%s", diff)
		}
		must[bool](t)(o.Release(ctx))
		if diff := cmp.Diff([]string{"job/python-1"}, q.kazoo("release")); diff != "" { // we gave it back, and so does kazoo
			t.Errorf("released (-want +got):\n%s", diff)
		}
		if e := must[zkjobs.Entry](t)(o.Get(ctx)); e.ID != "job/python-1" {
			t.Errorf("got %v", e)
		}
		must[bool](t)(o.Consume(ctx))
		if left := q.names(); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}
