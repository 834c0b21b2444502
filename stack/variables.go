package stack

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

// variable is a dollar sign of a compose file: one that stands for itself ($$), a variable, or one with what to do without it.
var variable = regexp.MustCompile(`\$(?:\$|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)([^}]*)\})`)

// blank are the variables of the files that are set nowhere, and have no default: the docker program leaves them empty without a
// word.
func (o DeployOptions) blank() ([]string, error) {
	var names []string
	for _, path := range o.Files {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(raw)) {
			if i := strings.Index(" "+line, " #"); i >= 0 && !strings.ContainsAny(line[i:], `"'`) {
				line = line[:i] // a comment, which nobody fills in
			}
			for _, m := range variable.FindAllStringSubmatch(line, -1) {
				name := m[1] + m[2]
				_, here := o.Env[name]
				_, set := os.LookupEnv(name)
				if name != "" && m[3] == "" && !here && !set {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
