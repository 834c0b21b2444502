package cli

import (
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// FlagSet is one whose -h shows the comment that source, the program's main.go, begins with. The flags stand in front of its
// end, which says where credentials come from and what the exit codes are.
func FlagSet(name, source string, stderr io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		head, tail := comment(source)
		fmt.Fprintf(fs.Output(), "%s\n\nFlags of %s:\n", head, fs.Name())
		fs.PrintDefaults()
		fmt.Fprintf(fs.Output(), "\n%s\n", tail)
	}
	return fs
}

// comment is what a file begins with, without the marks of a comment, in two parts.
func comment(source string) (head, tail string) {
	text, _, _ := strings.Cut(source, "\npackage ")
	text = regexp.MustCompile(`(?m)^// ?`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "\n\t", "\n  ")
	at := regexp.MustCompile(`\n\n(Credentials come|Exit codes:)`).FindStringIndex(text)
	if at == nil {
		return text, ""
	}
	return text[:at[0]], text[at[0]+2:]
}

// Command takes the command off the arguments, and makes the flags of it. It is "" when a flag stands in its place, or
// nothing: see NoCommand.
func Command(program, source string, args []string, stderr io.Writer) (fs *flag.FlagSet, command string, rest []string) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return FlagSet(program+" COMMAND, each of which shows its own with -h", source, stderr), "", args
	}
	return FlagSet(program+" "+args[0], source, stderr), args[0], args[1:]
}

// NoCommand shows the help to whoever asks for it without a command, and else is a usage error.
func NoCommand(fs *flag.FlagSet, args []string, commands string) error {
	switch {
	case Helps(args):
		fs.Usage()
		return flag.ErrHelp
	case len(args) > 0:
		return Usagef("the command comes first, before %s: want %s", args[0], commands)
	}
	return Usagef("no command: want %s; -h explains them", commands)
}

// Helps says whether somebody asks for help.
func Helps(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return slices.Contains([]string{"-h", "--h", "-help", "--help"}, a) })
}
