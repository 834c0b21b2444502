package testenv

import (
	"errors"
	"strings"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// What can be wrong with the engine or the machine.
var (
	// ErrNoEngine: no Docker engine answers.
	ErrNoEngine = errors.New("no Docker engine answers")
	// ErrPermission: the engine's socket may not be used by this user.
	ErrPermission = errors.New("no permission on the Docker socket")
	// ErrEngineTooOld: the engine's API is older than 1.41.
	ErrEngineTooOld = errors.New("the Docker engine is too old")
	// ErrClientTooOld: the engine serves the API of this client no more.
	ErrClientTooOld = errors.New("the Docker client is too old for the engine")
	// ErrPortTaken: a port that must be published is in use.
	ErrPortTaken = errors.New("the port is in use")
	// ErrDiskFull: there is no space left.
	ErrDiskFull = errors.New("the disk is full")
	// ErrClosing: everything of this process is being removed, so nothing new is made.
	ErrClosing = errors.New("the test environment is being removed")
)

// trouble is one way in which an engine or a machine says no.
type trouble struct {
	kind error
	says []string // parts of the engine's text, in lower case
	hint string
}

func troubles() []trouble {
	return []trouble{
		{ErrDiskFull, []string{"no space left on device", "disk quota exceeded"},
			"free some space: docker system df shows what the engine holds, make clean removes what is ours"},
		{ErrPortTaken, []string{"port is already allocated", "address already in use"},
			"end what listens there (ss -ltnp shows it), or choose another port"},
		{ErrPermission, []string{"permission denied while trying to connect", "connect: permission denied"},
			"run as root, or add this user to the group of the socket: usermod -aG docker USER, then log in again"},
		{ErrClientTooOld, []string{"please upgrade your client"},
			"unset DOCKER_API_VERSION, or install a docker program that is no older than the engine"},
		{ErrEngineTooOld, []string{"client version", "minimum supported api version"},
			"install Docker 20.10 or later"},
		{ErrNoEngine, []string{"cannot connect to the docker daemon", "is the docker daemon running", "docker.sock: connect:"},
			"run internal/testenv/scripts/engine.sh as root on Debian, or start Docker; DOCKER_HOST says where it is"},
	}
}

// explain puts a kind and an instruction on what the engine said; other errors come back as they are.
func explain(err error) error {
	if err == nil {
		return nil
	}
	var known *nuvlaops.Error
	if errors.As(err, &known) {
		return err
	}
	text := strings.ToLower(err.Error())
	for _, t := range troubles() {
		for _, part := range t.says {
			if strings.Contains(text, part) {
				return &nuvlaops.Error{Reason: t.kind.Error(), Hint: t.hint, Err: errors.Join(t.kind, err)}
			}
		}
	}
	if client.IsErrConnectionFailed(err) {
		t := troubles()
		return &nuvlaops.Error{Reason: ErrNoEngine.Error(), Hint: t[len(t)-1].hint, Err: errors.Join(ErrNoEngine, err)}
	}
	return err
}
