package stack

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
)

// detached has the docker program return before the services have converged. Before 26.0 it always does, and does not know it.
const detached = "--detach=true"

// docker runs "docker stack VERB" against the same engine. What it prints on a failure is the error's reason.
func (s *Swarm) docker(ctx context.Context, opts DeployOptions, stdin []byte, verb string, args ...string) ([]byte, error) {
	out, problem, err := s.program(ctx, opts, stdin, append([]string{"stack", verb}, args...)...)
	switch {
	case err == nil || problem == "":
		return out, err
	case strings.Contains(problem, "unknown flag: --detach") && slices.Contains(args, detached):
		return s.docker(ctx, opts, stdin, verb, slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == detached })...)
	}
	reason := "docker stack " + verb + ": " + lastLine(problem)
	if verb == "config" { // which reads, and sends nothing
		return nil, &nuvlaops.Error{Resource: strings.Join(opts.Files, ", "), Reason: reason, Err: nuvlaops.ErrInvalid,
			Hint: "check the compose file; a docker program before 23.0 has no stack config"}
	}
	return nil, &nuvlaops.Error{Reason: reason, Err: err, Hint: "mend what it says and deploy again: services that were made stay as they are"}
}

// checkProgram: the docker program and the engine may have no version of the API in common, which reading a compose file does not
// show. The engine of Docker 29.0 serves none of programs before 25.0.
func (s *Swarm) checkProgram(ctx context.Context, opts DeployOptions) error {
	_, problem, err := s.program(ctx, opts, nil, "version", "--format", "{{.Server.APIVersion}}")
	if err == nil || problem == "" {
		return err
	}
	e := &nuvlaops.Error{Resource: s.opts.Docker, Reason: "docker version: " + lastLine(problem), Err: err,
		Hint: "nothing was changed; the docker program must reach the engine"}
	if clientTooOld(problem) || clientTooNew(problem) {
		e.Err, e.Hint = nuvlaops.ErrUnsupported, "nothing was changed; install a docker program that fits the engine, and leave DOCKER_API_VERSION unset"
	}
	return e
}

// program runs the docker program against the same engine. When it has run and failed, problem is what it printed.
func (s *Swarm) program(ctx context.Context, opts DeployOptions, stdin []byte, args ...string) (out []byte, problem string, err error) {
	if s.host != "" {
		args = append([]string{"--host", s.host}, args...)
	}
	cmd := exec.CommandContext(ctx, s.opts.Docker, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Second
	cmd.Env = os.Environ()
	for _, k := range slices.Sorted(maps.Keys(opts.Env)) {
		cmd.Env = append(cmd.Env, k+"="+opts.Env[k])
	}
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
		cmd.Dir = filepath.Dir(opts.Files[0])
	}
	var text, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &problems
	err = cmd.Run()
	switch {
	case err == nil:
		return text.Bytes(), "", nil
	case ctx.Err() != nil:
		return nil, "", context.Cause(ctx)
	case cmd.ProcessState == nil:
		return nil, "", &nuvlaops.Error{Resource: s.opts.Docker, Reason: err.Error(), Err: nuvlaops.ErrNotFound,
			Hint: "install the docker program, 23.0 or later, and have it on the PATH"}
	case problems.Len() == 0:
		return nil, err.Error(), err
	}
	return nil, problems.String(), err
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
