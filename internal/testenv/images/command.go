package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// killDelay is what a child has between TERM and KILL.
const killDelay = 5 * time.Second

// command is a program to run. It is ended with the context.
type command struct {
	name string
	args []string
	dir  string
	env  []string // beside our own environment
	hold *os.File // a lock that the child keeps, should we be killed before it ends

	// answerWithin ends the child when it has printed nothing for so long; 0 waits for ever.
	answerWithin time.Duration
}

// runner runs commands: the real one, or a fake in a test. It returns what was printed on standard output.
type runner interface {
	run(ctx context.Context, c command) (string, error)
}

// errNoAnswer says that answerWithin has passed.
var errNoAnswer = errors.New("no answer")

// errNotInstalled says that the program is not there.
var errNotInstalled = errors.New("not installed")

type processes struct{}

func (processes) run(ctx context.Context, c command) (string, error) {
	path, err := exec.LookPath(c.name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.name, errNotInstalled)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var stdout, stderr strings.Builder
	first := &firstWrite{to: &stdout}
	if c.answerWithin > 0 {
		watch := time.AfterFunc(c.answerWithin, func() { cancel(fmt.Errorf("%w within %s", errNoAnswer, c.answerWithin)) })
		defer watch.Stop()
		first.then = func() { watch.Stop() }
	}
	cmd := exec.CommandContext(ctx, path, c.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, first, &stderr
	cmd.Env = append(os.Environ(), c.env...)
	if c.hold != nil {
		cmd.ExtraFiles = []*os.File{c.hold}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killDelay
	err = cmd.Run()
	if ctx.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if err == nil {
		return stdout.String(), nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s: %w", c.line(), ended(ctx))
	}
	return "", fmt.Errorf("%s: %w: %s", c.line(), err, tail(stderr.String()+"\n"+stdout.String()))
}

// ended is why a context has ended: context.Canceled or context.DeadlineExceeded, and the cause that was given.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// line is the command as far as a reader needs it.
func (c command) line() string {
	words := append([]string{c.name}, c.args...)
	line := strings.Join(words, " ")
	if len(line) > 120 {
		line = line[:117] + "..."
	}
	return line
}

// tail is the end of what a program has said: there the reason is.
func tail(output string) string {
	const lines = 8
	kept := make([]string, 0, lines)
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if len(kept) == lines {
			kept = kept[1:]
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "\n")
}

// firstWrite calls then when the first byte comes.
type firstWrite struct {
	to   io.Writer
	then func()
	once sync.Once
}

func (w *firstWrite) Write(p []byte) (int, error) {
	if w.then != nil {
		w.once.Do(w.then)
	}
	return w.to.Write(p)
}

// parallel runs all functions, ends the others when one fails, and returns the first error once all have ended.
func parallel(ctx context.Context, functions ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	var once sync.Once
	var first error
	for _, f := range functions {
		all.Go(func() {
			if err := f(ctx); err != nil {
				once.Do(func() {
					first = err
					cancel(err)
				})
			}
		})
	}
	all.Wait()
	return first
}
