package stack

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/poll"
)

// NodeJob reaches the volumes and stopped containers of nodes whose engines are not in Options.Engines: through a global
// job service of ours, limited to one node, that has the engine's socket mounted, does one thing and is removed. Each
// takes a second or two. It may do on its node all that the engine may.
type NodeJob struct {
	// Image has a program that calls AnswerJob, as that of the example programs has. It is on the nodes, or they can pull it.
	// Required: without one NewSwarm returns ErrInvalid.
	Image string
	// Command is that program. The request comes behind it. Default: "/usr/local/bin/stack", "node".
	Command []string
	// Socket is the path of the engine's socket on the nodes. Default /var/run/docker.sock. Sockets are those of single
	// nodes that have it elsewhere, by host name or identifier.
	Socket  string
	Sockets map[string]string
	// Limit of one job. Default 1 minute; below 0 is ErrInvalid.
	Limit time.Duration
}

func (j *NodeJob) withDefaults() (*NodeJob, error) {
	if j == nil {
		return nil, nil
	}
	if j.Image == "" {
		return nil, &nuvlaops.Error{Resource: "Options.Job", Reason: "no image", Err: nuvlaops.ErrInvalid}
	}
	if err := notBelowZero("Options.Job.Limit", j.Limit); err != nil {
		return nil, err
	}
	out := *j
	if len(out.Command) == 0 {
		out.Command = []string{"/usr/local/bin/stack", "node"}
	}
	if out.Socket == "" {
		out.Socket = engineSocket
	}
	if out.Limit == 0 {
		out.Limit = time.Minute
	}
	return &out, nil
}

// engineSocket is where a job finds its node's engine, and where engines put it.
const engineSocket = "/var/run/docker.sock"

// cannotReach says why a job cannot run on a node, or "".
func (j *NodeJob) cannotReach(n swarm.Node) string {
	switch {
	case j == nil:
		return "its engine is not named, and no image for a job on it is given"
	case n.Status.State != swarm.NodeStateReady:
		return "the node is " + string(n.Status.State)
	case n.Spec.Availability != swarm.NodeAvailabilityActive:
		return "no job runs on it: its availability is " + string(n.Spec.Availability)
	}
	return ""
}

func (j *NodeJob) socketOn(n swarm.Node) string {
	for _, key := range []string{n.ID, n.Description.Hostname} {
		if path := j.Sockets[key]; path != "" {
			return path
		}
	}
	return j.Socket
}

// onNode runs a job on a node and returns its answer.
func (s *Swarm) onNode(ctx context.Context, n swarm.Node, request jobRequest) (answer jobAnswer, err error) {
	ctx, cancel := limited(ctx, s.opts.Job.Limit)
	defer cancel()
	spec, err := s.opts.Job.spec(n, request)
	if err != nil {
		return answer, err
	}
	made, err := s.api.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: spec})
	if err == nil {
		err = s.removeOldJobs(ctx, request.Stack, made.ID)
	}
	if err == nil {
		answer, err = s.awaitJob(ctx, made.ID)
	}
	clean, cancelClean := context.WithTimeout(context.WithoutCancel(ctx), settle)
	defer cancelClean()
	if err = errors.Join(err, s.removeJob(clean, spec.Name)); err == nil {
		err = answer.err()
	}
	if err != nil {
		return answer, fmt.Errorf("job on node %s: %w", n.Description.Hostname, explain(spec.Name, err))
	}
	return answer, nil
}

// spec of the job. Its name is its own: others may ask the same node.
func (j *NodeJob) spec(n swarm.Node, request jobRequest) (swarm.ServiceSpec, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return swarm.ServiceSpec{}, err
	}
	spec := swarm.ServiceSpec{Mode: swarm.ServiceMode{GlobalJob: &swarm.GlobalJob{}}}
	spec.Name = "nuvlaops-" + request.Do + "-" + rand.Text()
	spec.Labels = map[string]string{labelJob: request.Stack}
	spec.TaskTemplate = swarm.TaskSpec{
		ContainerSpec: &swarm.ContainerSpec{Image: j.Image, Command: j.Command, Args: []string{string(text)}, User: "0",
			Mounts: []mount.Mount{{Type: mount.TypeBind, Source: j.socketOn(n), Target: engineSocket}}},
		Placement:     &swarm.Placement{Constraints: []string{"node.id==" + n.ID}},
		RestartPolicy: &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionNone},
		LogDriver:     &swarm.Driver{Name: "json-file"}, // the answer is read from there
	}
	return spec, nil
}

// removeOldJobs removes what killed calls have left: no job lives longer than its limit. How old one is, ours that has just been
// made tells: the swarm's clock need not be that of this machine.
func (s *Swarm) removeOldJobs(ctx context.Context, stack, ours string) error {
	list, err := read(ctx, s, "jobs", func(ctx context.Context) (client.ServiceListResult, error) {
		return s.api.ServiceList(ctx, client.ServiceListOptions{Filters: make(client.Filters).Add("label", labelJob+"="+stack)})
	})
	i := slices.IndexFunc(list.Items, func(v swarm.Service) bool { return v.ID == ours })
	for _, v := range list.Items {
		if i >= 0 && list.Items[i].CreatedAt.Sub(v.CreatedAt) > 2*s.opts.Job.Limit {
			err = errors.Join(err, s.removeJob(ctx, v.Spec.Name))
		}
	}
	return err
}

func (s *Swarm) removeJob(ctx context.Context, name string) error {
	_, err := read(ctx, s, name, func(ctx context.Context) (client.ServiceRemoveResult, error) {
		return s.api.ServiceRemove(ctx, name, client.ServiceRemoveOptions{})
	})
	if isNotFound(err) {
		return nil
	}
	return err
}

// awaitJob waits for the end of a job's task, and then for its whole answer: logs come a little later.
func (s *Swarm) awaitJob(ctx context.Context, service string) (answer jobAnswer, err error) {
	err = poll.Until(ctx, poll.Interval{First: soonest}, func(ctx context.Context) (bool, string, error) {
		tasks, err := read(ctx, s, service, func(ctx context.Context) (client.TaskListResult, error) {
			return s.api.TaskList(ctx, client.TaskListOptions{Filters: make(client.Filters).Add("service", service)})
		})
		if err != nil || len(tasks.Items) == 0 {
			return false, "no task yet", err
		}
		t := tasks.Items[0]
		switch {
		case failed(t):
			return false, "", &nuvlaops.Error{Resource: t.ID, Reason: "failed: " + t.Status.Err + "; its log ends: " + s.lastLines(ctx, t.ID),
				Err: nuvlaops.ErrUnavailable, Hint: "check the job's image, its command, and the socket that it mounts"}
		case !ended(t):
			return false, "its task is " + string(t.Status.State) + " " + t.Status.Err, nil
		}
		whole := false
		answer, whole, err = s.readAnswer(ctx, t.ID)
		return whole, "its answer", err
	})
	return answer, err
}

func (s *Swarm) readAnswer(ctx context.Context, task string) (answer jobAnswer, whole bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, logWait)
	defer cancel()
	logs, err := s.api.TaskLogs(ctx, task, client.TaskLogsOptions{ShowStdout: true})
	if err != nil {
		return answer, false, nil // asked for again
	}
	defer logs.Close()
	text, whole := joinLines(demux(io.LimitReader(logs, mostAnswer)))
	if !whole {
		return answer, false, nil
	}
	err = json.Unmarshal(text, &answer) // before it is returned: the language leaves open which of a return's values is read first
	return answer, true, err
}

// An answer is written in numbered lines, since an engine may cut long ones: "2/7 " and a piece in base64.
const answerLine = 8000

// mostAnswer is more than any answer takes in a log. A task that writes without end is not read to it.
const mostAnswer = 64 << 20

func writeLines(w io.Writer, text []byte) error {
	whole := base64.StdEncoding.EncodeToString(text)
	n := (len(whole) + answerLine - 1) / answerLine
	for i := range n {
		if _, err := fmt.Fprintf(w, "%d/%d %s\n", i+1, n, whole[i*answerLine:min(len(whole), (i+1)*answerLine)]); err != nil {
			return err
		}
	}
	return nil
}

// joinLines says whether the answer is whole.
func joinLines(text string) ([]byte, bool) {
	var pieces []string
	have := 0
	for line := range strings.Lines(text) {
		var i, n int
		var piece string
		if _, err := fmt.Sscanf(line, "%d/%d %s", &i, &n, &piece); err != nil || i < 1 || i > n || n > 1<<16 {
			continue
		}
		if pieces == nil {
			pieces = make([]string, n)
		}
		if n == len(pieces) && pieces[i-1] == "" {
			pieces[i-1] = piece
			have++
		}
	}
	if have == 0 || have < len(pieces) {
		return nil, false
	}
	out, err := base64.StdEncoding.DecodeString(strings.Join(pieces, ""))
	return out, err == nil
}
