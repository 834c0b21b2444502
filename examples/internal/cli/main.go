// Package cli is what the example programs share: signals, exit codes, the client of Elasticsearch, and how steps and
// progress are shown to a person.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// ErrInterrupted is the cause of a context that Ctrl-C, SIGTERM or the end of the terminal ended.
var ErrInterrupted = errors.New("interrupted")

// Main runs a program and exits with its code. The first Ctrl-C or SIGTERM, or the end of the terminal, ends the context, so
// that the program can leave things in order; a second Ctrl-C or SIGTERM ends the process at once. What it prints is made plain.
func Main(name string, run func(ctx context.Context, args []string, stdout, stderr io.Writer) error) {
	ctx, stop := Signals(context.Background())
	err := run(ctx, os.Args[1:], Plain(os.Stdout), Plain(os.Stderr))
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(ExitOK)
	}
	if err != nil && !errors.As(err, new(shown)) {
		fmt.Fprintf(Plain(os.Stderr), "%s: %v\n", name, err)
	}
	os.Exit(ExitCode(err))
}

// Shown marks an error that the program has shown in a form of its own: Main does not print it again.
func Shown(err error) error {
	if err == nil {
		return nil
	}
	return shown{err}
}

type shown struct{ error }

func (s shown) Unwrap() error { return s.error }

// Signals returns a context that the first Ctrl-C, SIGTERM or SIGHUP ends with ErrInterrupted. From then on signals have their
// default effect again, but for SIGHUP: a terminal that ends sends several. nohup keeps it away altogether. stop releases all.
func Signals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals, hangups := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(hangups, syscall.SIGHUP)
	}
	go func() {
		select {
		case <-signals:
			cancel(ErrInterrupted)
		case <-hangups:
			cancel(ErrInterrupted)
		case <-ctx.Done():
		}
		signal.Stop(signals)
	}()
	return ctx, func() {
		cancel(context.Canceled)
		signal.Stop(hangups)
	}
}

// Parse parses flags as ParseFlags does. Nothing may follow them.
func Parse(fs *flag.FlagSet, args []string) error {
	if err := ParseFlags(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return Usagef("unexpected argument %q: flags only, see -h", fs.Arg(0))
	}
	return nil
}

// ParseFlags parses flags up to what is none. It shows the help when it is asked for; a mistake is a usage error of one line,
// which would be lost among the pages of the help.
func ParseFlags(fs *flag.FlagSet, args []string) error {
	stderr := fs.Output()
	fs.SetOutput(io.Discard)
	err := fs.Parse(args)
	fs.SetOutput(stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.Usage()
		return err
	case err != nil:
		return Usagef("%w; see -h", err)
	}
	return nil
}
