package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"go.yaml.in/yaml/v3"

	"github.com/nuvla/nuvlaops"
)

// compose is a compose file as the docker program's loader understands it: merged, with variables and env files filled in
// and short forms written out. The loader of docker/cli is no stable library, and its result would have to be converted by
// more of its unstable code; the program itself gives the same result as docker stack deploy by construction.
type compose struct {
	Services map[string]struct {
		Image    string         `yaml:"image"`
		Volumes  []mounted      `yaml:"volumes"`
		Ports    []any          `yaml:"ports"`
		Networks map[string]any `yaml:"networks"`
		Secrets  []source       `yaml:"secrets"`
		Configs  []source       `yaml:"configs"`
		Deploy   struct {
			Mode      string `yaml:"mode"`
			Placement struct {
				Constraints []string `yaml:"constraints"`
			} `yaml:"placement"`
		} `yaml:"deploy"`
	} `yaml:"services"`
	Volumes  map[string]object `yaml:"volumes"`
	Networks map[string]object `yaml:"networks"`
	Secrets  map[string]object `yaml:"secrets"`
	Configs  map[string]object `yaml:"configs"`

	raw map[string]any
}

type source struct {
	Source string `yaml:"source"`
}

type mounted struct {
	Type     string `yaml:"type"`
	Source   string `yaml:"source"`
	Target   string `yaml:"target"`
	ReadOnly bool   `yaml:"read_only"`
}

type object struct {
	Name     string `yaml:"name"`
	External bool   `yaml:"external"`
	File     string `yaml:"file"`
}

// named is the name that it has in the swarm, for one that is external.
func (o object) named(key string) string {
	if o.Name == "" {
		return key
	}
	return o.Name
}

// load has the docker program read the files.
func (s *Swarm) load(ctx context.Context, opts DeployOptions) (*compose, error) {
	var args []string
	for _, f := range opts.Files {
		args = append(args, "--compose-file", f)
	}
	out, err := s.docker(ctx, opts, nil, "config", args...)
	if err != nil {
		return nil, err
	}
	return readCompose(out)
}

// readCompose reads what the docker program has printed. A program that prints nothing is another one of that name.
func readCompose(out []byte) (*compose, error) {
	var c compose
	err := yaml.Unmarshal(out, &c)
	if err == nil {
		err = yaml.Unmarshal(out, &c.raw)
	}
	if err == nil && c.raw == nil {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, &nuvlaops.Error{Reason: "the output of docker stack config is no compose file: " + err.Error(), Err: nuvlaops.ErrUnsupported,
			Hint: "nothing was changed; check that the docker program is Docker's own, 23.0 or later"}
	}
	return &c, nil
}

// service is one of the file as a wipe sees it when it is there and stopped: what it mounts, and where it may run.
func (c *compose) service(stack, name string) swarm.Service {
	file, labels := c.Services[name], map[string]string{labelStack: stack}
	container := &swarm.ContainerSpec{Image: file.Image}
	for _, m := range file.Volumes {
		at := mount.Mount{Type: mount.Type(m.Type), Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly}
		if o := c.Volumes[m.Source]; at.Type == mount.TypeVolume && m.Source != "" {
			if at.Source = o.named(m.Source); !o.External {
				at.VolumeOptions = &mount.VolumeOptions{Labels: labels}
				if o.Name == "" {
					at.Source = stack + "_" + m.Source
				}
			}
		}
		container.Mounts = append(container.Mounts, at)
	}
	var v swarm.Service
	v.Spec.Name, v.Spec.Labels = stack+"_"+name, labels
	v.Spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: new(uint64)}
	v.Spec.TaskTemplate = swarm.TaskSpec{ContainerSpec: container, Placement: &swarm.Placement{Constraints: file.Deploy.Placement.Constraints}}
	return v
}

// only returns the file with these services alone, and the secrets and configs that they use, ready to be read again: variables
// are filled in already, so that every dollar sign stands for itself, and so are env files. The program writes out what the
// version of the file may not know, such as the name of a network (3.5).
func (c *compose) only(services []string) ([]byte, error) {
	out := maps.Clone(c.raw)
	all, _ := out["services"].(map[string]any)
	kept := map[string]any{}
	for _, name := range services {
		service := within(all[name])
		delete(service, "env_file")
		if limits := within(service["ulimits"]); len(limits) > 0 {
			service["ulimits"] = withZeros(limits)
		}
		kept[name] = service
	}
	out["services"] = kept
	for kind, used := range c.uses(services) {
		defined := within(out[kind])
		maps.DeleteFunc(defined, func(key string, _ any) bool { return !slices.Contains(used, key) })
		out[kind] = defined
	}
	if minor, old := strings.CutPrefix(fmt.Sprint(out["version"]), "3."); old && len(minor) == 1 && minor < "7" {
		out["version"] = "3.7"
	}
	return yaml.Marshal(escape(out))
}

// withZeros puts back the limits of 0, which the docker program leaves out when it writes them, and wants when it reads them.
func withZeros(limits map[string]any) map[string]any {
	for name, v := range limits {
		if pair, is := v.(map[string]any); is {
			both := map[string]any{"soft": 0, "hard": 0}
			maps.Copy(both, pair)
			limits[name] = both
		}
	}
	return limits
}

// uses are the secrets and configs of these services. The docker program makes or updates all that a file defines.
func (c *compose) uses(services []string) map[string][]string {
	used := map[string][]string{"secrets": nil, "configs": nil}
	for _, name := range services {
		for _, s := range c.Services[name].Secrets {
			used["secrets"] = append(used["secrets"], s.Source)
		}
		for _, s := range c.Services[name].Configs {
			used["configs"] = append(used["configs"], s.Source)
		}
	}
	return used
}

// stopped returns the file with all services as Stop would leave them, so that no task of them runs before they are started.
func (c *compose) stopped() *compose {
	raw := maps.Clone(c.raw)
	all, _ := raw["services"].(map[string]any)
	services := map[string]any{}
	for name, v := range all {
		service := within(v)
		service["deploy"] = stoppedDeploy(service["deploy"])
		services[name] = service
	}
	raw["services"] = services
	out := *c
	out.raw = raw
	return &out
}

// refuseJobs: a job runs when it is made, or never.
func (c *compose) refuseJobs(services []string) error {
	for _, name := range services {
		if mode := c.Services[name].Deploy.Mode; strings.HasSuffix(mode, "-job") {
			return &nuvlaops.Error{Resource: name, Reason: "a service of mode " + mode + " cannot be deployed stopped", Err: nuvlaops.ErrUnsupported,
				Hint: "nothing was changed; take it out of the compose file"}
		}
	}
	return nil
}

func stoppedDeploy(v any) map[string]any {
	deploy := within(v)
	labels := within(deploy["labels"])
	if deploy["mode"] == "global" {
		place := within(deploy["placement"])
		constraints, _ := place["constraints"].([]any)
		place["constraints"] = append(slices.Clone(constraints), nowhere)
		deploy["placement"], labels[labelReplicas] = place, "global"
	} else {
		replicas, given := deploy["replicas"]
		if !given {
			replicas = 1 // the engine's default
		}
		if replicas != 0 {
			deploy["replicas"], labels[labelReplicas] = 0, fmt.Sprint(replicas)
		}
	}
	deploy["labels"] = labels
	return deploy
}

// within is a copy of a map in a file, empty where there is none.
func within(v any) map[string]any {
	out := map[string]any{}
	m, _ := v.(map[string]any)
	maps.Copy(out, m)
	return out
}

// escape makes dollar signs stand for themselves, and has texts written in quotes: as blocks, those that begin with a space would lose it.
func escape(v any) any {
	switch v := v.(type) {
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: strings.ReplaceAll(v, "$", "$$")}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = escape(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = escape(v[k])
		}
		return out
	}
	return v
}

// needs are the external networks, secrets and configs of these services by their real names, and the files that secrets
// and configs are made from. What keeps data, publishes no port and is on one network alone is looked at by side containers on
// that network: those are joined. What the file does not have, though its services name it, is undefined.
type needs struct{ networks, joined, secrets, configs, files, undefined []string }

func (c *compose) needs(services []string) needs {
	var n needs
	add := func(to *[]string, kind string, of map[string]object, key string) {
		o, defined := of[key]
		name := o.named(key)
		switch {
		case !defined && (kind != "network" || key != "default"):
			n.undefined = append(n.undefined, kind+" "+key)
		case o.External && !slices.Contains(*to, name):
			*to = append(*to, name)
		case !o.External && o.File != "" && !slices.Contains(n.files, o.File):
			n.files = append(n.files, o.File)
		}
	}
	for _, name := range services {
		v := c.Services[name]
		on := slices.Collect(maps.Keys(v.Networks))
		if len(on) == 0 {
			on = []string{"default"} // it joins the one of this name, declared or not
		}
		for _, key := range on {
			add(&n.networks, "network", c.Networks, key)
		}
		keeps := slices.ContainsFunc(v.Volumes, func(m mounted) bool { return m.Type == string(mount.TypeVolume) })
		if keeps && len(v.Ports) == 0 && len(on) == 1 {
			add(&n.joined, "network", c.Networks, on[0])
		}
		for _, m := range v.Volumes {
			if m.Type == string(mount.TypeVolume) && m.Source != "" {
				add(new([]string), "volume", c.Volumes, m.Source)
			}
		}
		for _, r := range v.Secrets {
			add(&n.secrets, "secret", c.Secrets, r.Source)
		}
		for _, r := range v.Configs {
			add(&n.configs, "config", c.Configs, r.Source)
		}
	}
	for _, list := range []*[]string{&n.networks, &n.secrets, &n.configs, &n.files, &n.undefined} {
		slices.Sort(*list)
	}
	n.undefined = slices.Compact(n.undefined)
	return n
}
