package images

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
)

// edition is raised when the code here makes another image from the same recipes.
const edition = "1"

// recipe is how the image is assembled.
func (r *Resolver) recipe(spec Spec) (recipe, error) {
	rc := recipe{
		name:    string(spec.Name),
		version: spec.Version,
		folders: []string{"recipes/" + string(spec.Name)},
		inputs:  []string{edition},
	}
	switch spec.Name {
	case Base:
		return rc, nil
	case Elasticsearch:
		rc.folders = append(rc.folders, "recipes/s3plugin", "recipes/s3plugin-"+line(spec.Version))
	case ZooKeeper:
		rc.folders = append(rc.folders, "recipes/zookeeper-"+line(spec.Version))
	}
	var err error
	if rc.parent, err = r.tagOf(parent(spec)); err != nil {
		return recipe{}, err
	}
	for _, folder := range rc.folders {
		if _, err := fs.Stat(r.recipes, folder); err != nil {
			return recipe{}, fmt.Errorf("there is no recipe for version %s: set %s to an image that you have", spec.Version, spec.Variables()[0])
		}
	}
	return rc, nil
}

func (r *Resolver) tagOf(spec Spec) (string, error) {
	rc, err := r.recipe(spec)
	if err != nil {
		return "", err
	}
	return rc.tag(r.recipes)
}

// assemble makes the image with this tag, and before it the one that it is built on.
func (r *Resolver) assemble(ctx context.Context, spec Spec, tag string) error {
	switch spec.Name {
	case Base:
		return r.once(ctx, spec, tag, func(w work) error { return w.base(ctx, tag) })
	case Elasticsearch:
		return r.onParent(ctx, spec, tag, work.elasticsearch)
	case ZooKeeper:
		return r.onParent(ctx, spec, tag, work.zooKeeper)
	case S3:
		return r.onParent(ctx, spec, tag, work.s3)
	case Consumer, jre:
		return r.onParent(ctx, spec, tag, nil)
	}
	return fmt.Errorf("no recipe")
}

// onParent makes the parent and, side by side, what goes into the build context; then it builds.
func (r *Resolver) onParent(ctx context.Context, spec Spec, tag string, prepare func(work, context.Context) error) error {
	below := parent(spec)
	base, err := r.tagOf(below)
	if err != nil {
		return err
	}
	return r.once(ctx, spec, tag, func(w work) error {
		err := parallel(ctx,
			func(ctx context.Context) error { return r.assemble(ctx, below, base) },
			func(ctx context.Context) error {
				if err := w.unfold("recipes/"+string(spec.Name), ""); err != nil || prepare == nil {
					return err
				}
				return prepare(w, ctx)
			})
		if err != nil {
			return err
		}
		return w.build(ctx, base, tag, "VERSION="+spec.Version)
	})
}

// jre is what Elasticsearch and ZooKeeper are built on; nobody asks for it by name. Its version is that of Java.
const jre Name = "jre"

// parent is what an image is built on. Elasticsearch 9 needs Java 21, which the next Debian has.
func parent(spec Spec) Spec {
	switch spec.Name {
	case Elasticsearch:
		if strings.HasPrefix(spec.Version, "9.") {
			return Spec{jre, "21"}
		}
		return Spec{jre, "17"}
	case ZooKeeper:
		return Spec{jre, "17"}
	case jre:
		if spec.Version == "21" {
			return Spec{Base, "trixie"}
		}
	}
	return Spec{Base, baseVersion}
}
