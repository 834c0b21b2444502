package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/stack"
)

//go:embed main.go
var about string // its comment is the help

type config struct {
	command, name  string
	host           string
	engines        map[string]string
	job            stack.NodeJob
	groups         [][]string
	services       []string
	volumes        []string
	files          []string
	probes         map[string]func(context.Context) error
	inside         map[string][]string // commands of probes that run on the network
	network, image string              // for them
	keep           stack.KeepOptions
	yes            string
	createNetworks bool
	registryAuth   bool
	json, sizes    bool
	stable, limit  time.Duration
	timeout        time.Duration
}

const commands = "ps, stop, volumes, wipe, deploy, start or wait"

func parse(args []string, stderr io.Writer) (config, error) {
	c := config{engines: map[string]string{}, probes: map[string]func(context.Context) error{},
		inside: map[string][]string{}}
	fs, command, args := cli.Command("stack", about, args, stderr)
	c.command = command
	fs.StringVar(&c.host, "host", "", "`address` of a manager's engine (default as the docker program)")
	fs.Func("engine", "`NODE=ADDRESS` of another node's engine; may be repeated", pair(func(node, address string) error {
		c.engines[node] = address
		return nil
	}))
	fs.StringVar(&c.job.Image, "job-image", "", "`image` of this program, to reach the nodes without -engine by a job on each")
	fs.StringVar(&c.job.Socket, "job-socket", "", "`path` of the engine's socket on those nodes (default /var/run/docker.sock)")
	fs.DurationVar(&c.timeout, "timeout", 0, "give up after this `duration` (default no limit)")
	if c.command == "" {
		return c, cli.NoCommand(fs, args, commands)
	}
	if err := c.flags(fs); err != nil {
		return c, err
	}
	switch {
	case len(args) > 0 && !strings.HasPrefix(args[0], "-"):
		c.name = args[0]
	case cli.Helps(args):
		fs.Usage()
		return c, flag.ErrHelp
	default:
		return c, cli.Usagef("name the stack before the flags: stack %s STACK", c.command)
	}
	if err := cli.Parse(fs, args[1:]); err != nil {
		return c, err
	}
	return c, c.check()
}

// check is for what single flags cannot see.
func (c *config) check() error {
	kept := c.keep.Dir != "" || c.keep.Suffix != ""
	for name, d := range map[string]time.Duration{"-timeout": c.timeout, "-limit": c.limit, "-stable": c.stable} {
		if d < 0 {
			return cli.Usagef("%s %s: want no less than 0", name, d)
		}
	}
	switch {
	case c.command == "deploy" && len(c.files) == 0:
		return cli.Usagef("deploy needs -file")
	case c.keep.Dir != "" && c.keep.Suffix != "":
		return cli.Usagef("-keep archives and -keep-as copies: give one of them")
	case c.keep.Image != "" && !kept:
		return cli.Usagef("-keep-image needs -keep or -keep-as")
	case len(c.inside) > 0 && (c.network == "" || c.image == ""):
		return cli.Usagef("-inside needs -network and -image, to run the probe's container with")
	case len(c.inside) == 0 && (c.network != "" || c.image != ""):
		return cli.Usagef("-network and -image go with -inside")
	case c.job.Socket != "" && c.job.Image == "":
		return cli.Usagef("-job-socket goes with -job-image")
	}
	for service := range c.inside {
		if c.probes[service] != nil {
			return cli.Usagef("-probe and -inside for %s: want one or the other", service)
		}
	}
	return nil
}

// flags are those of the command.
func (c *config) flags(fs *flag.FlagSet) error {
	switch c.command {
	case "ps":
		fs.BoolVar(&c.json, "json", false, "print one JSON object")
		fs.BoolVar(&c.sizes, "sizes", false, "read the sizes of volumes, which takes the engine a while")
	case "stop":
		fs.Func("groups", "`services` to stop, divided by commas, in groups divided by semicolons: quote it (default all, what needs others first)", c.setGroups)
		fs.DurationVar(&c.limit, "limit", 0, "longest `duration` for one group (default no limit)")
	case "volumes", "wipe":
		fs.Func("services", "`services` whose volumes are meant, divided by commas (default all of the stack, or those of -volumes alone)", list(&c.services))
		fs.Func("volumes", "full `names` of volumes that are meant, divided by commas", list(&c.volumes))
		fs.Func("file", "compose `file` that says what services mount that are gone; may be repeated", c.addFile)
		fs.BoolVar(&c.json, "json", false, "print one JSON object")
		fs.BoolVar(&c.sizes, "sizes", true, "read the sizes of volumes")
		if c.command == "wipe" {
			fs.StringVar(&c.yes, "yes", "", "`name` of the stack, instead of typing it")
			fs.StringVar(&c.keep.Dir, "keep", "", "`folder` to archive the volumes in first, as VOLUME@NODE.tar")
			fs.StringVar(&c.keep.Suffix, "keep-as", "", "`suffix` of the names of new volumes to copy the volumes to first")
			fs.StringVar(&c.keep.Image, "keep-image", "", "`image` to read the volumes through (default that of their service)")
		}
	case "deploy":
		fs.Func("file", "compose `file`; may be repeated", c.addFile)
		fs.BoolVar(&c.createNetworks, "create-networks", false, "make external networks that are missing, attachable")
		fs.BoolVar(&c.registryAuth, "with-registry-auth", false, "hand the login of the docker program to the nodes")
	case "start", "wait":
		fs.Func("groups", "`services`, divided by commas, in groups divided by semicolons: quote it (default all, what needs others last)", c.setGroups)
		fs.Func("probe", "`SERVICE=URL` that must answer: http://... or zk://HOST:PORT; may be repeated", pair(c.setProbe))
		fs.Func("inside", "`SERVICE=COMMAND` that must exit with 0, in a short container of -image on -network; may be repeated",
			pair(c.setInside))
		fs.StringVar(&c.network, "network", "", "attachable `network` for -inside")
		fs.StringVar(&c.image, "image", "", "`image` for -inside, which is on the engine")
		fs.DurationVar(&c.stable, "stable", time.Second, "how `long` the same tasks must have been running")
		fs.DurationVar(&c.limit, "limit", 0, "longest `duration` for one group (default no limit)")
	default:
		return cli.Usagef("unknown command %q: want %s", c.command, commands)
	}
	return nil
}

func (c *config) addFile(path string) error {
	c.files = append(c.files, path)
	return nil
}

func (c *config) setGroups(text string) error {
	for group := range strings.SplitSeq(text, ";") {
		var services []string
		if err := list(&services)(group); err != nil {
			return err
		}
		c.groups = append(c.groups, services)
	}
	return nil
}

// A service has one probe: the last of two would say nothing of the first.
func (c *config) setInside(service, command string) error {
	if c.inside[service] != nil {
		return fmt.Errorf("%s has a command already", service)
	}
	c.inside[service] = strings.Fields(command)
	return nil
}

func (c *config) setProbe(service, url string) error {
	if c.probes[service] != nil {
		return fmt.Errorf("%s has a probe already", service)
	}
	switch address, isZooKeeper := strings.CutPrefix(url, "zk://"); {
	case isZooKeeper:
		c.probes[service] = stack.ProbeZooKeeper(address)
	case strings.HasPrefix(url, "http://"), strings.HasPrefix(url, "https://"):
		c.probes[service] = stack.ProbeHTTP(url)
	default:
		return fmt.Errorf("%q is neither an http:// nor a zk:// address", url)
	}
	return nil
}

func list(into *[]string) func(string) error {
	return func(text string) error {
		for name := range strings.SplitSeq(text, ",") {
			if name = strings.TrimSpace(name); name == "" {
				return fmt.Errorf("empty name in %q", text)
			}
			*into = append(*into, name)
		}
		return nil
	}
}

func pair(set func(key, value string) error) func(string) error {
	return func(text string) error {
		key, value, found := strings.Cut(text, "=")
		if !found || key == "" || value == "" {
			return fmt.Errorf("%q is not NAME=VALUE", text)
		}
		return set(key, value)
	}
}

// waitsFor says whether a service is in the groups, or there are none.
func (c *config) waitsFor(service string) bool {
	return len(c.groups) == 0 || slices.ContainsFunc(c.groups, func(g []string) bool { return slices.Contains(g, service) })
}

func stoppedError(name, service string) error {
	return &nuvlaops.Error{Op: "wait", Resource: name + "_" + service, Reason: "the service is stopped", Err: nuvlaops.ErrRefused,
		Hint: "start it: stack start " + name}
}
