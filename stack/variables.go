package stack

import (
	"os"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// variable is a dollar sign of a compose file: one that stands for itself ($$), a variable, or one with what to do without it.
var variable = regexp.MustCompile(`\$(?:\$|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)([^}]*)\})`)

// blank are the variables of these services, and of what the files define beside services, that are set nowhere, and have no
// default: the docker program leaves them empty without a word. It has read the files: of what cannot be read here nothing is said.
func (o DeployOptions) blank(services []string) (names []string) {
	for _, path := range o.Files {
		var file yaml.Node
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() { // a pipe was read to its end by the docker program
			continue
		}
		if raw, err := os.ReadFile(path); err != nil || yaml.Unmarshal(raw, &file) != nil || len(file.Content) == 0 {
			continue
		}
		b := blanks{opts: o, seen: map[*yaml.Node]bool{}}
		for _, kind := range []string{"networks", "volumes", "secrets", "configs"} {
			b.in(valueOf(file.Content[0], kind))
		}
		for _, name := range services {
			b.in(valueOf(valueOf(file.Content[0], "services"), name))
		}
		names = append(names, b.names...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// valueOf is the value of a key, empty where there is none.
func valueOf(of *yaml.Node, key string) *yaml.Node {
	for i := 1; i < len(of.Content); i += 2 {
		if of.Content[i-1].Value == key {
			return of.Content[i]
		}
	}
	return &yaml.Node{}
}

// blanks are those of one file.
type blanks struct {
	opts  DeployOptions
	names []string
	seen  map[*yaml.Node]bool // what aliases mean: it may be meant a thousand times, or by itself
}

// in adds those of the values in a part of the file. Keys and comments are not filled in.
func (b *blanks) in(part *yaml.Node) {
	if part.Kind == yaml.AliasNode {
		if part = part.Alias; b.seen[part] {
			return
		}
		b.seen[part] = true
	}
	for i, inner := range part.Content {
		if part.Kind != yaml.MappingNode || i%2 == 1 {
			b.in(inner)
		}
	}
	for _, m := range variable.FindAllStringSubmatch(part.Value, -1) {
		name := m[1] + m[2]
		_, here := b.opts.Env[name]
		_, set := os.LookupEnv(name)
		if name != "" && m[3] == "" && !here && !set {
			b.names = append(b.names, name)
		}
	}
}
