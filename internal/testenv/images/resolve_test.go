package images_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

// engine is a fake Docker engine with a registry.
type engine struct {
	mu     sync.Mutex
	images map[string]map[string]string // reference -> labels
	hub    map[string]bool              // what can be pulled
	asked  []string                     // what was pulled or built, in order
	build  func(ctx context.Context) error
}

func (e *engine) run(ctx context.Context, c images.Command) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	line := c.Line()
	last := line[len(line)-1]
	switch {
	case line[0] != "docker":
		return "", errors.New("not on this machine: " + line[0])
	case line[1] == "image":
		if _, ok := e.images[last]; !ok {
			return "", errors.New("Error: No such image: " + last)
		}
		if e.images[last]["ours"] == "" { // Engine 29 has no labels there, which a template cannot name then
			if strings.Contains(strings.Join(line, " "), ".Labels") {
				return "", errors.New(`template parsing error: executing "" at <.Config.Labels>: map has no entry for key "Labels"`)
			}
			return `{"Id":"sha256:1","Config":{}}`, nil
		}
		labels := `{"` + images.Label + `":"image","org.nuvla.nuvlaops.official":"` + e.images[last]["official"] + `"}`
		return `{"Id":"sha256:1","Config":{"Labels":` + labels + `}}`, nil
	case line[1] == "pull":
		e.asked = append(e.asked, "pull "+last)
		if !e.hub[last] {
			return "", errors.New("dial tcp: no such host")
		}
		e.images[last] = nil
		return "", nil
	case line[1] == "build":
		tag := line[5]
		if e.build != nil {
			if err := e.build(ctx); err != nil {
				return "", err
			}
		}
		e.asked = append(e.asked, "build "+tag[:strings.LastIndex(tag, "-")])
		e.images[tag] = map[string]string{"ours": "yes"}
		return "", nil
	}
	return "", errors.New("unexpected: " + strings.Join(line, " "))
}

type world struct {
	engine
	env map[string]string
	now time.Time
	dir string
}

func newWorld(t *testing.T) *world {
	return &world{
		engine: engine{images: map[string]map[string]string{}, hub: map[string]bool{}},
		env:    map[string]string{},
		now:    time.Now(),
		dir:    t.TempDir(),
	}
}

func (w *world) resolver(t *testing.T) *images.Resolver {
	t.Helper()
	r, err := images.New(&images.Options{CacheDir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	r.Fake(w.run, func(name string) string { return w.env[name] }, func() time.Time { return w.now })
	return r
}

func (w *world) has(t *testing.T, spec images.Spec) string {
	t.Helper()
	tag, err := w.resolver(t).AssembledTag(spec)
	if err != nil {
		t.Fatal(err)
	}
	w.images[tag] = map[string]string{"ours": "yes"}
	return tag
}

func TestImageIsChosenInTheDocumentedOrder(t *testing.T) {
	const official = "docker.elastic.co/elasticsearch/elasticsearch:8.11.3"
	es := images.Spec{Name: images.Elasticsearch}
	type choice struct {
		Source   images.Source
		Official bool
		Asked    []string
	}
	for name, c := range map[string]struct {
		given func(*world)
		want  choice
	}{
		"a variable wins over everything": {
			given: func(w *world) {
				w.env["NUVLAOPS_ES_IMAGE"] = "mine/es:1"
				w.images["mine/es:1"] = map[string]string{"ours": "yes"}
				w.images[official] = nil
				w.has(t, es)
			},
			want: choice{Source: images.FromEnvironment},
		},
		"a variable with the version wins over the one without": {
			given: func(w *world) {
				w.env["NUVLAOPS_ES_IMAGE"] = "nobody/has:this"
				w.env["NUVLAOPS_ES_8_11_3_IMAGE"] = "mine/es:1"
				w.images["mine/es:1"] = map[string]string{"ours": "yes"}
			},
			want: choice{Source: images.FromEnvironment},
		},
		"an image that a variable names and that is not ours gets the thin layer": {
			given: func(w *world) {
				w.env["NUVLAOPS_ES_IMAGE"] = "nuvla/es:8.11.3.0"
				w.hub["nuvla/es:8.11.3.0"] = true
			},
			want: choice{images.FromEnvironment, true, []string{"pull nuvla/es:8.11.3.0", "build nuvlaops-test/elasticsearch-official:8.11.3"}},
		},
		"the official image on the engine wins over the assembled one": {
			given: func(w *world) {
				w.images[official] = nil
				w.has(t, es)
			},
			want: choice{images.FromEngine, true, []string{"build nuvlaops-test/elasticsearch-official:8.11.3"}},
		},
		"the assembled image on the engine wins over a pull": {
			given: func(w *world) {
				w.hub[official] = true
				w.has(t, es)
			},
			want: choice{Source: images.FromEngine},
		},
		"a pull wins over assembly": {
			given: func(w *world) { w.hub[official] = true },
			want:  choice{images.FromRegistry, true, []string{"pull " + official, "build nuvlaops-test/elasticsearch-official:8.11.3"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.given(w)
			image, err := w.resolver(t).Resolve(t.Context(), es)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, choice{image.Source, image.Official, w.asked}); diff != "" {
				t.Error(diff)
			}
			if _, ok := w.images[image.Ref]; !ok {
				t.Errorf("the engine has no %s", image.Ref)
			}
		})
	}
}

func TestOfficialImageOfAVersionWithoutARecipeIsTaken(t *testing.T) {
	w := newWorld(t)
	w.hub["docker.elastic.co/elasticsearch/elasticsearch:9.1.0"] = true
	image, err := w.resolver(t).Resolve(t.Context(), images.Spec{Name: images.Elasticsearch, Version: "9.1.0"})
	if err != nil || !image.Official || image.Source != images.FromRegistry {
		t.Errorf("%+v, %v", image, err)
	}
}

func TestImageIsAssembledWhereNoRegistryAnswers(t *testing.T) {
	w := newWorld(t)
	w.has(t, images.Spec{Name: images.Base})
	consumer := images.Spec{Name: images.Consumer}
	image, err := w.resolver(t).Resolve(t.Context(), consumer)
	if err != nil {
		t.Fatal(err)
	}
	if image.Source != images.FromPackages || image.Official {
		t.Errorf("source %s, official %t", image.Source, image.Official)
	}
	again, err := w.resolver(t).Resolve(t.Context(), consumer)
	if err != nil {
		t.Fatal(err)
	}
	if again.Ref != image.Ref || again.Source != images.FromEngine {
		t.Errorf("second time: %+v", again)
	}
	if diff := cmp.Diff([]string{"build nuvlaops-test/consumer:bookworm"}, w.asked); diff != "" {
		t.Error(diff)
	}
}

func TestRegistryThatDoesNotAnswerIsNotAskedAgainForAWhile(t *testing.T) {
	w := newWorld(t)
	zk := images.Spec{Name: images.ZooKeeper}
	next := images.Spec{Name: images.ZooKeeper, Version: images.ZooKeeperNextVersion}
	resolve := func(spec images.Spec) { // assembly ends with an error here, and does not matter
		_, _ = w.resolver(t).Resolve(t.Context(), spec)
	}
	resolve(zk)
	resolve(next)
	first := []string{"pull zookeeper:3.4.13"}
	if diff := cmp.Diff(first, w.asked); diff != "" {
		t.Error(diff)
	}
	w.now = w.now.Add(11 * time.Minute)
	resolve(next)
	if diff := cmp.Diff(append(first, "pull zookeeper:3.9.5"), w.asked); diff != "" {
		t.Error(diff)
	}
}

func TestNoRegistryIsAskedWhenPullIsNever(t *testing.T) {
	w := newWorld(t)
	w.env["NUVLAOPS_PULL"] = "never"
	w.hub["zookeeper:3.4.13"] = true
	_, _ = w.resolver(t).Resolve(t.Context(), images.Spec{Name: images.ZooKeeper})
	if len(w.asked) != 0 {
		t.Errorf("asked: %v", w.asked)
	}
}

func TestVariableWithAnImageThatCannotBeHadIsAnErrorThatNamesIt(t *testing.T) {
	w := newWorld(t)
	w.env["NUVLAOPS_S3_IMAGE"] = "nobody/has:this"
	_, err := w.resolver(t).Resolve(t.Context(), images.Spec{Name: images.S3})
	if err == nil || !strings.Contains(err.Error(), "NUVLAOPS_S3_IMAGE=nobody/has:this") {
		t.Errorf("error %v", err)
	}
}

func TestUnknownVersionIsAnErrorThatNamesTheVariable(t *testing.T) {
	w := newWorld(t)
	_, err := w.resolver(t).Resolve(t.Context(), images.Spec{Name: images.Elasticsearch, Version: "7.17.0"})
	if err == nil || !strings.Contains(err.Error(), "NUVLAOPS_ES_7_17_0_IMAGE") {
		t.Errorf("error %v", err)
	}
}

func TestSeveralCallersBuildAnImageOnce(t *testing.T) {
	w := newWorld(t)
	w.has(t, images.Spec{Name: images.Base})
	var callers sync.WaitGroup
	for range 8 {
		r := w.resolver(t) // as in processes of their own
		callers.Go(func() {
			if _, err := r.Resolve(t.Context(), images.Spec{Name: images.Consumer}); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if len(w.asked) != 1 {
		t.Errorf("built: %v", w.asked)
	}
}

func TestCancelledBuildLeavesNoFolderAndCanBeRepeated(t *testing.T) {
	w := newWorld(t)
	w.has(t, images.Spec{Name: images.Base})
	ctx, cancel := context.WithCancel(t.Context())
	w.build = func(ctx context.Context) error {
		cancel()
		return ctx.Err()
	}
	consumer := images.Spec{Name: images.Consumer}
	if _, err := w.resolver(t).Resolve(ctx, consumer); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(w.dir, "work", "*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	w.build = nil
	// What a process that was killed has left is in nobody's way.
	tag, _ := w.resolver(t).AssembledTag(consumer)
	stale := filepath.Join(w.dir, "work", strings.NewReplacer("/", "_", ":", "_").Replace(tag), "context", "stale")
	if err := os.MkdirAll(stale, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := w.resolver(t).Resolve(t.Context(), consumer); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", stale)
	}
}
