// Package fold shortens lists that people read.
package fold

// most is how many of a group have a line each: a data stream has hundreds of indices after a year.
const most = 10

// Groups returns the list with the members of each group as one, at the place of the first, where they are more than ten. What has
// no group ("") stays as it is.
func Groups[T any](list []T, group func(T) string, together func(group string, members []T) T) (out []T) {
	members := map[string][]T{}
	for _, one := range list {
		members[group(one)] = append(members[group(one)], one)
	}
	for _, one := range list {
		name := group(one)
		switch of := members[name]; {
		case name == "" || len(of) > 0 && len(of) <= most:
			out = append(out, one)
		case len(of) > 0:
			out = append(out, together(name, of))
			delete(members, name)
		}
	}
	return out
}
