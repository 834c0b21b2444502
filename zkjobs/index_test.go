package zkjobs

import (
	"fmt"
	"testing"
	"time"
)

// TestEachJobIsFoundByItsIDAndOnlyOnce: the first of those with one id stays.
func TestEachJobIsFoundByItsIDAndOnlyOnce(t *testing.T) {
	const n = 10_000
	p := &Plan{Left: map[Reason]int{}}
	for i := range 2 * n {
		p.Jobs = append(p.Jobs, Planned{Job: Job{ID: fmt.Sprintf("job/%d", i%n), Created: time.UnixMilli(int64(i))}})
	}
	index := p.index()
	if len(p.Jobs) != n || p.Left[LeftRepeated] != n {
		t.Fatalf("%d jobs and %v left out, want %d of each", len(p.Jobs), p.Left, n)
	}
	for _, x := range []*jobIndex{index, indexJobs(p.Jobs)} {
		for i := range n {
			if place, found := x.find(fmt.Sprintf("job/%d", i)); !found || place != i || p.Jobs[place].Created.UnixMilli() != int64(i) {
				t.Fatalf("job/%d: got place %d, %t", i, place, found)
			}
		}
		if place, found := x.find("job/none"); found {
			t.Errorf("a job that is not there is found at %d", place)
		}
	}
	if _, found := indexJobs(nil).find("job/none"); found {
		t.Error("found among none")
	}
}
