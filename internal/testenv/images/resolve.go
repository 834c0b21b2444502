package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Source is how an image was chosen.
type Source string

// The sources, in the order in which they are tried.
const (
	FromEnvironment Source = "environment" // a variable names it
	FromEngine      Source = "engine"      // it was there
	FromRegistry    Source = "registry"    // it was pulled
	FromPackages    Source = "packages"    // it was assembled
)

// Image is what a container can be started from.
type Image struct {
	Spec
	Ref    string // for docker run
	Source Source
	// Official says that the server is its maker's own image, with all its modules, or one that a variable names and that
	// is not ours. False is an assembled one.
	Official bool
}

// Step is a piece of work on the way to an image, told when it begins and when it is done.
type Step struct {
	Image string // "elasticsearch 8.11.3"
	What  string // "compile the s3 fixture"
	Done  bool
	Took  time.Duration // when Done
	Err   error         // when Done and it did not work out
}

// String is "elasticsearch 8.11.3: compile the s3 fixture ..." when it begins, and ends in how long it took when it is done.
func (s Step) String() string {
	text := s.Image + ": " + s.What
	switch took := s.Took.Round(100 * time.Millisecond); {
	case !s.Done:
		return text + " ..."
	case s.Err == nil:
		return fmt.Sprintf("%s: %s", text, took)
	case errors.Is(s.Err, context.Canceled):
		return fmt.Sprintf("%s: ended after %s", text, took)
	default:
		reason, _, _ := strings.Cut(tail(s.Err.Error()), "\n")
		return fmt.Sprintf("%s: did not work after %s: %s", text, took, reason)
	}
}

// Options of a Resolver; the zero value is the default of each.
type Options struct {
	// CacheDir keeps locks, what was downloaded and what was compiled. Default: nuvlaops in os.UserCacheDir.
	CacheDir string
	// Progress is called serially, at the beginning and at the end of each step. Default: nothing is told.
	Progress func(Step)
}

// Resolver finds or makes images. Any number of goroutines and of processes may use one each or share one.
type Resolver struct {
	cache    string
	progress func(Step)
	telling  sync.Mutex

	commands runner
	recipes  fs.FS
	getenv   func(string) string
	now      func() time.Time
}

// New makes a Resolver. nil means defaults. Nothing is asked of the engine yet.
func New(opts *Options) (*Resolver, error) {
	if opts == nil {
		opts = &Options{}
	}
	r := &Resolver{
		cache:    opts.CacheDir,
		progress: opts.Progress,
		commands: processes{},
		recipes:  embedded,
		getenv:   os.Getenv,
		now:      time.Now,
	}
	if r.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find the cache folder (set HOME or XDG_CACHE_HOME): %w", err)
		}
		r.cache = filepath.Join(dir, "nuvlaops")
	}
	return r, nil
}

// Resolve finds the image or makes it. It may take minutes the first time, and a tenth of a second after. It may be called
// again after any error. The error says what to install or to set; when ctx has ended, its error and its cause are in it.
func (r *Resolver) Resolve(ctx context.Context, spec Spec) (Image, error) {
	spec, err := spec.complete()
	if err != nil {
		return Image{}, err
	}
	image, err := r.resolve(ctx, spec)
	if err != nil {
		return Image{}, fmt.Errorf("image of %s: %w", spec, err)
	}
	return image, nil
}

// ResolveAll resolves several images, independent work side by side. The answer has the order of specs.
func (r *Resolver) ResolveAll(ctx context.Context, specs []Spec) ([]Image, error) {
	found := make([]Image, len(specs))
	var jobs []func(context.Context) error
	for i, spec := range specs {
		jobs = append(jobs, func(ctx context.Context) (err error) {
			found[i], err = r.Resolve(ctx, spec)
			return err
		})
	}
	if err := parallel(ctx, jobs...); err != nil {
		return nil, err
	}
	return found, nil
}

func (r *Resolver) resolve(ctx context.Context, spec Spec) (Image, error) {
	for _, name := range spec.Variables() {
		if ref := r.getenv(name); ref != "" {
			image, err := r.fromEnvironment(ctx, spec, ref)
			if err != nil {
				err = fmt.Errorf("%s=%s: %w", name, ref, err)
			}
			return image, err
		}
	}
	tag, noRecipe := r.tagOf(spec)
	if image, err := r.fromEngine(ctx, spec, tag); !errors.Is(err, errNoImage) {
		return image, err
	}
	if ref := officialRef(spec); ref != "" && r.pull(ctx, spec, ref) == nil {
		at, err := r.inspect(ctx, ref)
		if err != nil {
			return Image{}, err
		}
		return r.official(ctx, spec, at, FromRegistry)
	}
	if ctx.Err() != nil {
		return Image{}, ended(ctx)
	}
	if noRecipe != nil {
		return Image{}, noRecipe
	}
	if err := r.assemble(ctx, spec, tag); err != nil {
		return Image{}, err
	}
	return Image{Spec: spec, Ref: tag, Source: FromPackages}, nil
}

// fromEngine takes the official image that is there, else the assembled one with this tag, else it returns errNoImage.
// The tag is empty when there is no recipe.
func (r *Resolver) fromEngine(ctx context.Context, spec Spec, tag string) (Image, error) {
	if ref := officialRef(spec); ref != "" {
		at, err := r.inspect(ctx, ref)
		if err == nil {
			return r.official(ctx, spec, at, FromEngine)
		}
		if !errors.Is(err, errNoImage) {
			return Image{}, err
		}
	}
	if tag == "" {
		return Image{}, errNoImage
	}
	_, err := r.inspect(ctx, tag)
	return Image{Spec: spec, Ref: tag, Source: FromEngine}, err
}

// fromEnvironment takes an image of ours as it is. On anything else of Elasticsearch or ZooKeeper it puts the thin layer:
// whoever names the official image wants it to behave like ours.
func (r *Resolver) fromEnvironment(ctx context.Context, spec Spec, ref string) (Image, error) {
	at, err := r.inspect(ctx, ref)
	if errors.Is(err, errNoImage) {
		if err := r.pullNamed(ctx, spec, ref); err != nil {
			return Image{}, fmt.Errorf("not on this engine and cannot be pulled; load it or unset the variable: %w", err)
		}
		at, err = r.inspect(ctx, ref)
	}
	if err != nil {
		return Image{}, err
	}
	if at.ours() || officialRef(spec) == "" {
		return Image{Spec: spec, Ref: ref, Source: FromEnvironment, Official: at.official()}, nil
	}
	return r.official(ctx, spec, at, FromEnvironment)
}

// official puts the thin layer on an official image. It is built again only when the image or the recipe is another one.
func (r *Resolver) official(ctx context.Context, spec Spec, base inspected, source Source) (Image, error) {
	recipe := recipe{
		name:    string(spec.Name) + "-official",
		version: spec.Version,
		folders: []string{"recipes/" + string(spec.Name) + "-official"},
		parent:  base.ID,
	}
	bin := ""
	if spec.Name == Elasticsearch {
		bin = "recipes/elasticsearch/bin"
		recipe.folders = append(recipe.folders, bin)
	}
	tag, err := recipe.tag(r.recipes)
	if err != nil {
		return Image{}, err
	}
	err = r.once(ctx, spec, tag, func(w work) error {
		if err := w.unfold(recipe.folders[0], ""); err != nil {
			return err
		}
		if bin != "" {
			if err := w.unfold(bin, "bin"); err != nil {
				return err
			}
		}
		return w.build(ctx, base.ref, tag)
	})
	return Image{Spec: spec, Ref: tag, Source: source, Official: true}, err
}

// officialRef is the image that the makers publish, empty where there is none that we would take.
func officialRef(spec Spec) string {
	switch spec.Name {
	case Elasticsearch:
		return "docker.elastic.co/elasticsearch/elasticsearch:" + spec.Version
	case ZooKeeper:
		return "zookeeper:" + spec.Version
	}
	return ""
}

// errNoImage says that the engine does not have the image.
var errNoImage = errors.New("no such image")

// inspected is what the engine knows of an image.
type inspected struct {
	ref    string
	ID     string
	Labels map[string]string
}

func (i inspected) ours() bool     { return i.Labels[Label] != "" }
func (i inspected) official() bool { return !i.ours() || i.Labels[officialLabel] == "true" }

// inspect asks the engine for an image by its name. It never asks a registry. It takes all that docker says: from Engine 29 on the
// labels of an image that has none are left out, and a template that names them fails.
func (r *Resolver) inspect(ctx context.Context, ref string) (inspected, error) {
	out, err := r.docker(ctx, "image", "inspect", "--format", "{{json .}}", ref)
	if err != nil && strings.Contains(strings.ToLower(err.Error()), "no such image") {
		return inspected{}, fmt.Errorf("%s: %w", ref, errNoImage)
	}
	if err != nil {
		return inspected{}, err
	}
	var found struct {
		ID     string `json:"Id"`
		Config struct{ Labels map[string]string }
	}
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		return inspected{}, fmt.Errorf("read what docker says of %s: %w", ref, err)
	}
	return inspected{ref: ref, ID: found.ID, Labels: found.Config.Labels}, nil
}

func (r *Resolver) docker(ctx context.Context, args ...string) (string, error) {
	out, err := r.commands.run(ctx, command{name: "docker", args: args})
	if errors.Is(err, errNotInstalled) {
		return "", fmt.Errorf("%w: install Docker, on Debian as root with internal/testenv/scripts/engine.sh", err)
	}
	return out, err
}

// step tells the beginning and the end of work.
func (r *Resolver) step(image, what string, work func() error) error {
	start := r.now()
	r.tell(Step{Image: image, What: what})
	err := work()
	r.tell(Step{Image: image, What: what, Done: true, Took: r.now().Sub(start), Err: err})
	return err
}

func (r *Resolver) tell(s Step) {
	if r.progress == nil {
		return
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	r.progress(s)
}
