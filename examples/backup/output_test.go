package main

import (
	"io"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
)

func TestEachWaitIsSaidOnce(t *testing.T) {
	var said strings.Builder
	o := newOutput(&config{}, &said, io.Discard)
	for _, phase := range []string{"waiting for another snapshot", "copying", "waiting to remove snapshots"} {
		o.progress(nuvlaops.Progress{Phase: phase, Message: "first"})
		o.progress(nuvlaops.Progress{Phase: phase, Message: "second"})
	}
	if want := "waiting for another snapshot, busy first\nwaiting to remove snapshots, busy first\n"; said.String() != want {
		t.Errorf("it says %q, want %q", said.String(), want)
	}
}
