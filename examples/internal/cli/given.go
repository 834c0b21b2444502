package cli

import (
	"flag"
	"slices"
)

// NotEmpty is a usage error when one of these flags is given as "": a variable of a script that holds nothing would choose
// something else, and nobody would be told.
func NotEmpty(fs *flag.FlagSet, names ...string) (err error) {
	fs.Visit(func(f *flag.Flag) {
		if f.Value.String() == "" && slices.Contains(names, f.Name) {
			err = Usagef("-%s is empty: want a value, or leave it out", f.Name)
		}
	})
	return err
}

// Given reports whether the arguments name a flag.
func Given(fs *flag.FlagSet, name string) (given bool) {
	fs.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}
