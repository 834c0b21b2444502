package images

import (
	"context"
	"io/fs"
	"time"
)

// Command is what a fake runner is asked to run.
type Command = command

// Line is the program and its arguments.
func (c Command) Line() []string { return append([]string{c.name}, c.args...) }

// RunFunc is a fake runner.
type RunFunc func(ctx context.Context, c Command) (string, error)

func (f RunFunc) run(ctx context.Context, c command) (string, error) { return f(ctx, c) }

// Processes is the real runner.
func Processes(ctx context.Context, c Command) (string, error) { return processes{}.run(ctx, c) }

// NewCommand is a command for Processes; answerWithin may be 0.
func NewCommand(answerWithin time.Duration, words ...string) Command {
	return Command{name: words[0], args: words[1:], answerWithin: answerWithin}
}

// ErrNoAnswer is errNoAnswer.
var ErrNoAnswer = errNoAnswer

// Fake replaces what a Resolver gets from the world.
func (r *Resolver) Fake(run RunFunc, getenv func(string) string, now func() time.Time) {
	r.commands, r.getenv, r.now = run, getenv, now
}

// WithRecipes replaces the recipes.
func (r *Resolver) WithRecipes(recipes fs.FS) { r.recipes = recipes }

// Recipes are the embedded ones.
func Recipes() fs.FS { return embedded }

// AssembledTag is the tag of the assembled image.
func (r *Resolver) AssembledTag(spec Spec) (string, error) {
	spec, err := spec.complete()
	if err != nil {
		return "", err
	}
	return r.tagOf(spec)
}

// Assembled makes the image from packages, whatever else there is.
func (r *Resolver) Assembled(ctx context.Context, spec Spec) (ref string, err error) {
	spec, err = spec.complete()
	if err != nil {
		return "", err
	}
	tag, err := r.tagOf(spec)
	if err != nil {
		return "", err
	}
	return tag, r.assemble(ctx, spec, tag)
}
