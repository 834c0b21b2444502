package images

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// debianRef is the base where a registry can be reached.
func (w work) debianRef() string { return "debian:" + w.spec.Version + "-slim" }

// base makes the ground of all assembled images.
func (w work) base(ctx context.Context, tag string) error {
	if err := w.unfold("recipes/base", ""); err != nil {
		return err
	}
	from := w.debianRef()
	if _, err := w.r.inspect(ctx, from); errors.Is(err, errNoImage) {
		if w.r.pull(ctx, w.spec, from) != nil {
			if from, err = w.bootstrap(ctx); err != nil {
				return err
			}
		}
	} else if err != nil {
		return err
	}
	return w.build(ctx, from, tag)
}

// bootstrap makes a Debian from packages and imports it. It returns the id of the image, which has no name yet.
func (w work) bootstrap(ctx context.Context) (id string, err error) {
	if ctx.Err() != nil {
		return "", ended(ctx)
	}
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("%s cannot be pulled, and debootstrap needs root: run as root, or load that image", w.debianRef())
	}
	root, archive := filepath.Join(w.dir, "root"), filepath.Join(w.dir, "root.tar")
	args := []string{"--mount", "debootstrap", "--variant=minbase", w.spec.Version, root}
	if mirror := w.mirror(ctx); mirror != "" {
		args = append(args, mirror)
	}
	err = w.step("debootstrap "+w.spec.Version, func() error {
		// In a mount namespace of its own: whatever it mounts is gone when it ends, however it ends.
		_, err := w.run(ctx, command{name: "unshare", args: args})
		if err != nil && strings.Contains(err.Error(), "debootstrap: No such file") {
			return fmt.Errorf("%s cannot be pulled, and there is no debootstrap: apt-get install debootstrap, or load that image", w.debianRef())
		}
		return err
	})
	if err != nil {
		return "", err
	}
	err = w.step("import "+w.spec.Version, func() error {
		// By way of a file: of a pipe that breaks, docker would import the half that it got.
		exclude := []string{"--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*", "--exclude=./usr/share/doc/*",
			"--exclude=./usr/share/man/*", "--exclude=./usr/share/locale/*", "--exclude=./var/log/*"}
		tar := command{name: "tar", args: append(exclude, "-C", root, "-cf", archive, ".")}
		if _, err := w.run(ctx, tar); err != nil {
			return err
		}
		id, err = w.run(ctx, command{name: "docker", args: []string{"import", "--change", "LABEL " + Label + "=image", archive}})
		return err
	})
	return strings.TrimSpace(id), err
}

// mirror is where this machine has Debian from; empty leaves it to debootstrap.
func (w work) mirror(ctx context.Context) string {
	out, err := w.run(ctx, command{name: "apt-get", args: []string{"indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"}})
	if err != nil {
		return ""
	}
	for uri := range strings.Lines(out) {
		u, err := url.Parse(strings.TrimSpace(uri))
		if err == nil && (u.Scheme == "http" || u.Scheme == "https") && path.Base(u.Path) == "debian" {
			return u.String()
		}
	}
	return ""
}
