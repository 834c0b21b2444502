package testenv

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/moby/moby/client"
)

// ProgramImage builds the program of a package as Build does, and imports it into the machine's engine as an image of one file,
// unless that very image is there. path is where the file is in it.
func ProgramImage(ctx context.Context, path, pkg string) (ref string, err error) {
	dir, err := os.MkdirTemp("", filepath.Base(path))
	if err != nil {
		return "", op("ProgramImage", pkg, err)
	}
	defer os.RemoveAll(dir)
	program, err := Build(ctx, dir, pkg, "-ldflags=-s -w -buildid=")
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(program)
	if err == nil {
		ref, err = importFile(ctx, path, content)
	}
	return ref, op("ProgramImage", pkg, err)
}

func importFile(ctx context.Context, path string, content []byte) (ref string, err error) {
	sum := sha256.Sum256(content)
	ref = "nuvlaops-test/" + filepath.Base(path) + ":" + hex.EncodeToString(sum[:6])
	api, err := client.New(client.FromEnv)
	if err != nil {
		return "", err
	}
	defer api.Close()
	if _, err := api.ImageInspect(ctx, ref); err == nil {
		return ref, nil
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err = w.WriteHeader(&tar.Header{Name: path, Mode: 0o755, Size: int64(len(content))})
	_, writeErr := w.Write(content)
	if err := errors.Join(err, writeErr, w.Close()); err != nil {
		return "", err
	}
	res, err := api.ImageImport(ctx, client.ImageImportSource{Source: &archive, SourceName: "-"}, ref,
		client.ImageImportOptions{Changes: []string{"LABEL " + Label + "=image", `ENTRYPOINT ["/` + path + `"]`}})
	if err != nil {
		return "", err
	}
	defer res.Close()
	_, err = io.Copy(io.Discard, res)
	return ref, err
}
