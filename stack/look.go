package stack

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// Look describes the stack as the manager sees it; volumes are those of the nodes that can be reached.
func (s *Swarm) Look(ctx context.Context, stack string) (*Stack, error) {
	out, err := s.look(ctx, stack)
	return out, nuvlaops.Wrap("stack.Look", stack, err)
}

func (s *Swarm) look(ctx context.Context, stack string) (*Stack, error) {
	if err := ValidateName(stack); err != nil {
		return nil, err
	}
	f, err := s.fleet(ctx)
	if err != nil {
		return nil, err
	}
	w, err := s.see(ctx, stack, f)
	if err != nil {
		return nil, err
	}
	networks, err := s.networkNames(ctx)
	if err != nil {
		return nil, err
	}
	out := &Stack{Name: stack}
	for name, v := range w.services {
		out.Services = append(out.Services, s.describe(name, v, w, networks))
	}
	slices.SortFunc(out.Services, func(a, b Service) int { return cmp.Compare(a.Name, b.Name) })
	out.Volumes, err = s.volumes(ctx, w, nil)
	return out, err
}

func (s *Swarm) describe(name string, v swarm.Service, w *world, networks map[string]string) Service {
	tasks := w.tasks[name]
	out := Service{Name: name, ID: v.ID, Version: v.Version.Index, Global: v.Spec.Mode.Global != nil, Mounts: mounts(v),
		Needs: needed(v.Spec.Labels[labelNeeds])}
	out.Stopped, out.Remembered = stopped(v.Spec)
	if spec := v.Spec.TaskTemplate.ContainerSpec; spec != nil {
		out.Image = spec.Image
		for _, r := range spec.Secrets {
			out.Secrets = append(out.Secrets, r.SecretName)
		}
		for _, r := range spec.Configs {
			out.Configs = append(out.Configs, r.ConfigName)
		}
	}
	for _, n := range v.Spec.TaskTemplate.Networks {
		out.Networks = append(out.Networks, cmp.Or(networks[n.Target], n.Target))
	}
	if p := v.Spec.TaskTemplate.Placement; p != nil {
		out.Constraints = p.Constraints
	}
	out.Replicas = replicas(v.Spec, tasks)
	for _, t := range tasks {
		problem := t.Status.Err
		if t.Status.State == swarm.TaskStateRunning && wanted(t) {
			out.Running++
			problem = cmp.Or(problem, w.halted(name, t))
		}
		out.Tasks = append(out.Tasks, Task{ID: t.ID, Slot: t.Slot, Node: w.fleet.nodeName(t.NodeID),
			State: string(t.Status.State), Wanted: string(t.DesiredState), Since: t.Status.Timestamp,
			Error: problem, Container: containerOf(t)})
	}
	slices.SortFunc(out.Tasks, func(a, b Task) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) })
	out.assess(s.now())
	return out
}

// replicas are wanted now: of a global service, as many as the orchestrator has made tasks for.
func replicas(spec swarm.ServiceSpec, tasks []swarm.Task) int {
	if r := spec.Mode.Replicated; r != nil && r.Replicas != nil {
		return int(*r.Replicas)
	}
	n := 0
	for _, t := range tasks {
		if wanted(t) && !ended(t) {
			n++
		}
	}
	return n
}

// stopped reads what Stop wrote. The label counts only while the service is at nothing: one that somebody has scaled up
// since is not stopped.
func stopped(spec swarm.ServiceSpec) (bool, int) {
	value, labelled := spec.Labels[labelReplicas]
	switch {
	case !labelled:
		return false, 0
	case spec.Mode.Global != nil:
		return spec.TaskTemplate.Placement != nil && slices.Contains(spec.TaskTemplate.Placement.Constraints, nowhere), 0
	case spec.Mode.Replicated == nil || spec.Mode.Replicated.Replicas == nil || *spec.Mode.Replicated.Replicas > 0:
		return false, 0
	}
	n, err := strconv.Atoi(value)
	return err == nil && n > 0, n
}

func mounts(v swarm.Service) []Mount {
	if v.Spec.TaskTemplate.ContainerSpec == nil {
		return nil
	}
	var out []Mount
	for _, m := range v.Spec.TaskTemplate.ContainerSpec.Mounts {
		own := m.Type == mount.TypeVolume && m.Source != "" && m.VolumeOptions != nil &&
			m.VolumeOptions.Labels[labelStack] != "" && m.VolumeOptions.Labels[labelStack] == v.Spec.Labels[labelStack]
		out = append(out, Mount{Type: string(m.Type), Source: m.Source, Target: m.Target, Own: own})
	}
	return out
}

// volumes of the stack on all nodes that can be reached: by their label, whether a service mounts them or not. Jobs look
// for those of other names too.
func (s *Swarm) volumes(ctx context.Context, w *world, names []string) ([]Volume, error) {
	var out []Volume
	for _, e := range w.fleet.engines {
		there, err := s.volumesOn(ctx, w, e)
		if err != nil {
			return nil, err
		}
		out = append(out, there...)
	}
	if err := s.lookByJobs(ctx, w, names); err != nil {
		return nil, err
	}
	for _, n := range w.fleet.byJob {
		for _, v := range w.answers[n.ID].Volumes {
			v.Node, v.NodeID, v.Services, v.ByJob = n.Description.Hostname, n.ID, w.mountedBy(v.Name), true
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b Volume) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.NodeID, b.NodeID)) })
	return out, nil
}

func (s *Swarm) volumesOn(ctx context.Context, w *world, e *engine) ([]Volume, error) {
	list, err := read(ctx, s, w.stack, func(ctx context.Context) (client.VolumeListResult, error) {
		return e.api.VolumeList(ctx, client.VolumeListOptions{
			Filters: make(client.Filters).Add("label", labelStack+"="+w.stack)})
	})
	if err != nil {
		return nil, err
	}
	held, err := s.holders(ctx, e)
	if err != nil {
		return nil, err
	}
	sizes := s.sizes(ctx, e, len(list.Items))
	var out []Volume
	for _, v := range list.Items {
		vol := Volume{Name: v.Name, Node: e.name, NodeID: e.id, Created: created(v.CreatedAt), Bytes: -1}
		if n, known := sizes[v.Name]; known {
			vol.Bytes = n
		}
		vol.Services, vol.Containers = w.mountedBy(v.Name), slices.Compact(slices.Sorted(slices.Values(held[v.Name])))
		out = append(out, vol)
	}
	return out, nil
}

func created(text string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, text)
	return t
}

func (w *world) mountedBy(volume string) []string {
	var out []string
	for name, v := range w.services {
		if slices.ContainsFunc(mounts(v), func(m Mount) bool { return m.Type == "volume" && m.Source == volume }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// holders are the names of the containers, whosever, running or stopped, that hold the volumes of one node.
func (s *Swarm) holders(ctx context.Context, e *engine) (map[string][]string, error) {
	list, err := read(ctx, s, "containers", func(ctx context.Context) (client.ContainerListResult, error) {
		return e.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	})
	out := map[string][]string{}
	for _, c := range list.Items {
		for _, m := range c.Mounts {
			if m.Type == mount.TypeVolume {
				out[m.Name] = append(out[m.Name], containerName(c.Names, c.ID))
			}
		}
	}
	return out, err
}

func containerName(names []string, id string) string {
	if len(names) == 0 {
		return id[:min(12, len(id))]
	}
	return names[0][1:] // they start with a slash
}

// sizes are a service to people: without them the rest is still right.
func (s *Swarm) sizes(ctx context.Context, e *engine, volumes int) map[string]int64 {
	out := map[string]int64{}
	if !s.opts.VolumeSizes || volumes == 0 {
		return out
	}
	usage, err := e.api.DiskUsage(ctx, client.DiskUsageOptions{Volumes: true, Verbose: true})
	if err != nil {
		s.opts.Logger.WarnContext(ctx, "sizes of volumes not read", "error", err)
		return out
	}
	for _, v := range usage.Volumes.Items {
		if v.UsageData != nil && v.UsageData.Size >= 0 {
			out[v.Name] = v.UsageData.Size
		}
	}
	return out
}

func (s *Swarm) nodes(ctx context.Context) ([]swarm.Node, error) {
	list, err := read(ctx, s, "nodes", func(ctx context.Context) (client.NodeListResult, error) {
		return s.api.NodeList(ctx, client.NodeListOptions{})
	})
	return list.Items, err
}

func (s *Swarm) networkNames(ctx context.Context) (map[string]string, error) {
	list, err := read(ctx, s, "networks", func(ctx context.Context) (client.NetworkListResult, error) {
		return s.api.NetworkList(ctx, client.NetworkListOptions{})
	})
	out := map[string]string{}
	for _, n := range list.Items {
		out[n.ID] = n.Name
	}
	return out, err
}
