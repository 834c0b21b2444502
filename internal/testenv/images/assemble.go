package images

import (
	"context"
	"fmt"
	"io/fs"
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
	var err error
	switch spec.Name {
	case Base:
		return rc, nil
	case Elasticsearch:
		rc.folders = append(rc.folders, "recipes/s3plugin", "recipes/s3plugin-"+line(spec.Version))
		rc.parent, err = r.tagOf(jre)
	case ZooKeeper:
		rc.folders = append(rc.folders, "recipes/zookeeper-"+line(spec.Version))
		rc.parent, err = r.tagOf(jre)
	default:
		rc.parent, err = r.tagOf(Spec{Base, baseVersion})
	}
	if err != nil {
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
	case jre.Name:
		return r.onParent(ctx, spec, tag, Spec{Base, baseVersion}, nil)
	case Elasticsearch:
		return r.onParent(ctx, spec, tag, jre, work.elasticsearch)
	case ZooKeeper:
		return r.onParent(ctx, spec, tag, jre, work.zooKeeper)
	case S3:
		return r.onParent(ctx, spec, tag, Spec{Base, baseVersion}, work.s3)
	case Consumer:
		return r.onParent(ctx, spec, tag, Spec{Base, baseVersion}, nil)
	}
	return fmt.Errorf("no recipe")
}

// onParent makes the parent and, side by side, what goes into the build context; then it builds.
func (r *Resolver) onParent(ctx context.Context, spec Spec, tag string, parent Spec, prepare func(work, context.Context) error) error {
	base, err := r.tagOf(parent)
	if err != nil {
		return err
	}
	return r.once(ctx, spec, tag, func(w work) error {
		err := parallel(ctx,
			func(ctx context.Context) error { return r.assemble(ctx, parent, base) },
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

// jre is what Elasticsearch and ZooKeeper are built on; nobody asks for it by name.
var jre = Spec{Name: "jre", Version: "17"}
