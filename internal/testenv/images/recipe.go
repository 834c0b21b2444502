package images

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed recipes
var embedded embed.FS

// Label is on every image that is built here, and its value on images is "image".
const Label = "org.nuvla.nuvlaops.testenv"

// officialLabel is on those that are built on an official image.
const officialLabel = "org.nuvla.nuvlaops.official"

// repository is where our images are, so that nobody takes one for the official one.
const repository = "nuvlaops-test/"

// recipe is what an image is made from: all of it, so that its hash names the result.
type recipe struct {
	name    string   // elasticsearch
	version string   // 8.11.3
	folders []string // of the embedded recipes; the first has the Dockerfile
	parent  string   // the image that it is built on
	inputs  []string // whatever else decides what comes out
}

// tag is nuvlaops-test/elasticsearch:8.11.3-0123456789ab.
func (r recipe) tag(recipes fs.FS) (string, error) {
	sum, err := r.hash(recipes)
	if err != nil {
		return "", fmt.Errorf("hash the recipe of %s: %w", r.name, err)
	}
	return repository + r.name + ":" + r.version + "-" + sum[:12], nil
}

func (r recipe) hash(recipes fs.FS) (string, error) {
	h := sha256.New()
	for _, part := range append([]string{r.name, r.version, r.parent}, r.inputs...) {
		fmt.Fprintf(h, "%d %s\n", len(part), part)
	}
	for _, folder := range r.folders {
		err := fs.WalkDir(recipes, folder, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := fs.ReadFile(recipes, name)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%s %d\n%s\n", name, len(content), content)
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// unfold writes an embedded folder to disk; scripts can be run.
func unfold(recipes fs.FS, folder, to string) error {
	return fs.WalkDir(recipes, folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, filepath.FromSlash(name[len(folder):]))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		content, err := fs.ReadFile(recipes, name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(content, []byte("#!")) {
			mode = 0o755
		}
		return os.WriteFile(target, content, mode)
	})
}

// line is the release line of a version: 8.11 of 8.11.3.
func line(version string) string {
	dots := 0
	for i, c := range version {
		if c == '.' {
			if dots++; dots == 2 {
				return version[:i]
			}
		}
	}
	return version
}
