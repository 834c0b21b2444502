package stack

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/retry"
)

// read calls the engine and repeats while it cannot be reached. what names the thing that is read.
func read[T any](ctx context.Context, s *Swarm, what string, call func(context.Context) (T, error)) (T, error) {
	var out T
	err := retry.Do(ctx, s.opts.Retry, s.opts.Logger, s.transient, func(ctx context.Context) error {
		var err error
		out, err = call(ctx)
		return err
	})
	return out, explain(what, err)
}

// transient is also the state of a manager that ends or starts: it then says that it is none.
func (s *Swarm) transient(err error) bool {
	return transient(err) || s.managed.Load() && isNotManager(err)
}

// transient says whether the engine gave no usable answer, so that the same read may succeed soon.
func transient(err error) bool {
	var network net.Error
	switch {
	case err == nil, isNotManager(err), errors.Is(err, syscall.EACCES), badCertificate(err):
		return false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case client.IsErrConnectionFailed(err), cerrdefs.IsUnavailable(err), noLeader(err), comesOrGoes(err):
		return true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return true
	}
	return errors.As(err, &network) // those of the operating system are such, too
}

// badCertificate: ours or the engine's.
func badCertificate(err error) bool {
	var theirs *tls.CertificateVerificationError
	return errors.As(err, &theirs) || strings.Contains(err.Error(), "remote error: tls:")
}

// noLeader: a manager answers so while the swarm elects a leader.
func noLeader(err error) bool {
	text := err.Error()
	return strings.Contains(text, "does not have a leader") || strings.Contains(text, "has no leader")
}

// comesOrGoes: a manager that starts or is being stopped answers 500 with the end of its own calls, which is not the end of ours.
func comesOrGoes(err error) bool {
	text := err.Error()
	return cerrdefs.IsInternal(err) && (strings.Contains(text, "context deadline exceeded") || strings.Contains(text, "context canceled") ||
		strings.Contains(text, "client connection is closing"))
}

func isNotManager(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "not a swarm manager") || errors.Is(err, nuvlaops.ErrUnsupported))
}

// outOfSequence: another update came first. The engine has no status of its own for it.
func outOfSequence(err error) bool {
	return err != nil && strings.Contains(err.Error(), "update out of sequence")
}

// explain turns an error of the client into one of ours.
func explain(what string, err error) error {
	var own *nuvlaops.Error
	if err == nil || errors.As(err, &own) {
		return err
	}
	e := &nuvlaops.Error{Resource: what, Reason: strings.TrimPrefix(err.Error(), "Error response from daemon: "), Err: err}
	kind := func(sentinel error, status int, hint string) {
		e.Status, e.Hint, e.Err = status, hint, errors.Join(sentinel, err)
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	case isNotManager(err):
		return notManager("")
	case clientTooNew(err.Error()):
		return tooOld(e.Reason)
	case clientTooOld(err.Error()): // it negotiates, unless it was told not to
		kind(nuvlaops.ErrUnsupported, 0, "unset DOCKER_API_VERSION, or name a version there that the engine serves")
	case badCertificate(err), errors.Is(err, syscall.EACCES), strings.Contains(err.Error(), "permission denied"):
		kind(nuvlaops.ErrDenied, 0, "run as a user who may use the Docker engine, or check the certificates")
	case cerrdefs.IsNotFound(err):
		kind(nuvlaops.ErrNotFound, 404, "")
	case cerrdefs.IsConflict(err):
		kind(nuvlaops.ErrConflict, 409, "")
	case cerrdefs.IsInvalidArgument(err):
		kind(nuvlaops.ErrInvalid, 400, "")
	case transient(err):
		kind(nuvlaops.ErrUnavailable, 0, "is the Docker engine running, and does DOCKER_HOST name it?")
	}
	return e
}

// clientTooNew and clientTooOld: what an engine says to a client whose version of the API it has not yet, or no more. Docker 29.0
// serves none before 1.44, that of Docker 25.
func clientTooNew(text string) bool {
	return strings.Contains(text, "is too new. Maximum supported API version")
}

func clientTooOld(text string) bool {
	return strings.Contains(text, "is too old. Minimum supported API version")
}

// leastAPI is that of Docker 20.10, with which all of this was seen to work.
const leastAPI = "1.41"

func newEnough(api string) error {
	if !versions.LessThan(api, leastAPI) {
		return nil
	}
	return tooOld("the engine's API has version " + api)
}

func tooOld(reason string) error {
	return &nuvlaops.Error{Resource: "engine", Reason: reason, Err: nuvlaops.ErrUnsupported,
		Hint: "want " + leastAPI + " or later (Docker 20.10), and no older version in DOCKER_API_VERSION"}
}

func notManager(state string) error {
	reason := "the engine is not a manager of a swarm"
	if state != "" {
		reason += " (its node is " + state + ")"
	}
	return &nuvlaops.Error{Resource: "engine", Reason: reason, Err: nuvlaops.ErrUnsupported,
		Hint: "run on a manager, or point DOCKER_HOST at one; docker info on a worker shows the addresses of its managers"}
}
