package images

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// dependencyPlugin is pinned: without a version, Maven asks for the newest.
const dependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:"

const installMaven = "install Maven and Java 17 or later (on Debian as root: internal/testenv/scripts/engine.sh --tools)"

// maven runs one goal. Two of them must not share a local repository at the same time.
func (w work) maven(ctx context.Context, goal string, args ...string) error {
	_, unlock, err := w.r.lock(ctx, "maven")
	if err != nil {
		return err
	}
	defer unlock()
	line := append([]string{"--batch-mode", "--quiet", dependencyPlugin + goal}, args...)
	_, err = w.run(ctx, command{name: "mvn", args: line, dir: w.dir})
	if errors.Is(err, errNotInstalled) {
		return fmt.Errorf("%w: %s", err, installMaven)
	}
	return err
}

// artifact downloads group:name:version:type into a folder.
func (w work) artifact(ctx context.Context, coordinates, folder string) error {
	return w.maven(ctx, "copy", "-Dartifact="+coordinates, "-DoutputDirectory="+folder)
}

// dependencies downloads what a pom asks for at run time into a folder.
func (w work) dependencies(ctx context.Context, pom, folder string, properties ...string) error {
	args := []string{"--file", pom, "-DoutputDirectory=" + folder, "-DincludeScope=runtime"}
	return w.maven(ctx, "copy-dependencies", append(args, properties...)...)
}

// unzip unpacks an archive without its topmost folder.
func unzip(archive, to string) error {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer reader.Close()
	for _, file := range reader.File {
		_, name, _ := strings.Cut(file.Name, "/")
		if name == "" {
			continue
		}
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s: %s is outside", archive, file.Name)
		}
		target := filepath.Join(to, name)
		if file.FileInfo().IsDir() {
			err = os.MkdirAll(target, 0o755)
		} else {
			err = unzipFile(file, target)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func unzipFile(file *zip.File, target string) (err error) {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	in, err := file.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, file.Mode().Perm()|0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

// jar packs a folder of classes.
func jar(classes, target string) (err error) {
	out, err := os.Create(target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	archive := zip.NewWriter(out)
	if err := archive.AddFS(os.DirFS(classes)); err != nil {
		return err
	}
	return archive.Close()
}
