package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// work is the making of one image: a folder that is its build context, and the lock.
type work struct {
	r    *Resolver
	spec Spec
	dir  string
	hold *os.File
}

// once makes the image unless it is there. Of several callers, in this process or in others, one makes it and the others
// wait. The folder is gone afterwards; one that a killed process has left is removed first.
func (r *Resolver) once(ctx context.Context, spec Spec, tag string, make func(work) error) error {
	if _, err := r.inspect(ctx, tag); !errors.Is(err, errNoImage) {
		return err
	}
	name := strings.NewReplacer("/", "_", ":", "_").Replace(tag)
	hold, unlock, err := r.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := r.inspect(ctx, tag); !errors.Is(err, errNoImage) {
		return err
	}
	dir := filepath.Join(r.cache, "work", name)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove what an earlier run has left: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "context"), 0o755); err != nil {
		return fmt.Errorf("make the build folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return make(work{r: r, spec: spec, dir: dir, hold: hold})
}

// path is a file or folder of the build context.
func (w work) path(name string) string { return filepath.Join(w.dir, "context", name) }

// unfold puts an embedded folder into the build context.
func (w work) unfold(folder, to string) error {
	if err := unfold(w.r.recipes, folder, w.path(to)); err != nil {
		return fmt.Errorf("write recipe %s: %w", folder, err)
	}
	return nil
}

// run runs a program on the host for this image.
func (w work) run(ctx context.Context, c command) (string, error) {
	c.hold = w.hold
	return w.r.commands.run(ctx, c)
}

func (w work) step(what string, do func() error) error { return w.r.step(w.spec.String(), what, do) }

// build makes the image from the build context. The tag appears when all of it is done.
func (w work) build(ctx context.Context, base, tag string, args ...string) error {
	line := []string{"build", "--quiet", "--force-rm", "--tag", tag, "--build-arg", "BASE=" + base}
	for _, arg := range args {
		line = append(line, "--build-arg", arg)
	}
	return w.step("build "+tag, func() error {
		// The classic builder is what every engine from 20.10 on has without a plugin.
		_, err := w.run(ctx, command{name: "docker", args: append(line, w.path("")), env: []string{"DOCKER_BUILDKIT=0"}})
		return err
	})
}
