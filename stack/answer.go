package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// jobRequest is what a job does on its node.
type jobRequest struct {
	Do    string `json:"do"` // "look", "sweep", "wipe" or "remove-copy"
	Stack string `json:"stack"`
	// From is the stack that it is a copy of, whose volumes are removed.
	From string `json:"from,omitempty"`
	// Names are those of volumes that are looked for besides those of the stack.
	Names []string `json:"names,omitempty"`
	Sizes bool     `json:"sizes,omitempty"`
	// Services whose stopped containers are swept.
	Services []string `json:"services,omitempty"`
	// Volumes to wipe.
	Volumes []Volume `json:"volumes,omitempty"`
}

type jobAnswer struct {
	// Volumes of the stack, and Obstacles to the removal of some that only their node knows.
	Volumes   []Volume          `json:"volumes,omitempty"`
	Obstacles map[string]string `json:"obstacles,omitempty"`
	// Foreign are those of Names that are there and not the stack's.
	Foreign []string `json:"foreign,omitempty"`
	// Left are containers that are not gone.
	Left []string `json:"left,omitempty"`
	// Error ended the job; Conflict says that the world is not that of the request.
	Error    string `json:"error,omitempty"`
	Conflict bool   `json:"conflict,omitempty"`
}

func (a jobAnswer) err() error {
	switch {
	case a.Error == "":
		return nil
	case a.Conflict:
		return &nuvlaops.Error{Reason: a.Error, Err: nuvlaops.ErrConflict}
	}
	return &nuvlaops.Error{Reason: a.Error, Err: nuvlaops.ErrUnavailable}
}

// AnswerJob is what the program of a NodeJob does: it carries out the request, which is its last argument, on the engine
// whose socket is mounted, and writes the answer, also when it is an error. Its own errors: ErrInvalid (no request), and what
// keeps the answer from being written.
func AnswerJob(ctx context.Context, request string, stdout io.Writer) error {
	var r jobRequest
	if err := json.Unmarshal([]byte(request), &r); err != nil {
		return &nuvlaops.Error{Op: "stack.AnswerJob", Reason: "no request of a job", Err: errors.Join(nuvlaops.ErrInvalid, err)}
	}
	answer, err := answerJob(ctx, r)
	if err != nil {
		answer.Error, answer.Conflict = err.Error(), errors.Is(err, nuvlaops.ErrConflict)
	}
	text, err := json.Marshal(answer)
	if err == nil {
		err = writeLines(stdout, text)
	}
	return nuvlaops.Wrap("stack.AnswerJob", "answer", err)
}

func answerJob(ctx context.Context, r jobRequest) (answer jobAnswer, err error) {
	opts := Options{VolumeSizes: r.Sizes, Logger: slog.New(slog.DiscardHandler)}
	s := &Swarm{opts: opts, now: time.Now}
	s.opts.Retry = s.opts.Retry.WithDefaults()
	if s.api, err = client.New(client.WithHost("unix://" + engineSocket)); err != nil {
		return answer, err
	}
	defer s.Close()
	e := &engine{api: s.api}
	w := &world{stack: r.Stack, fleet: &fleet{engines: []*engine{e}}, containers: map[string][]held{}}
	switch r.Do {
	case "look":
		return s.answerLook(ctx, w, e, r)
	case "sweep":
		return s.answerSweep(ctx, w, e, r)
	case "wipe":
		return answer, s.answerWipe(ctx, e, r)
	case "remove-copy":
		return answer, s.removeCopiedVolumes(ctx, w, r.From)
	}
	return answer, fmt.Errorf("a job cannot %q: is its image of this version?", r.Do)
}

func (s *Swarm) answerLook(ctx context.Context, w *world, e *engine, r jobRequest) (answer jobAnswer, err error) {
	if answer.Volumes, err = s.volumesOn(ctx, w, e); err != nil {
		return answer, err
	}
	answer.Obstacles = map[string]string{}
	for _, v := range answer.Volumes {
		there, err := s.inspect(ctx, e, v.Name)
		if err != nil {
			return answer, err
		}
		if why := pointsElsewhere(there); why != "" {
			answer.Obstacles[v.Name] = why
		}
	}
	for _, name := range r.Names {
		there, err := s.inspect(ctx, e, name)
		if err != nil {
			return answer, err
		}
		if there != nil && there.Labels[labelStack] != r.Stack {
			answer.Foreign = append(answer.Foreign, name)
		}
	}
	return answer, nil
}

func (s *Swarm) answerSweep(ctx context.Context, w *world, e *engine, r jobRequest) (answer jobAnswer, err error) {
	if err := s.seeContainers(ctx, w, e, nil); err != nil {
		return answer, err
	}
	stay, err := s.removeAllStopped(ctx, w, r.Services)
	for _, containers := range stay {
		for _, c := range containers {
			answer.Left = append(answer.Left, fmt.Sprintf("container %s (%s)", containerName(c.Names, c.ID), c.State))
		}
	}
	slices.Sort(answer.Left)
	return answer, err
}

func (s *Swarm) answerWipe(ctx context.Context, e *engine, r jobRequest) error {
	for _, v := range r.Volumes {
		if err := s.removePlanned(ctx, e, r.Stack, v); err != nil {
			return err
		}
		if there, err := s.inspect(ctx, e, v.Name); err != nil || there != nil {
			return errors.Join(err, fmt.Errorf("volume %s is there again after its removal", v.Name))
		}
	}
	return nil
}
