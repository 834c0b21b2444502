package testenv

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/client"
)

// Label is on everything that this package makes on an engine. Its value names the owner, see OwnerLabelValue; on images
// it is "image".
const Label = "org.nuvla.nuvlaops.testenv"

// keptLabel is on the mark of Keep: an empty volume, which carries Label too.
const keptLabel = Label + ".kept"

// Sweep removes what processes have left that are not alive any more (kill -9, a power cut), but for what Keep has marked,
// and for images. It returns what it removed, as "container NAME". The first start in a process calls it.
func Sweep(ctx context.Context) (removed []string, err error) {
	p := own()
	docker, err := p.unswept(ctx)
	if err != nil {
		return nil, op("Sweep", "", err)
	}
	removed, err = sweep(ctx, docker, p.me, 0)
	return removed, op("Sweep", "", err)
}

// unswept is the engine for one who sweeps by himself.
func (p *process) unswept(ctx context.Context) (*client.Client, error) {
	p.setup.Lock()
	p.swept = true
	p.setup.Unlock()
	return p.engine(ctx)
}

func sweep(ctx context.Context, docker *client.Client, me owner, patience time.Duration) ([]string, error) {
	gone, err := goneOwners(ctx, docker, me)
	if err != nil {
		return nil, err
	}
	r := removal{docker: docker, match: gone, patience: patience}
	if err := r.run(ctx); err != nil {
		return r.removed, err
	}
	left, err := releaseSwarm(ctx, docker, gone)
	if left {
		r.removed = append(r.removed, "swarm")
	}
	return r.removed, err
}

// goneOwners returns the test of a label's value: is its owner surely dead, and what it made not kept?
func goneOwners(ctx context.Context, docker *client.Client, me owner) (func(value string) bool, error) {
	kept, err := keptOwners(ctx, docker)
	if err != nil {
		return nil, err
	}
	return func(value string) bool {
		o, ok := parseOwner(value)
		return ok && !kept[value] && o.dead(me, local(docker))
	}, nil
}

func keptOwners(ctx context.Context, docker *client.Client) (map[string]bool, error) {
	list, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: make(client.Filters).Add("label", keptLabel)})
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	kept := map[string]bool{}
	for _, v := range list.Items {
		kept[v.Labels[Label]] = true
	}
	return kept, nil
}

// Clean removes everything that carries Label, whoever owns it and whether it is alive or not, with the images of this
// project and a swarm that this package made (unless services run in it that are not ours). It returns what it removed.
func Clean(ctx context.Context) (removed []string, err error) {
	docker, err := own().unswept(ctx)
	if err != nil {
		return nil, op("Clean", "", err)
	}
	all := func(string) bool { return true }
	r := removal{docker: docker, match: all, images: true}
	if err := r.run(ctx); err != nil {
		return r.removed, op("Clean", "", err)
	}
	left, err := releaseSwarm(ctx, docker, all)
	if left {
		r.removed = append(r.removed, "swarm")
	}
	return r.removed, op("Clean", "", err)
}

// RemoveOwn removes everything that this process has made. Calls that are making something end with ErrClosing first.
func RemoveOwn(ctx context.Context) error {
	return op("RemoveOwn", "", own().removeOwn(ctx, false))
}

// removeOf removes what carries one owner's value, and that owner's use of the swarm.
func removeOf(ctx context.Context, docker *client.Client, value string) error {
	mine := func(v string) bool { return v == value }
	r := removal{docker: docker, match: mine, settle: true}
	if err := r.run(ctx); err != nil {
		return err
	}
	_, err := releaseSwarm(ctx, docker, mine)
	return err
}

// Keep lets what this process has made outlive it: Guard's end, Main's end and every later Sweep spare it, until Clean.
func Keep(ctx context.Context) error {
	p := own()
	docker, err := p.engine(ctx)
	if err != nil {
		return op("Keep", "", err)
	}
	_, err = docker.VolumeCreate(ctx, client.VolumeCreateOptions{
		Name:   "nuvlaops-kept-" + p.me.String(),
		Labels: map[string]string{Label: p.me.String(), keptLabel: "true"},
	})
	if err != nil {
		return op("Keep", "", fmt.Errorf("create volume: %w", err))
	}
	p.mu.Lock()
	p.kept = true
	p.mu.Unlock()
	return nil
}
