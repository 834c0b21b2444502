package stack_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

// holder is where a volume is mounted in a container that is never started: only root may look where an engine keeps it.
const holder = "/volume"

// holding calls do with a container that has the volume, and removes the container.
func (b *bench) holding(volume string, do func(container string) error) {
	b.t.Helper()
	_, err := b.api.VolumeInspect(b.t.Context(), volume, client.VolumeInspectOptions{}) // a container would make what is missing
	must(b.t, err)
	made, err := b.api.ContainerCreate(b.t.Context(), client.ContainerCreateOptions{
		Config: &container.Config{Image: b.image, Labels: map[string]string{testenv.Label: testenv.OwnerLabelValue()}},
		HostConfig: &container.HostConfig{Mounts: []mount.Mount{{
			Type: mount.TypeVolume, Source: volume, Target: holder, VolumeOptions: &mount.VolumeOptions{NoCopy: true}}}},
	})
	must(b.t, err)
	err = do(made.ID)
	_, removed := b.api.ContainerRemove(context.Background(), made.ID, client.ContainerRemoveOptions{Force: true})
	must(b.t, errors.Join(err, removed))
}

// files gives all that is in a volume, but not the volume's own folder.
func (b *bench) files(volume string) (files []*tar.Header) {
	b.t.Helper()
	b.holding(volume, func(container string) error {
		archive, err := b.api.CopyFromContainer(b.t.Context(), container, client.CopyFromContainerOptions{SourcePath: holder + "/."})
		if err != nil {
			return err
		}
		defer archive.Content.Close()
		all, err := archived(archive.Content)
		files = slices.DeleteFunc(all, func(f *tar.Header) bool { return path.Clean(f.Name) == "." })
		return err
	})
	return files
}

// archived gives all that is in a tar archive.
func archived(archive io.Reader) (files []*tar.Header, err error) {
	for r := tar.NewReader(archive); ; {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
}

// marks counts the files that the services of a volume left: how often they were started with this volume.
func (b *bench) marks(volume string) (n int) {
	b.t.Helper()
	for _, f := range b.files(volume) {
		if strings.HasPrefix(path.Base(f.Name), "mark-") {
			n++
		}
	}
	return n
}

// contents are the files of a volume, with their modes and owners.
func (b *bench) contents(volume string) map[string]string {
	b.t.Helper()
	out := map[string]string{}
	for _, f := range b.files(volume) {
		out[path.Clean(f.Name)] = fmt.Sprint(f.FileInfo().Mode(), f.Size, f.ModTime.Unix(), f.Uid)
	}
	return out
}

// write puts files into a volume.
func (b *bench) write(volume string, content []byte, names ...string) {
	b.t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, name := range names {
		must(b.t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: time.Now()}))
		_, err := w.Write(content)
		must(b.t, err)
	}
	must(b.t, w.Close())
	b.holding(volume, func(container string) error {
		_, err := b.api.CopyToContainer(b.t.Context(), container, client.CopyToContainerOptions{DestinationPath: holder, Content: &archive})
		return err
	})
}
