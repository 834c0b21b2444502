package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/atomicfile"
)

const (
	// keepTarget is where a volume is mounted in the container that it is read through, and the folder in the archive.
	keepTarget = "/volume"
	// keepCopy is the folder in which the copy is mounted, under the same name.
	keepCopy = "/copy"
)

// KeepOptions say how KeepVolumes keeps data: Dir or Suffix.
type KeepOptions struct {
	// Dir is a folder of this machine that is there: each volume is written to DIR/VOLUME@NODE.tar.
	Dir string
	// Suffix makes the names of new volumes, VOLUME+SUFFIX on the same node. They are not the stack's: no wipe takes them.
	Suffix string
	// Image that the volumes are read through: it must be on their nodes, and its content does not matter. Default: that of
	// a service that mounts the volume.
	Image string
}

func (o KeepOptions) validate() error {
	if (o.Dir == "") == (o.Suffix == "") {
		return &nuvlaops.Error{Resource: "KeepOptions", Reason: "want a folder or a suffix, and not both", Err: nuvlaops.ErrInvalid}
	}
	if o.Suffix != "" {
		return validName("volume", "x"+o.Suffix)
	}
	return nil
}

// KeepVolumes archives or copies each volume of the plan, for a caller who wants to keep old data before Wipe: call it when
// the services are stopped. An archive or a copy is there whole or not at all, and what a killed call has left of one is
// made anew. A volume is read through a container that is never started, so that nothing of its image runs.
//
// Errors: ErrExists (a whole one is there already: it may be the last copy of other data), ErrConflict (a volume is not the very one
// of the plan), ErrNotFound (it is gone), ErrRefused (the engine of its node cannot be reached, or a job alone reaches it),
// ErrVerification (the engine's archive of it ends too early), ErrInvalid (no plan, not one of Dir and Suffix, or no service mounts
// a volume and no Image is named).
func (s *Swarm) KeepVolumes(ctx context.Context, plan *WipePlan, opts KeepOptions) error {
	name := ""
	if plan != nil {
		name = plan.Stack
	}
	return nuvlaops.Wrap("stack.KeepVolumes", name, s.keepVolumes(ctx, plan, opts))
}

func (s *Swarm) keepVolumes(ctx context.Context, plan *WipePlan, opts KeepOptions) error {
	if plan == nil {
		return &nuvlaops.Error{Reason: "no plan", Err: nuvlaops.ErrInvalid, Hint: "plan with PlanWipe"}
	}
	if err := opts.validate(); err != nil {
		return err
	}
	f, err := s.fleet(ctx)
	if err != nil {
		return err
	}
	w, err := s.see(ctx, plan.Stack, f)
	if err == nil {
		err = s.seeGone(ctx, w, plan.Options)
	}
	if err != nil {
		return err
	}
	for _, v := range plan.Volumes {
		if err := s.keepVolume(ctx, w, v, opts); err != nil {
			return fmt.Errorf("keep volume %s: %w", v.Name, err)
		}
		s.opts.Logger.InfoContext(ctx, "volume kept", "volume", v.Name, "node", v.Node)
	}
	return nil
}

func (s *Swarm) keepVolume(ctx context.Context, w *world, v Volume, opts KeepOptions) (err error) {
	k := keeper{s: s, on: w.fleet.on(v.NodeID), volume: v.Name, image: opts.Image}
	if k.on == nil {
		return &nuvlaops.Error{Resource: v.Name, Reason: "node " + v.Node + " cannot be reached", Err: nuvlaops.ErrRefused,
			Hint: "name the engine of that node: a job cannot keep volumes"}
	}
	switch there, err := s.inspect(ctx, k.on, v.Name); {
	case err != nil:
		return err
	case there == nil: // mounting it would make it anew
		return &nuvlaops.Error{Resource: v.Name, Reason: "the volume is gone", Err: nuvlaops.ErrNotFound}
	case !v.is(there, w.stack):
		return otherVolume(v.Name, "it was not kept")
	}
	if k.image == "" {
		if k.image, err = w.imageOver(v.Name); err != nil {
			return err
		}
	}
	if err := k.clean(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*settle)
			defer cancel()
			err = errors.Join(err, k.clean(ctx))
		}
	}()
	if opts.Suffix != "" {
		return k.copyTo(ctx, v.Name+opts.Suffix)
	}
	return k.archiveTo(ctx, filepath.Join(opts.Dir, v.Name+"@"+v.Node+".tar"))
}

// imageOver is the image of a service that mounts a volume: it is on the volume's node.
func (w *world) imageOver(volume string) (string, error) {
	for _, name := range w.mountedBy(volume) {
		if c := w.services[name].Spec.TaskTemplate.ContainerSpec; c != nil {
			return c.Image, nil
		}
	}
	return "", &nuvlaops.Error{Resource: volume, Reason: "no service mounts the volume, so no image is known that is on its node",
		Err: nuvlaops.ErrInvalid, Hint: "name an image that is on its node"}
}

// keeper reads one volume.
type keeper struct {
	s             *Swarm
	on            *engine
	volume, image string
}

func (k keeper) archiveTo(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err == nil {
		return &nuvlaops.Error{Resource: path, Reason: "the archive is there already", Err: nuvlaops.ErrExists, Hint: "move it away"}
	}
	_ = atomicfile.RemoveParts(path) // of a call that was killed
	return k.read(ctx, nil, func(_ string, archive io.Reader) error {
		return atomicfile.Write(path, func(w io.Writer) error {
			_, err := io.Copy(w, archive)
			return err
		})
	})
}

// copyTo copies to a volume that is not there. As long as the copy is not whole, a container that does nothing says so.
func (k keeper) copyTo(ctx context.Context, copied string) error {
	switch there, err := k.s.inspect(ctx, k.on, copied); {
	case err != nil:
		return err
	case there != nil:
		return &nuvlaops.Error{Resource: copied, Reason: "a volume of this name is there already", Err: nuvlaops.ErrExists,
			Hint: "choose another suffix, or: docker volume rm " + copied}
	}
	sign, err := k.create(ctx, map[string]string{labelKeep: k.volume, labelPart: copied})
	if err != nil {
		return err
	}
	target := mount.Mount{Type: mount.TypeVolume, Source: copied, Target: keepCopy + keepTarget,
		VolumeOptions: &mount.VolumeOptions{NoCopy: true, Labels: map[string]string{labelKeep: k.volume}}}
	err = k.read(ctx, []mount.Mount{target}, func(container string, archive io.Reader) error {
		_, err := k.on.api.CopyToContainer(ctx, container, client.CopyToContainerOptions{DestinationPath: keepCopy, Content: archive})
		return err
	})
	if err != nil {
		return err
	}
	return k.remove(ctx, sign)
}

// read hands the volume's files to use, as a tar archive of the folder keepTarget. The container that it is read through
// has more mounts, if there are any.
func (k keeper) read(ctx context.Context, more []mount.Mount, use func(container string, archive io.Reader) error) error {
	reader, err := k.create(ctx, map[string]string{labelKeep: k.volume}, append(more, mount.Mount{Type: mount.TypeVolume, Source: k.volume,
		Target: keepTarget, ReadOnly: true, VolumeOptions: &mount.VolumeOptions{NoCopy: true}})...)
	if err != nil {
		return err
	}
	archive, err := k.on.api.CopyFromContainer(ctx, reader, client.CopyFromContainerOptions{SourcePath: keepTarget})
	if err != nil {
		return explain(k.volume, err)
	}
	defer archive.Content.Close()
	whole := wholeArchive(archive.Content)
	defer whole.Close()
	if err := use(reader, whole); err != nil {
		return explain(k.volume, err)
	}
	return k.remove(ctx, reader)
}

// create makes a container that is never started.
func (k keeper) create(ctx context.Context, labels map[string]string, mounts ...mount.Mount) (id string, err error) {
	made, err := k.on.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config:     &container.Config{Image: k.image, Cmd: []string{"never-started"}, Labels: labels},
		HostConfig: &container.HostConfig{NetworkMode: "none", Mounts: mounts},
	})
	return made.ID, explain(k.image, err)
}

// remove removes a container of ours, with the anonymous volumes that its image asks for.
func (k keeper) remove(ctx context.Context, id string) error {
	_, err := k.on.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return explain(id, err)
}

// clean removes what a call that failed or was killed has left: first the containers that hold volumes, then the copies
// that are not whole, and last the containers that say so.
func (k keeper) clean(ctx context.Context) error {
	left, err := read(ctx, k.s, k.volume, func(ctx context.Context) (client.ContainerListResult, error) {
		return k.on.api.ContainerList(ctx, client.ContainerListOptions{All: true,
			Filters: make(client.Filters).Add("label", labelKeep+"="+k.volume)})
	})
	if err != nil {
		return err
	}
	slices.SortFunc(left.Items, func(a, b container.Summary) int { return cmp.Compare(a.Labels[labelPart], b.Labels[labelPart]) })
	for _, c := range left.Items {
		if part := c.Labels[labelPart]; part != "" {
			if err := k.s.removeVolume(ctx, k.on, part); err != nil {
				return err
			}
		}
		if err := k.remove(ctx, c.ID); err != nil {
			return err
		}
	}
	return nil
}
