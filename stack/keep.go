package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// keepTarget is where a volume is mounted in the container that it is read through, and the folder in the archive.
const keepTarget = "/volume"

// KeepVolumes writes each volume of the plan to DIR/VOLUME@NODE.tar, for a caller who wants to keep old data before Wipe:
// call it when the services are stopped. An archive is there whole or not at all. One that is there already is an error,
// ErrExists: it may be the last copy of other data.
//
// The volume is read through a container that is made from image and never started; the image must be on the volume's
// node, and its content does not matter.
func (s *Swarm) KeepVolumes(ctx context.Context, plan *WipePlan, image, dir string) error {
	return nuvlaops.Wrap("stack.KeepVolumes", plan.Stack, s.keepVolumes(ctx, plan, image, dir))
}

func (s *Swarm) keepVolumes(ctx context.Context, plan *WipePlan, image, dir string) error {
	f, err := s.fleet(ctx)
	if err != nil {
		return err
	}
	for _, v := range plan.Volumes {
		e := f.on(v.NodeID)
		if e == nil {
			return &nuvlaops.Error{Resource: v.Name, Reason: "node " + v.Node + " cannot be reached", Err: nuvlaops.ErrRefused,
				Hint: "name its engine in Options.Engines"}
		}
		there, err := s.inspect(ctx, e, v.Name)
		switch {
		case err != nil:
			return err
		case there == nil: // mounting it would make it anew
			return &nuvlaops.Error{Resource: v.Name, Reason: "the volume is gone", Err: nuvlaops.ErrNotFound}
		}
		path := filepath.Join(dir, v.Name+"@"+v.Node+".tar")
		if err := s.keepVolume(ctx, e, v.Name, image, path); err != nil {
			return fmt.Errorf("keep volume %s: %w", v.Name, err)
		}
		s.opts.Logger.InfoContext(ctx, "volume kept", "volume", v.Name, "node", v.Node, "file", path)
	}
	return nil
}

func (s *Swarm) keepVolume(ctx context.Context, e *engine, name, image, path string) (err error) {
	if _, err := os.Stat(path); err == nil {
		return &nuvlaops.Error{Resource: path, Reason: "the archive is there already", Err: nuvlaops.ErrExists, Hint: "move it away"}
	}
	if err := s.removeReaders(ctx, e, name); err != nil {
		return err
	}
	made, err := e.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{Image: image, Cmd: []string{"never-started"}, Labels: map[string]string{labelKeep: name}},
		HostConfig: &container.HostConfig{NetworkMode: "none", Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: name,
			Target: keepTarget, ReadOnly: true, VolumeOptions: &mount.VolumeOptions{NoCopy: true}}}},
	})
	if err != nil {
		return explain(image, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settle)
		defer cancel()
		_, removeErr := e.api.ContainerRemove(ctx, made.ID, client.ContainerRemoveOptions{Force: true})
		err = errors.Join(err, explain(made.ID, removeErr)) // left behind, it holds the volume
	}()
	archive, err := e.api.CopyFromContainer(ctx, made.ID, client.CopyFromContainerOptions{SourcePath: keepTarget})
	if err != nil {
		return explain(name, err)
	}
	defer archive.Content.Close()
	return writeFile(path, archive.Content)
}

// removeReaders removes what a call that was killed has left: it would hold the volume for good.
func (s *Swarm) removeReaders(ctx context.Context, e *engine, name string) error {
	left, err := read(ctx, s, name, func(ctx context.Context) (client.ContainerListResult, error) {
		return e.api.ContainerList(ctx, client.ContainerListOptions{All: true,
			Filters: make(client.Filters).Add("label", labelKeep+"="+name)})
	})
	if err != nil {
		return err
	}
	for _, c := range left.Items {
		if _, err := e.api.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true}); err != nil && !cerrdefs.IsNotFound(err) {
			return explain(c.ID, err)
		}
	}
	return nil
}

// writeFile writes to a temporary name, fsyncs and renames.
func writeFile(path string, from io.Reader) (err error) {
	part := fmt.Sprintf("%s.part%d", path, time.Now().UnixNano())
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part)
		}
	}()
	_, err = io.Copy(file, from)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(part, path)
}
