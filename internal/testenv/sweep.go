package testenv

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// Label is on everything that this package makes on an engine. Its value names the owner, see OwnerLabelValue; on images
// that are for all it is "image".
const Label = "org.nuvla.nuvlaops.testenv"

// keptLabel is on the mark of Keep: an empty volume, which carries Label too.
const keptLabel = Label + ".kept"

// Sweep removes what processes have left that are not alive any more (kill -9, a power cut), but for what Keep has marked,
// and for images that are for all. It returns what it removed, as "container NAME". The first start in a process calls it.
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
	err = r.all(ctx)
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
// project and a swarm that this package made (unless leaving it would harm services or containers that are not ours). It
// returns what it removed.
func Clean(ctx context.Context) (removed []string, err error) {
	docker, err := own().unswept(ctx)
	if err != nil {
		return nil, op("Clean", "", err)
	}
	r := removal{docker: docker, match: func(string) bool { return true }}
	err = r.all(ctx)
	return r.removed, op("Clean", "", err)
}

// RemoveOwn removes everything that this process has made. Calls that are making something end with ErrClosing first.
func RemoveOwn(ctx context.Context) error {
	return op("RemoveOwn", "", own().removeOwn(ctx, false))
}

// removeOf removes what carries one owner's value, and that owner's use of the swarm.
func removeOf(ctx context.Context, docker *client.Client, value string) error {
	r := removal{docker: docker, match: func(v string) bool { return v == value }, settle: true}
	return r.all(ctx)
}

// Kept returns the owners of what Keep has marked and Clean has not removed yet, but for this process.
func Kept(ctx context.Context) (owners []string, err error) {
	p := own()
	docker, err := p.engine(ctx)
	if err != nil {
		return nil, op("Kept", "", err)
	}
	kept, err := keptOwners(ctx, docker)
	delete(kept, p.me.String())
	return slices.Sorted(maps.Keys(kept)), op("Kept", "", err)
}

// RemoveKept removes what one owner, of those that Kept returns, has left to be kept. It returns what it removed.
func RemoveKept(ctx context.Context, owner string) (removed []string, err error) {
	p := own()
	docker, err := p.engine(ctx)
	if err != nil {
		return nil, op("RemoveKept", owner, err)
	}
	if o, ok := parseOwner(owner); !ok || !o.dead(p.me, local(docker)) {
		return nil, op("RemoveKept", owner, fmt.Errorf("%w: its process is alive", nuvlaops.ErrRefused))
	}
	r := removal{docker: docker, match: func(value string) bool { return value == owner }}
	err = r.all(ctx)
	return r.removed, op("RemoveKept", owner, err)
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
