package testenv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
)

// removal removes, pass after pass, what carries Label with a value that matches, until a pass finds nothing: an engine
// refuses to remove what is in use, and removes the containers of a service some seconds after the service.
type removal struct {
	docker *client.Client
	match  func(value string) bool
	// settle asks for empty passes for a second: a call that was cut off may still be making something in the engine.
	settle bool
	// swarmOnly leaves alone what a stack cannot have made.
	swarmOnly bool
	// patience is how long to try without removing anything before giving up. Default 40 s: a container of a service may
	// take its grace time, then its networks and volumes go.
	patience time.Duration

	removed  []string
	services map[string]bool // whose containers must go as well, by id
}

// thing is something that can be removed.
type thing struct {
	kind, name string
	remove     func(context.Context) error
}

// all removes things, then the owners' use of the swarm.
func (r *removal) all(ctx context.Context) error {
	if err := r.run(ctx); err != nil {
		return err
	}
	left, err := releaseSwarm(ctx, r.docker, r.match)
	if left {
		r.removed = append(r.removed, "swarm")
	}
	return err
}

// run gives up when it has been failing for as long as its patience without removing anything.
func (r *removal) run(ctx context.Context) error {
	r.services = map[string]bool{}
	quiet, patience := 1, cmp.Or(r.patience, 40*time.Second)
	if r.settle {
		quiet = 4
	}
	progress, before := time.Now(), 0
	for empty := 0; ; {
		things, err := r.list(ctx) // which fails while another process is leaving the swarm, say
		switch {
		case err == nil && len(things) == 0:
			if empty++; empty == quiet {
				return nil
			}
		case err == nil:
			empty, err = 0, r.pass(ctx, things)
		}
		if err == nil || len(r.removed) > before {
			progress, before = time.Now(), len(r.removed)
		}
		if time.Since(progress) > patience {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// pass tries each once. What is gone meanwhile is no error; what is in use comes again with the next pass.
func (r *removal) pass(ctx context.Context, things []thing) error {
	var errs []error
	for _, t := range things {
		switch err := t.remove(ctx); {
		case err == nil:
			r.removed = append(r.removed, t.kind+" "+t.name)
		case errdefs.IsNotFound(err):
		default:
			errs = append(errs, fmt.Errorf("remove %s %s: %w", t.kind, t.name, err))
		}
	}
	return errors.Join(errs...)
}

// list returns what matches, in the order in which it can be removed.
func (r *removal) list(ctx context.Context) ([]thing, error) {
	var all []thing
	lists := []func(context.Context) ([]thing, error){r.listContainers, r.listNetworks, r.listVolumes}
	if manager, err := isManager(ctx, r.docker); err != nil {
		return nil, err
	} else if manager {
		lists = append([]func(context.Context) ([]thing, error){r.listServices}, append(lists, r.listSecrets, r.listConfigs)...)
	}
	if !r.swarmOnly {
		lists = append(lists, r.listImages)
	}
	for _, list := range lists {
		things, err := list(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, things...)
	}
	return all, nil
}

// ours looks for the label itself: the lists are asked for what carries it, and whoever answers without heeding that must not
// cost others what is theirs.
func (r *removal) ours(labels map[string]string) bool {
	value, labelled := labels[Label]
	return labelled && r.match(value)
}

func (r *removal) listServices(ctx context.Context) ([]thing, error) {
	list, err := r.docker.ServiceList(ctx, client.ServiceListOptions{Filters: labelled()})
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	var things []thing
	for _, s := range list.Items {
		if !r.ours(s.Spec.Labels) {
			continue
		}
		things = append(things, thing{"service", s.Spec.Name, func(ctx context.Context) error {
			_, err := r.docker.ServiceRemove(ctx, s.ID, client.ServiceRemoveOptions{})
			if err == nil {
				r.services[s.ID] = true
			}
			return err
		}})
	}
	return things, nil
}

// listContainers also finds those of the services that were removed: the swarm would take seconds to end them.
func (r *removal) listContainers(ctx context.Context) ([]thing, error) {
	list, err := r.docker.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var things []thing
	for _, c := range list.Items {
		service := c.Labels["com.docker.swarm.service.id"]
		if service != "" && !r.services[service] {
			continue // the swarm would only start another
		}
		if !r.services[service] && (r.swarmOnly || !r.ours(c.Labels)) {
			continue
		}
		name := c.ID
		if len(c.Names) > 0 {
			name = strings.TrimPrefix(c.Names[0], "/")
		}
		things = append(things, thing{"container", name, func(ctx context.Context) error {
			_, err := r.docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{RemoveVolumes: true, Force: true})
			return err
		}})
	}
	return things, nil
}

func (r *removal) listNetworks(ctx context.Context) ([]thing, error) {
	list, err := r.docker.NetworkList(ctx, client.NetworkListOptions{Filters: labelled()})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	var things []thing
	for _, n := range list.Items {
		if r.ours(n.Labels) && (n.Scope == "swarm" || !r.swarmOnly) {
			things = append(things, thing{"network", n.Name, func(ctx context.Context) error {
				_, err := r.docker.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
				return err
			}})
		}
	}
	return things, nil
}

// listVolumes puts the mark of Keep last: what is left half-removed is still kept.
func (r *removal) listVolumes(ctx context.Context) ([]thing, error) {
	list, err := r.docker.VolumeList(ctx, client.VolumeListOptions{Filters: labelled()})
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	var things, marks []thing
	for _, v := range list.Items {
		_, stack := v.Labels["com.docker.stack.namespace"]
		if !r.ours(v.Labels) || r.swarmOnly && !stack {
			continue
		}
		t := thing{"volume", v.Name, func(ctx context.Context) error {
			_, err := r.docker.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{})
			return err
		}}
		if _, mark := v.Labels[keptLabel]; mark {
			marks = append(marks, t)
		} else {
			things = append(things, t)
		}
	}
	return append(things, marks...), nil
}

func (r *removal) listSecrets(ctx context.Context) ([]thing, error) {
	list, err := r.docker.SecretList(ctx, client.SecretListOptions{Filters: labelled()})
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	var things []thing
	for _, s := range list.Items {
		if r.ours(s.Spec.Labels) {
			things = append(things, thing{"secret", s.Spec.Name, func(ctx context.Context) error {
				_, err := r.docker.SecretRemove(ctx, s.ID, client.SecretRemoveOptions{})
				return err
			}})
		}
	}
	return things, nil
}

func (r *removal) listConfigs(ctx context.Context) ([]thing, error) {
	list, err := r.docker.ConfigList(ctx, client.ConfigListOptions{Filters: labelled()})
	if err != nil {
		return nil, fmt.Errorf("list configs: %w", err)
	}
	var things []thing
	for _, c := range list.Items {
		if r.ours(c.Spec.Labels) {
			things = append(things, thing{"config", c.Spec.Name, func(ctx context.Context) error {
				_, err := r.docker.ConfigRemove(ctx, c.ID, client.ConfigRemoveOptions{})
				return err
			}})
		}
	}
	return things, nil
}

func (r *removal) listImages(ctx context.Context) ([]thing, error) {
	list, err := r.docker.ImageList(ctx, client.ImageListOptions{Filters: labelled()})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var things []thing
	for _, i := range list.Items {
		if !r.ours(i.Labels) {
			continue
		}
		name := i.ID
		if len(i.RepoTags) > 0 {
			name = i.RepoTags[0]
		}
		things = append(things, thing{"image", name, func(ctx context.Context) error {
			_, err := r.docker.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
			return err
		}})
	}
	return things, nil
}

func labelled() client.Filters { return make(client.Filters).Add("label", Label) }

// isManager says whether the engine can be asked for services and secrets.
func isManager(ctx context.Context, docker *client.Client) (bool, error) {
	info, err := docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return false, fmt.Errorf("ask the engine for its state: %w", err)
	}
	return info.Info.Swarm.LocalNodeState == swarm.LocalNodeStateActive && info.Info.Swarm.ControlAvailable, nil
}
