package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// compiler is the one of Eclipse: on Java 17 it reads the classes of servers that need a later one, which that of a JDK 17 does not.
const compiler = "org.eclipse.jdt:ecj:3.44.0"

// elasticsearch fetches the server and compiles the s3 fixture against its own jars.
func (w work) elasticsearch(ctx context.Context) error {
	version := w.spec.Version
	err := w.step("fetch the server", func() error {
		if err := w.artifact(ctx, "org.elasticsearch.distribution.integ-test-zip:elasticsearch:"+version+":zip", w.dir); err != nil {
			return err
		}
		return unzip(filepath.Join(w.dir, "elasticsearch-"+version+".zip"), w.path("elasticsearch"))
	})
	if err != nil {
		return err
	}
	source := filepath.Join(w.dir, "s3plugin") // a file of the release line takes the place of the common one
	for _, folder := range []string{"recipes/s3plugin", "recipes/s3plugin-" + line(version)} {
		if err := unfold(w.r.recipes, folder, source); err != nil {
			return fmt.Errorf("write recipe %s: %w", folder, err)
		}
	}
	err = w.step("fetch the AWS SDK", func() error {
		return w.dependencies(ctx, filepath.Join(source, "pom.xml"), w.path("plugin"))
	})
	if err != nil {
		return err
	}
	return w.step("compile the s3 fixture", func() error { return w.fixture(ctx, source) })
}

// fixture compiles the plugin and puts it together.
func (w work) fixture(ctx context.Context, source string) error {
	sources, err := filepath.Glob(filepath.Join(source, "*.java"))
	if err != nil {
		return err
	}
	if err := w.artifact(ctx, compiler, w.dir); err != nil {
		return err
	}
	programs, err := filepath.Glob(filepath.Join(w.dir, "ecj-*.jar"))
	if err != nil {
		return err
	}
	if len(programs) != 1 {
		return fmt.Errorf("mvn left %d compilers where one was expected", len(programs))
	}
	var libraries []string
	for _, pattern := range []string{"elasticsearch/lib/*.jar", "plugin/*.jar"} {
		found, err := filepath.Glob(w.path(pattern))
		if err != nil {
			return err
		}
		libraries = append(libraries, found...)
	}
	classes := filepath.Join(w.dir, "classes")
	args := []string{"-jar", programs[0], "--release", "17", "-proc:none", "-nowarn", "-d", classes,
		"-cp", strings.Join(libraries, string(os.PathListSeparator))}
	if _, err := w.run(ctx, command{name: java(w.r.getenv), args: append(args, sources...)}); errors.Is(err, errNotInstalled) {
		return fmt.Errorf("%w: %s", err, installMaven)
	} else if err != nil {
		return err
	}
	if err := jar(classes, w.path("plugin/nuvlaops-s3-fixture.jar")); err != nil {
		return fmt.Errorf("pack the s3 fixture: %w", err)
	}
	for _, name := range []string{"plugin-security.policy", "entitlement-policy.yaml", "plugin-descriptor.properties"} {
		content, err := os.ReadFile(filepath.Join(source, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // of the two policies, a server has one
		}
		if err != nil {
			return err
		}
		content = []byte(strings.ReplaceAll(string(content), "@VERSION@", w.spec.Version))
		if err := os.WriteFile(w.path("plugin/"+name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func java(getenv func(string) string) string {
	if home := getenv("JAVA_HOME"); home != "" {
		return filepath.Join(home, "bin", "java")
	}
	return "java"
}

// zooKeeper fetches the server and what it needs.
func (w work) zooKeeper(ctx context.Context) error {
	folder := "recipes/zookeeper-" + line(w.spec.Version)
	if err := w.unfold(folder+"/conf", "conf"); err != nil {
		return err
	}
	source := filepath.Join(w.dir, "pom")
	if err := unfold(w.r.recipes, folder, source); err != nil {
		return fmt.Errorf("write recipe %s: %w", folder, err)
	}
	return w.step("fetch the server", func() error {
		return w.dependencies(ctx, filepath.Join(source, "pom.xml"), w.path("lib"), "-Dserver.version="+w.spec.Version)
	})
}

// s3 compiles versitygw, once for each version.
func (w work) s3(ctx context.Context) error {
	cached := filepath.Join(w.r.cache, "bin", "versitygw-"+w.spec.Version)
	if _, err := os.Stat(cached); errors.Is(err, os.ErrNotExist) {
		if err := w.step("compile versitygw "+w.spec.Version, func() error { return w.versitygw(ctx, cached) }); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	return copyFile(cached, w.path("versitygw"))
}

func (w work) versitygw(ctx context.Context, to string) error {
	modules, err := w.run(ctx, command{name: "go", args: []string{"env", "GOMODCACHE"}, dir: w.dir})
	if errors.Is(err, errNotInstalled) {
		return fmt.Errorf("%w: install Go", err)
	}
	if err != nil {
		return err
	}
	// A GOPATH of our own rather than GOBIN, which would refuse to compile for Linux elsewhere.
	home := filepath.Join(w.dir, "go")
	_, err = w.run(ctx, command{
		name: "go",
		args: []string{"install", "-ldflags=-s -w", "github.com/versity/versitygw/cmd/versitygw@v" + w.spec.Version},
		dir:  w.dir,
		env:  []string{"GOPATH=" + home, "GOMODCACHE=" + strings.TrimSpace(modules), "GOBIN=", "GOFLAGS=", "GOOS=linux", "CGO_ENABLED=0"},
	})
	if err != nil {
		return err
	}
	var made []string
	for _, pattern := range []string{"bin/versitygw", "bin/*/versitygw"} {
		found, _ := filepath.Glob(filepath.Join(home, pattern))
		made = append(made, found...)
	}
	if len(made) != 1 {
		return fmt.Errorf("go install left %d programs where one was expected", len(made))
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Rename(made[0], to)
}

// copyFile links where it can: both are in the cache folder.
func copyFile(from, to string) error {
	if err := os.Link(from, to); err == nil {
		return nil
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}
