package stack

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

const (
	logLines = 5
	logWait  = 3 * time.Second // the logs of a task on a node that is down never come
	// resigned is how long a service may be short of a task before the orchestrator counts as having given up on it: it
	// makes the next task at once, even when it starts it later.
	resigned = 2 * time.Second
)

// failing is an error when the tasks of one replica have failed too often since the start, or when the orchestrator has given
// up on one: it also does after one that has ended well, unless the service's restart policy is "any".
func (h *health) failing(ctx context.Context, name string, v swarm.Service, tasks []swarm.Task) error {
	state, stopped := h.state[name], atNothing(h.first.services[name].Spec)
	live := 0
	var gone []swarm.Task
	for _, t := range tasks {
		if failed(t) && !h.old[t.ID] && !slices.ContainsFunc(state.failed, func(seen swarm.Task) bool { return seen.ID == t.ID }) {
			state.failed = append(state.failed, t)
		}
		if wanted(t) && !ended(t) {
			live++
		} else if (failed(t) || t.Status.State == swarm.TaskStateComplete) && !(stopped && h.old[t.ID]) {
			gone = append(gone, t)
		}
	}
	bad := state.failed
	givenUp := h.short(live, v.Spec, state) && state.reminded && len(bad)+len(gone) > 0
	if mostOfOne(bad) < h.opts.Failures && !givenUp {
		return h.remind(ctx, v, state)
	}
	reason := fmt.Sprintf("%d tasks failed, the last with: ", len(bad))
	if len(bad) == 0 {
		bad, reason = gone, "a task has ended, and no other is made: "
	}
	last := slices.MaxFunc(bad, func(a, b swarm.Task) int { return a.Status.Timestamp.Compare(b.Status.Timestamp) })
	text := last.Status.Err
	if text == "" {
		text = last.Status.Message
	}
	reason += text
	if lines := h.s.lastLines(ctx, last.ID); lines != "" {
		reason += "; its log ends: " + lines
	}
	return &nuvlaops.Error{Resource: v.Spec.Name, Reason: reason, Err: nuvlaops.ErrVerification,
		Hint: remedy(text) + "see: docker service ps --no-trunc " + v.Spec.Name}
}

// mostOfOne is how many of the tasks are those of one replica: a slot, or of a global service a node.
func mostOfOne(tasks []swarm.Task) (most int) {
	type replica struct {
		slot int
		node string
	}
	n := map[replica]int{}
	for _, t := range tasks {
		of := replica{slot: t.Slot}
		if t.Slot == 0 {
			of.node = t.NodeID
		}
		n[of]++
		most = max(most, n[of])
	}
	return most
}

// remedy is for what engines do not heal from by themselves. One that was killed, or loses a race, when it makes a network or takes
// it down leaves that one's interface, also when it is restarted, and no container comes up on the next network of the same
// number: https://github.com/moby/libnetwork/issues/1765
func remedy(text string) string {
	if strings.Contains(text, "error creating vxlan interface: file exists") {
		return "an interface of an earlier network is left on that node: there, ip link show type vxlan names it, and ip link delete removes it; "
	}
	return ""
}

// lastLines are the last lines that a task wrote, or "" when they cannot be had.
func (s *Swarm) lastLines(ctx context.Context, task string) string {
	ctx, cancel := context.WithTimeout(ctx, logWait)
	defer cancel()
	logs, err := s.api.TaskLogs(ctx, task, client.TaskLogsOptions{ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(logLines)})
	if err != nil {
		return ""
	}
	defer logs.Close()
	return strings.Join(readLog(logs), " | ")
}

// readLog takes the last lines out of the engine's stream.
func readLog(r io.Reader) []string {
	var lines []string
	for scan := bufio.NewScanner(strings.NewReader(demux(io.LimitReader(r, 64<<10)))); scan.Scan(); {
		if line := strings.TrimSpace(scan.Text()); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-logLines):]
}

// demux takes the text out of the engine's stream: a header of eight bytes, whose last four are the length, before each
// piece; a task with a terminal has no headers.
func demux(r io.Reader) string {
	b, _ := io.ReadAll(r) // what was read before an error is what there is
	var text strings.Builder
	for len(b) > 8 && b[0] <= 3 && b[1] == 0 && b[2] == 0 && b[3] == 0 {
		n := min(int(binary.BigEndian.Uint32(b[4:8])), len(b)-8)
		text.Write(b[8 : 8+n])
		b = b[8+n:]
	}
	text.Write(b)
	return text.String()
}
